"""History: what stood in each task's books at the end of every ten minutes of the last day.

Sums are kept, not differences. So it does not matter who reads the books, nor how often: whichever
desk comes first at the end of ten minutes writes what stands there, and Redis refuses the others,
since an entry is called by that end. Where no desk was there, there is no entry; nothing is made
up between its neighbours.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import Field
from redis.exceptions import ResponseError

from smallfirst.jobs import Tier
from smallfirst.ledger.keys import date_of
from smallfirst.ledger.slices import Slice
from smallfirst.wire import OrNewer, Wire

#: Between two readings of the books.
EVERY: Final = timedelta(minutes=10)
EVERY_MS: Final = round(EVERY.total_seconds() * 1000)
#: The most readings of a task: a day, from its first moment to its last.
MAX_READINGS: Final = 24 * 6 + 1
#: The most bytes of one; that of a cascade of forty steps is smaller.
MAX_READING_BYTES: Final = 4096
#: For how long they are kept after the last.
HISTORY_TTL_SECONDS: Final = 2 * 86_400
#: How Redis's refusal of an entry begins that is there already.
_IS_THERE: Final = "The ID specified in XADD is equal or smaller"


class StepReading(Wire):
    """What is booked of one step since midnight (UTC)."""

    step: int = Field(ge=0, description="The step's place in the cascade.")
    tier: Annotated[Tier, Field(strict=False), OrNewer()] = Field(
        description="The step's tier at that time."
    )
    num_accepted: int = Field(ge=0, description="The number of its answers that stood.")
    num_attempts: int = Field(ge=0, description="The number of jobs that it tried.")


class Reading(Wire):
    """What stood in a task's books at one moment."""

    v: Literal[1] = 1
    steps: tuple[StepReading, ...] = Field(default=(), description="The steps, in order.")


def end_before(now_ms: int) -> int:
    """The end of the last ten minutes, in Redis's milliseconds."""
    return now_ms - now_ms % EVERY_MS


def date_of_reading(end_ms: int) -> str:
    """The day (UTC) whose books a reading tells: at midnight, the day that ends."""
    return date_of(end_ms - 1)


class History:
    """The readings of a fleet's tasks.

    Args:
        first: The fleet's first slice, where they are kept.
    """

    def __init__(self, first: Slice) -> None:
        self._redis: Any = first.redis
        self._keys = first.keys

    def record(self, end_ms: int, readings: Mapping[str, Reading]) -> list[str]:
        """Keep what stood in the books at an end of ten minutes, unless another desk has.

        Returns:
            The tasks whose reading is too large to be kept.
        """
        written = {task: each.to_json() for task, each in readings.items()}
        kept = {task: raw for task, raw in written.items() if len(raw) <= MAX_READING_BYTES}
        pipeline = self._redis.pipeline(transaction=False)
        for task, raw in kept.items():
            key = self._keys.history(task)
            fields, entry = {"reading": raw}, f"{end_ms}-0"
            pipeline.xadd(key, fields, id=entry, maxlen=MAX_READINGS, approximate=False)
            pipeline.expire(key, HISTORY_TTL_SECONDS)
        for reply in pipeline.execute(raise_on_error=False) if kept else ():
            if isinstance(reply, Exception) and not _is_there(reply):
                raise reply
        return [task for task in written if task not in kept]

    def read(self, tasks: Iterable[str], since_ms: int) -> dict[str, dict[int, Reading]]:
        """Read what is kept of tasks since a moment: each one's readings by their end.

        What is no reading, as of another version, is a gap.
        """
        names = list(tasks)
        pipeline = self._redis.pipeline(transaction=False)
        for task in names:
            pipeline.xrange(self._keys.history(task), since_ms, "+", MAX_READINGS)
        replies = pipeline.execute() if names else []
        return {task: _readings(rows) for task, rows in zip(names, replies, strict=True)}


def _readings(rows: Iterable[tuple[bytes, Mapping[bytes, bytes]]]) -> dict[int, Reading]:
    found: dict[int, Reading] = {}
    for entry, fields in rows:
        with suppress(ValueError, KeyError):
            end_ms = int(entry.partition(b"-")[0])
            found[end_ms] = Reading.model_validate_json(fields[b"reading"])
    return found


def _is_there(reply: Exception) -> bool:
    return isinstance(reply, ResponseError) and str(reply).startswith(_IS_THERE)
