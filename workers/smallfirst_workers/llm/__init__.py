"""The LLM tier: models that write their answer, one token at a time."""
