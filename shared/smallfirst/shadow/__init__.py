"""Shadows: a candidate's cascade answers a share of live jobs too, and nobody gets its answers."""
