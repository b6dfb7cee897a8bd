"""Prompts for large models, and what is made of the text they write."""
