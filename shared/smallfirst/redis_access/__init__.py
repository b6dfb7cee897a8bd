"""Redis as the fleet reaches it: its address, its refusals, and who may do what."""
