"""The ledger: what is in Redis, by which keys, and how each entry ends."""
