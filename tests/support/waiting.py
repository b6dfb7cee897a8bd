"""The type of the fixture `wait_until`, for the tests that take it."""

from collections.abc import Callable
from typing import Protocol


class WaitUntil(Protocol):
    """Return when `predicate` is true; fail after `timeout` seconds, with the description."""

    def __call__(
        self, predicate: Callable[[], object], *, description: str, timeout: float = 10.0
    ) -> None: ...
