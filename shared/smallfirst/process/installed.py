"""Which optional packages are installed here, found without importing them."""

import importlib.util


def can_run_flower() -> bool:
    """Whether Flower is installed."""
    return all(importlib.util.find_spec(name) for name in ("celery", "flower"))


def can_run_desk() -> bool:
    """Whether the review desk is installed, and what serves its pages."""
    pages = ("argon2", "itsdangerous", "jinja2", "starlette", "uvicorn")
    return all(importlib.util.find_spec(name) for name in ("smallfirst_desk", *pages))
