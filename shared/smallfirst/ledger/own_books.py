"""A process's own books: what no settling script can book, written down every few seconds.

That is what no job took of a worker or a router, and attempts that end no job: their answers came
too late, or their jobs went back. All is summed up here and added to the day's hash, so that no job
waits for it. Where Redis does not answer, it is added the next time; where a reply was lost on its
way, it may be added twice.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

from redis.exceptions import RedisError

from smallfirst.jobs import Attempt
from smallfirst.ledger.books import Use, field_of_use
from smallfirst.ledger.ledger import Ledger
from smallfirst.ledger.seen import SeenJobs

#: Between two entries into the books.
EVERY_SECONDS: Final = 10.0


class OwnBooks:
    """The books of one process, entered into the fleet's first slice.

    Args:
        ledger: Of that slice.
        pool: Whose process it is; `@router` for a router.
        read: Tells what each use of the time came to since the process began.
        price_per_hour: Tells what an hour of it costs by now.
        seen: What the process has seen of jobs; left out, nothing is written down of it.
    """

    def __init__(
        self,
        ledger: Ledger,
        pool: str,
        read: Callable[[], Mapping[str, Use]],
        price_per_hour: Callable[[], float],
        seen: SeenJobs | None = None,
    ) -> None:
        self._ledger = ledger
        self._pool = pool
        self._read = read
        self._price_per_hour = price_per_hour
        self.seen = seen or SeenJobs()
        self._counts: dict[str, int] = {}
        self._entered: Mapping[str, Use] = {}
        self._attempts = defaultdict[str, float](float)
        self._due = 0.0
        self._lock = threading.Lock()

    def note_attempt(self, task: str, attempt: Attempt, outcome: str) -> None:
        """Take down an attempt that ended no job."""
        cell = f"{task}:{attempt.step}:{outcome}"
        amounts = {
            "jobs": 1.0,
            "seconds": attempt.seconds,
            "cost": attempt.cost,
            "tokens": float(attempt.tokens),
            "written": float(attempt.tokens_written),
            "joules": attempt.joules or 0.0,
            "metered": 0.0 if attempt.joules is None else attempt.seconds,
        }
        with self._lock:
            for kind, amount in amounts.items():
                self._attempts[f"{cell}:{kind}"] += amount

    def enter_if_due(self) -> None:
        """Enter what has come together, every few seconds.

        Raises:
            RedisError: When Redis does not answer; nothing is lost.
        """
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + EVERY_SECONDS
            self.enter()

    def enter(self) -> None:
        """Enter what has come together.

        Raises:
            RedisError: When Redis does not answer; nothing is lost.
        """
        with self._lock:
            told, attempts = dict(self._read()), dict(self._attempts)
            self._ledger.book({**attempts, **self._uses(told)})
            self._entered = told
            self._attempts.clear()
            self._enter_seen()

    def close(self) -> None:
        """Enter the rest, where Redis can be reached."""
        with suppress(RedisError):
            self.enter()

    def _enter_seen(self) -> None:
        """Write down what jobs were like; what Redis was not told is told the next time."""
        for name, count in self.seen.take().items():
            self._counts[name] = self._counts.get(name, 0) + count
        if self._counts:
            self._ledger.count_seen(self._counts)
            self._counts = {}

    def _uses(self, told: Mapping[str, Use]) -> dict[str, float]:
        """What each use has grown by since it was entered last, by where it is booked."""
        price, found = self._price_per_hour(), dict[str, float]()
        for use, now in told.items():
            was = self._entered.get(use, Use())
            seconds = now.seconds - was.seconds
            grown = {
                "seconds": seconds,
                "cost": seconds * price / 3600,
                "joules": now.joules - was.joules,
                "metered": now.metered_seconds - was.metered_seconds,
            }
            found |= {field_of_use(self._pool, use, unit): each for unit, each in grown.items()}
        return found
