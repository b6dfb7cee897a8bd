"""Large models whose states are pooled into vectors, for heads: one pass, nothing written."""
