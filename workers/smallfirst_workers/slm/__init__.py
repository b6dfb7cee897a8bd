"""The SLM tier: encoders on CPUs, one forward pass a batch."""
