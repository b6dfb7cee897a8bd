"""Where a worker's time goes: loading, passes, what is done around them, and waiting for work.

All of it is paid for. What passes took is booked with the jobs they were for; the rest is booked by
the worker, so that both together come to the time it lived.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from smallfirst.ledger.books import Use
from smallfirst_workers.shared_clock import ClockReading, SharedClock


class WorkerTime:
    """The time of one process, for all its threads.

    Args:
        clock: Of its passes.
        born: The moment of its birth, by `time.monotonic`.
    """

    def __init__(self, clock: SharedClock, born: float) -> None:
        self._clock = clock
        self._born = born
        self._ready: float | None = None
        #: What the clock had counted when it was ready: models are tried out before.
        self._before = clock.read(born)
        self._num_batches = 0
        self._since = self._in_hand = 0.0
        self._asked_seconds = self._asked_joules = 0.0
        self._lock = threading.Lock()

    def end_loading(self) -> None:
        """From now on it takes work."""
        now = time.monotonic()
        with self._lock:
            self._ready, self._before = now, self._clock.read(now)

    @contextmanager
    def batch_in_hand(self) -> Iterator[None]:
        """Count the time until the block ends as one with work in hand."""
        self._change(1)
        try:
            yield
        finally:
            self._change(-1)

    def count_attempt(self, seconds: float, joules: float | None) -> None:
        """Count what was booked with a job."""
        with self._lock:
            self._asked_seconds += seconds
            self._asked_joules += joules or 0.0

    def read(self) -> dict[str, Use]:
        """Tell what each use of the time came to until now, in seconds and joules.

        What passes took and no job was booked for is lost: they raised, or were broken off. That of
        a pass under way, or just over, may come and go again; it is right in the end.
        """
        now = time.monotonic()
        with self._lock:
            if self._ready is None:
                return {"loading": Use(now - self._born)}
            told, was = self._clock.read(now), self._before
            self._advance(now)
            busy = told.busy_seconds - was.busy_seconds
            in_hand = max(busy, self._in_hand)
            lost = told.shared_seconds - was.shared_seconds - self._asked_seconds
            uses = {
                "loading": Use(self._ready - self._born),
                "idle": Use(now - self._ready - in_hand),
                "handling": Use(in_hand - busy),
                "lost": Use(lost),
                "asked": Use(self._asked_seconds),
            }
            return uses if told.busy_joules is None else self._with_joules(uses, told)

    def _with_joules(self, uses: dict[str, Use], told: ClockReading) -> dict[str, Use]:
        """Add the energy: that of no pass is booked as idle, whatever was done meanwhile."""
        was = self._before
        idle = (told.other_joules or 0.0) - (was.other_joules or 0.0)
        lost = (told.shared_joules or 0.0) - (was.shared_joules or 0.0) - self._asked_joules
        joules = {
            "loading": (was.other_joules or 0.0) + (was.busy_joules or 0.0),
            "idle": idle,
            "lost": lost,
            "asked": self._asked_joules,
        }
        return {
            name: Use(use.seconds, joules=joules.get(name, 0.0), metered_seconds=use.seconds)
            for name, use in uses.items()
        }

    def _change(self, by: int) -> None:
        with self._lock:
            self._advance(time.monotonic())
            self._num_batches += by

    def _advance(self, now: float) -> None:
        if self._num_batches:
            self._in_hand += max(0.0, now - self._since)
        self._since = max(self._since, now)
