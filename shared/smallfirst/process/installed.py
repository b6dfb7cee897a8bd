"""Which optional packages are installed here, found without importing them."""

import importlib.util


def can_run_flower() -> bool:
    """Whether Flower is installed."""
    return all(importlib.util.find_spec(name) for name in ("celery", "flower"))
