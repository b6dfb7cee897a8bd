"""The dashboard: what a fleet does, as far as whoever asks may see it."""
