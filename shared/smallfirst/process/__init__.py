"""What every process of the fleet does as it starts, connects and ends."""
