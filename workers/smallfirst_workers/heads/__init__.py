"""Heads: from hidden states to the answers of a task, and how they are fitted."""
