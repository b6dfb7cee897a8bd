"""Forgetting: what is known of a person is found, ended and removed, in Redis and in files."""
