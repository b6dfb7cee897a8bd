"""Looking: what Redis tells of the whole fleet, read at once for everybody who asks soon after.

Who may see what of it is `board`'s to decide.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import add
from threading import Lock
from typing import Any, Final, TypeVar

import structlog
from redis.exceptions import NoPermissionError

from smallfirst.audit.reporting import AuditReport, read_reports
from smallfirst.ledger.backlogs import Backlog, Backlogs
from smallfirst.ledger.books import Book, read_books
from smallfirst.ledger.history import EVERY_MS, MAX_READINGS, History, Reading, end_before
from smallfirst.ledger.keys import date_of
from smallfirst.ledger.review import TaskLoad
from smallfirst.ledger.reviewer_counts import Decided, read_decisions
from smallfirst_desk.desk import Desk

log = structlog.get_logger()

Found = TypeVar("Found")

#: For how long a look does for whoever asks: a page that is opened by many reads Redis once.
LOOK_SECONDS: Final = 5.0
#: How many days of the books are read, today among them.
NUM_DAYS: Final = 28
_HOUR_MS: Final = 3_600_000


@dataclass(frozen=True)
class PeopleTask:
    """What of a task waits for people.

    Attributes:
        load: Its counts.
        num_ending: How many waits end within an hour, in hand or not; None where not known.
    """

    load: TaskLoad
    num_ending: int | None


@dataclass(frozen=True)
class Look:
    """What was seen at one moment, of every task and pool. What could not be read is None.

    Attributes:
        now_ms: That moment, by Redis's clock.
        last_ms: The last end of ten minutes before it.
        history: The readings of each task by their end.
        books: By day (UTC), the last today.
        backlogs: By pool.
        people: By task that asks people.
        decisions: How many jobs each person decided on, by the hour, of yesterday and today.
        reports: What audits say, by task.
    """

    now_ms: int
    last_ms: int
    history: Mapping[str, Mapping[int, Reading]] | None = None
    books: Mapping[str, Book] | None = None
    backlogs: Mapping[str, Backlog] | None = None
    people: Mapping[str, PeopleTask] = field(default_factory=dict)
    decisions: Mapping[Decided, int] | None = None
    reports: Mapping[str, AuditReport] = field(default_factory=dict)

    @property
    def today(self) -> str:
        """The day (UTC) of this moment."""
        return date_of(self.now_ms)


def dates_until(now_ms: int, num_days: int) -> list[str]:
    """The last days (UTC), the last of them today."""
    today = datetime.fromtimestamp(now_ms / 1000, UTC).date()
    return [(today - timedelta(days=ago)).isoformat() for ago in reversed(range(num_days))]


class Looker:
    """Looks at a fleet for its dashboard.

    Args:
        desk: Whose slices and catalogue they are.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._history = History(desk.slices[0])
        self._backlogs = Backlogs(desk.slices)
        self._lock = Lock()
        self._last: tuple[float, Look] | None = None
        self._is_told = False
        #: The books of days that are over, which nobody writes any more.
        self._closed: dict[str, Book] = {}

    def look(self) -> Look:
        """What is seen now, or was a moment ago.

        Raises:
            RedisError: When Redis does not answer.
        """
        with self._lock:
            if self._last is None or time.monotonic() - self._last[0] > LOOK_SECONDS:
                found = self._look()
                self._last = (time.monotonic(), found)
            return self._last[1]

    def _look(self) -> Look:
        desk, catalogue, now_ms = self._desk, self._desk.catalogue, self._desk.clock_ms()
        last_ms = end_before(now_ms)
        since_ms = last_ms - (MAX_READINGS - 1) * EVERY_MS
        dates = dates_until(now_ms, NUM_DAYS)
        asking = [name for name, task in catalogue.tasks.items() if task.person_step is not None]
        audited = [name for name, task in catalogue.tasks.items() if task.audit is not None]
        return Look(
            now_ms=now_ms,
            last_ms=last_ms,
            history=self._allowed(lambda: self._history.read(catalogue.tasks, since_ms)),
            books=self._allowed(lambda: self._books(dates)),
            backlogs=self._allowed(lambda: self._backlogs.look(catalogue.pools, now_ms)),
            people={task: self._people_of(task, now_ms) for task in asking},
            decisions=self._allowed(lambda: read_decisions(desk.slices, dates[-2:])),
            reports=read_reports(desk.audits[0].said(audited)),
        )

    def _books(self, dates: list[str]) -> dict[str, Book]:
        """Read today's and yesterday's, which a job that began then may still be written in."""
        wanted = [date for date in dates if date not in self._closed or date in dates[-2:]]
        found = self._closed | read_books(self._desk.slices, wanted)
        self._closed = {date: found[date] for date in dates[:-2]}
        return {date: found[date] for date in dates}

    def _people_of(self, task: str, now_ms: int) -> PeopleTask:
        load = reduce(add, (each.load(task) for each in self._desk.reviews))
        return PeopleTask(load, self._allowed(lambda: self._num_ending(task, now_ms)))

    def _num_ending(self, task: str, now_ms: int) -> int:
        until_ms = now_ms + _HOUR_MS
        slices: list[tuple[Any, str]] = [
            (each.redis, each.keys.review(task)) for each in self._desk.slices
        ]
        return sum(redis.zcount(key, now_ms, until_ms) for redis, key in slices)

    def _allowed(self, read: Callable[[], Found]) -> Found | None:
        """Read what rights that were given before there was a dashboard may not allow."""
        try:
            return read()
        except NoPermissionError:
            if not self._is_told:
                self._is_told = True
                log.warning(
                    "desk.dashboard_not_allowed",
                    consequence="the dashboard says of some figures that they are not known",
                    remedy="make Redis's access control file anew (`smallfirst acl`)",
                )
            return None
