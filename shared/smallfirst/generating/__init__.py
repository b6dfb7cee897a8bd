"""Rows that a large model writes: texts for labels, from descriptions and examples."""
