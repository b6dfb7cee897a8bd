"""People's loads: what waits for people and how long still, counted without reading a job.

For who may count and not read, as the exporter; the desk counts its own way (`review`). A look at a
task costs the same however many jobs wait for people: beyond 1,000 of them, ages and ends are those
of the 1,000 whose waits end first, and who is in hand is counted among the 1,000 that were taken
first.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any, Final

from redis.exceptions import ResponseError

from smallfirst.ledger.keys import DECIDED_CONSUMER, POOL_GROUP
from smallfirst.ledger.ledger import PERSON_LEASE
from smallfirst.ledger.slices import Slice

#: How many of a task's jobs are looked at.
LOOKED_AT: Final = 1000
_LEASE_MS: Final = round(PERSON_LEASE.total_seconds() * 1000)


@dataclass(frozen=True)
class PeopleLoad:
    """What of one task waits for people.

    Attributes:
        num_waiting: Nobody has them in hand.
        num_held: A person has them in hand.
        num_decided: Answered, and not final yet.
        oldest_seconds: Since the oldest of all these came; None where there is none.
        first_end_seconds: Until the first wait ends of what nobody has in hand; negative where it
            is over; None where there is none such.
        least_left: The least share of its wait that is left to one of these; from 1 down.
    """

    num_waiting: int = 0
    num_held: int = 0
    num_decided: int = 0
    oldest_seconds: float | None = None
    first_end_seconds: float | None = None
    least_left: float | None = None

    def __add__(self, other: "PeopleLoad") -> "PeopleLoad":
        return PeopleLoad(
            self.num_waiting + other.num_waiting,
            self.num_held + other.num_held,
            self.num_decided + other.num_decided,
            max(_known(self.oldest_seconds, other.oldest_seconds), default=None),
            min(_known(self.first_end_seconds, other.first_end_seconds), default=None),
            min(_known(self.least_left, other.least_left), default=None),
        )


def look_at_people(
    slices: Sequence[Slice], tasks: Iterable[str], now_ms: int
) -> dict[str, PeopleLoad]:
    """Count what of each task waits for people, in all slices.

    Args:
        slices: Of the fleet.
        tasks: Those that ask people.
        now_ms: Redis's clock.
    """
    return {
        task: reduce(add, (_look(each, task, now_ms) for each in slices), PeopleLoad())
        for task in tasks
    }


def load_of(
    now_ms: int,
    num_jobs: int,
    ends_ms: Mapping[str, float],
    taken: Mapping[str, Mapping[str, Any]],
) -> PeopleLoad:
    """Sum up what Redis told of one task.

    Args:
        now_ms: Redis's clock.
        num_jobs: All that are not settled.
        ends_ms: When their waits end, by name, the first to end first.
        taken: Those that somebody took, by the same names.
    """
    decided = {name for name, row in taken.items() if _is_decided(row)}
    held = {name for name, row in taken.items() if _is_held(row)}
    free = {name: end for name, end in ends_ms.items() if name not in decided | held}
    left = [(end - now_ms) / max(1.0, end - _came_ms(name)) for name, end in free.items()]
    oldest = min(map(_came_ms, ends_ms), default=None)
    return PeopleLoad(
        num_waiting=max(0, num_jobs - len(held) - len(decided)),
        num_held=len(held),
        num_decided=len(decided),
        oldest_seconds=None if oldest is None else max(0, now_ms - oldest) / 1000,
        first_end_seconds=min(((end - now_ms) / 1000 for end in free.values()), default=None),
        least_left=min(left, default=None),
    )


def _look(slice_: Slice, task: str, now_ms: int) -> PeopleLoad:
    keys, streams = slice_.keys, slice_.keys.people(task)
    pipeline: Any = slice_.redis.pipeline(transaction=True)
    pipeline.zcard(keys.review(task))
    pipeline.zrange(keys.review(task), 0, LOOKED_AT - 1, withscores=True)
    for stream in streams.values():
        pipeline.xpending_range(stream, POOL_GROUP, "-", "+", LOOKED_AT)
    num_jobs, listed, *taken = pipeline.execute(raise_on_error=False)
    rows = {
        f"{priority}:{row['message_id'].decode()}": row
        for priority, found in zip(streams, taken, strict=True)
        for row in _rows(found)
    }
    ends = {member.decode(): end for member, end in _ok(listed)}
    return load_of(now_ms, _ok(num_jobs), ends, rows)


def _known(*values: float | None) -> list[float]:
    return [value for value in values if value is not None]


def _is_decided(row: Mapping[str, Any]) -> bool:
    return bool(row["consumer"] == DECIDED_CONSUMER.encode())


def _is_held(row: Mapping[str, Any]) -> bool:
    return not _is_decided(row) and bool(row["time_since_delivered"] < _LEASE_MS)


def _came_ms(name: str) -> int:
    """When a job came to wait for people, as the id of its entry tells."""
    return int(name.rpartition(":")[2].partition("-")[0])


def _rows(reply: Any) -> Sequence[Mapping[str, Any]]:
    """Rows of pending entries; none where the stream or its group is not there yet."""
    is_absent = isinstance(reply, ResponseError) and "NOGROUP" in str(reply)
    rows: Sequence[Mapping[str, Any]] = () if is_absent else _ok(reply)
    return rows


def _ok(reply: Any) -> Any:
    if isinstance(reply, Exception):
        raise reply
    return reply
