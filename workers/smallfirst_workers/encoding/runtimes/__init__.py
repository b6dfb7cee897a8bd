"""Runtimes: what executes the forward pass of an encoder."""
