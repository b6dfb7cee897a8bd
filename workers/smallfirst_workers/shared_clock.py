"""Whose the worker's seconds are, when many requests run in its engines at once, and whose joules.

At any moment a worker works for all requests under way, so each is charged an equal share of that
moment. The shares of all requests sum to the seconds in which there was any work. What a meter of
energy told meanwhile is shared in the same way.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

#: Tells the joules that this process has taken since some moment; None where nothing measures them.
ReadMeter = Callable[[], float | None]


class Share(NamedTuple):
    """What one request took: its seconds, and its joules where they were measured."""

    seconds: float
    joules: float | None = None


class Mark(NamedTuple):
    """What the sums were when a request began."""

    seconds: float
    joules: float


@dataclass(frozen=True)
class ClockReading:
    """What a clock has counted up to a moment.

    Attributes:
        busy_seconds: In which any request ran.
        shared_seconds: Of these, what requests that have ended were charged.
        busy_joules: Taken while any request ran; None where nothing was measured.
        other_joules: Taken while none did.
        shared_joules: What requests that have ended were charged.
    """

    busy_seconds: float
    shared_seconds: float
    busy_joules: float | None
    other_joules: float | None
    shared_joules: float | None


class SharedClock:
    """Adds up shares of time; one for all engines of a process, and for all its threads.

    It keeps no clock of its own: every call says when it is. The share of one request is what
    `total` grew by while it ran: the sum of dt / n(t), where n(t) is how many ran at t.

    Args:
        meter: Of the process's energy.
    """

    def __init__(self, meter: ReadMeter | None = None) -> None:
        self._meter = meter or _nothing
        self._last_joules: float | None = None
        self._is_measured = False
        self._running = 0
        self._since = 0.0
        self._total = Mark(0.0, 0.0)
        self._busy = Mark(0.0, 0.0)
        self._shared = Mark(0.0, 0.0)
        self._other_joules = 0.0
        self._lock = threading.Lock()

    def start(self, now: float) -> Mark:
        """Begin a request at `now` (seconds); return the mark to end it with."""
        with self._lock:
            self._advance(now)
            self._running += 1
            return self._total

    def stop(self, mark: Mark, now: float) -> Share:
        """End the request that began with `mark`; return what it took."""
        with self._lock:
            self._advance(now)
            self._running -= 1
            taken = Mark(self._total.seconds - mark.seconds, self._total.joules - mark.joules)
            self._shared = _sum(self._shared, taken)
            return Share(taken.seconds, taken.joules if self._is_measured else None)

    def read(self, now: float) -> ClockReading:
        """Tell what was counted up to `now`."""
        with self._lock:
            self._advance(now)
            return ClockReading(
                self._busy.seconds,
                self._shared.seconds,
                self._measured(self._busy.joules),
                self._measured(self._other_joules),
                self._measured(self._shared.joules),
            )

    def _measured(self, joules: float) -> float | None:
        return joules if self._is_measured else None

    def _advance(self, now: float) -> None:
        # Another thread may have looked at the time a moment before this one, and come later.
        seconds, joules = max(0.0, now - self._since), self._joules_since()
        if self._running:
            self._busy = _sum(self._busy, Mark(seconds, joules))
            share = Mark(seconds / self._running, joules / self._running)
            self._total = _sum(self._total, share)
        else:
            self._other_joules += joules
        self._since = max(self._since, now)

    def _joules_since(self) -> float:
        """What the meter has grown by since it was read last."""
        before, told = self._last_joules, self._meter()
        if told is None:
            return 0.0
        self._is_measured, self._last_joules = True, told
        return max(0.0, told - before) if before is not None else 0.0


def _sum(one: Mark, other: Mark) -> Mark:
    return Mark(one.seconds + other.seconds, one.joules + other.joules)


def _nothing() -> None:
    return None
