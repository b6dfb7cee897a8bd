"""The workers: what runs models."""
