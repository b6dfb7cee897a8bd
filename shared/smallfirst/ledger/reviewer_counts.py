"""Counts of decisions: how many jobs each person decided on, hour by hour.

They tell of load, and nothing is decided by them: a count that is lost with a desk that is killed
between a decision and its count is lost.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from smallfirst.ledger.keys import date_of
from smallfirst.ledger.slices import Slice

#: For how long a day is kept.
_TTL_SECONDS: Final = 3 * 86_400
HOUR: Final = timedelta(hours=1)


class Decided(NamedTuple):
    """Whose decisions are counted together."""

    task: str
    person: str
    hour: datetime


def count_decision(of: Slice, task: str, person: str, now_ms: int, change: int = 1) -> None:
    """Count a decision, or one that is taken back (-1), in the hour of Redis's clock."""
    key, hour = of.keys.reviewers(date_of(now_ms)), datetime.fromtimestamp(now_ms / 1000, UTC).hour
    pipeline: Any = of.redis.pipeline(transaction=False)
    pipeline.hincrby(key, f"{task}:{person}:{hour}", change)
    pipeline.expire(key, _TTL_SECONDS)
    pipeline.execute()


def read_decisions(slices: Iterable[Slice], dates: Sequence[str]) -> dict[Decided, int]:
    """Read the counts of days (UTC, as YYYY-MM-DD), added up over the slices.

    One that was taken back in the next hour than it was made is counted there, where a sum may be
    less than none: it is shown as none.
    """
    sums: defaultdict[Decided, int] = defaultdict(int)
    for each in slices:
        pipeline: Any = each.redis.pipeline(transaction=False)
        for date in dates:
            pipeline.hgetall(each.keys.reviewers(date))
        for date, counts in zip(dates, pipeline.execute() if dates else (), strict=True):
            for who, count in _counts(date, counts):
                sums[who] += count
    return {who: max(0, count) for who, count in sums.items()}


def _counts(date: str, counts: Mapping[bytes, bytes]) -> Iterable[tuple[Decided, int]]:
    midnight = datetime.fromisoformat(date).replace(tzinfo=UTC)
    for name, count in counts.items():
        task, _, rest = name.decode().partition(":")
        person, _, hour = rest.partition(":")
        if hour.isdecimal():
            yield Decided(task, person, midnight + int(hour) * HOUR), int(count)
