"""Where a router's time goes: starting, jobs it answers itself, all else it does, and waiting.

What it asks rules and linear models is booked with the jobs they were asked for. That and all else
it does is told in seconds of its processor: its price is a core's, and in between it waits for
Redis, or for others on its machine. It is paid for waiting too: that is idle.
"""

import threading
import time

from smallfirst.ledger.books import Use


class RouterTime:
    """The time of one router process, whose slices are routed on threads of their own.

    Args:
        born: The moment of its birth, by `time.monotonic`.
    """

    def __init__(self, born: float) -> None:
        self._born = born
        self._ready: float | None = None
        self._processor_before = self._asked = 0.0
        self._lock = threading.Lock()

    def end_loading(self) -> None:
        """From now on it routes."""
        with self._lock:
            if self._ready is None:
                self._ready, self._processor_before = time.monotonic(), time.process_time()

    def count_asked(self, seconds: float) -> None:
        """Count what is booked with a job."""
        with self._lock:
            self._asked += seconds

    def read(self) -> dict[str, Use]:
        """Tell what each use of the time came to until now, in seconds."""
        now, processor = time.monotonic(), time.process_time()
        with self._lock:
            if self._ready is None:
                return {"loading": Use(now - self._born)}
            lived = now - self._ready
            handling = max(0.0, processor - self._processor_before - self._asked)
            return {
                "loading": Use(self._ready - self._born),
                "handling": Use(handling),
                "idle": Use(max(0.0, lived - self._asked - handling)),
                "asked": Use(self._asked),
            }
