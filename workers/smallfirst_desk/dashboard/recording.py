"""Recording: reads the books at the end of every ten minutes, beside the pages.

Any number of desks may: the first to come writes. One that comes late writes nothing, since what
stands in the books by then is more than stood there at the end; so it is a gap.
"""

import time
from collections.abc import Callable
from typing import Final

import structlog
from redis.exceptions import RedisError

from smallfirst.ledger.books import read_books
from smallfirst.ledger.history import EVERY_MS, History, date_of_reading, end_before
from smallfirst_desk.dashboard.flow import step_readings
from smallfirst_desk.desk import Desk

log = structlog.get_logger()

#: So long after its end a reading is as good as one made then.
LATEST_MS: Final = 20_000
#: How long is waited after Redis has refused or could not be reached.
_PAUSE_SECONDS: Final = 30.0


class Recorder:
    """The history that one desk writes.

    Args:
        desk: Whose slices and catalogue they are.
        now: Seconds of a clock that never goes back.
    """

    def __init__(self, desk: Desk, now: Callable[[], float] = time.monotonic) -> None:
        self._desk = desk
        self._now = now
        self._history = History(desk.slices[0])
        self._next = 0.0
        self._is_out = False

    def tend(self) -> None:
        """Record what stands in the books, where it is time; whatever fails stops nothing else."""
        if self._now() < self._next:
            return
        try:
            self._next = self._now() + self.record(self._desk.clock_ms()) / 1000
            self._is_out = False
        except RedisError as error:
            self._next = self._now() + _PAUSE_SECONDS
            # Of one outage it is told once.
            if not self._is_out:
                log.warning(
                    "desk.history_not_kept",
                    error=type(error).__name__,
                    consequence="the dashboard has a gap; jobs and decisions do not mind",
                    remedy="where Redis has an access control file, make it anew",
                )
            self._is_out = True

    def record(self, now_ms: int) -> int:
        """Record at an end of ten minutes; say how many milliseconds are left to the next.

        Raises:
            RedisError: When Redis does not answer, or does not allow it.
        """
        end_ms = end_before(now_ms)
        if now_ms - end_ms <= LATEST_MS:
            self._keep(end_ms)
        return end_ms + EVERY_MS - now_ms

    def _keep(self, end_ms: int) -> None:
        catalogue, date = self._desk.catalogue, date_of_reading(end_ms)
        book = read_books(self._desk.slices, [date])[date]
        readings = {task: step_readings(task, book, catalogue) for task in catalogue.tasks}
        for task in self._history.record(end_ms, readings):
            log.warning("desk.reading_too_large", task=task, consequence="it is a gap")
