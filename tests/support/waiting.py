"""Waiting for something to be so: what the fixture `wait_until` is, and its type."""

import time
from collections.abc import Callable
from typing import Protocol

#: How often it is looked where nobody says.
POLL_SECONDS = 0.02


class WaitUntil(Protocol):
    """Return when `predicate` is true, asked every so often; fail after `timeout` seconds."""

    def __call__(
        self,
        predicate: Callable[[], object],
        *,
        description: str,
        timeout: float = 10.0,
        every: float = POLL_SECONDS,
    ) -> None: ...


def wait_until(
    predicate: Callable[[], object],
    *,
    description: str,
    timeout: float = 10.0,
    every: float = POLL_SECONDS,
) -> None:
    """Wait until something is so; fail with its description when that takes too long."""
    until = time.monotonic() + timeout
    while not predicate():
        assert time.monotonic() < until, f"not within {timeout:g} s: {description}"
        time.sleep(every)
