"""Accounting: what the books say of a fleet's costs, and of what another way would have cost."""
