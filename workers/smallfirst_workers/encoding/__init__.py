"""Encoders: from texts to hidden states, by windows, tokens and a runtime."""
