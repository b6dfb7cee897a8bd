"""Backlogs: how many jobs wait for each pool and for how long, and how many workers it has.

For who may count and not read a job, as the desk's dashboard; a whole fleet is told by `survey`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import Any

from smallfirst.ledger.keys import POOL_GROUP
from smallfirst.ledger.lives import DEAD_AFTER
from smallfirst.ledger.slices import Slice
from smallfirst.ledger.stream_loads import BySight, StreamLoad, ask_load, found, read_load


@dataclass(frozen=True)
class Backlog:
    """What waits for one pool.

    Attributes:
        load: Of both its streams.
        num_workers: How many live.
    """

    load: StreamLoad = field(default_factory=StreamLoad)
    num_workers: int = 0

    def __add__(self, other: "Backlog") -> "Backlog":
        """The same pool in two slices, which share its workers."""
        return Backlog(self.load + other.load, max(self.num_workers, other.num_workers))


class Backlogs:
    """Looks at the pools' backlogs in all slices, as often as asked.

    The age of what nobody has read yet counts from the first of the looks in a row that saw some:
    never more than it is.
    """

    def __init__(self, slices: Sequence[Slice]) -> None:
        self._looks = [(each, BySight()) for each in slices]

    def look(self, pools: Iterable[str], now_ms: int) -> dict[str, Backlog]:
        """Count what waits for each of these pools, by Redis's clock in milliseconds."""
        names = list(pools)
        found_in = [_look(each, ages, names, now_ms) for each, ages in self._looks]
        return {
            pool: reduce(add, (each[number] for each in found_in), Backlog())
            for number, pool in enumerate(names)
        }


def _look(of: Slice, ages: BySight, pools: Sequence[str], now_ms: int) -> list[Backlog]:
    # No transaction: counts that are a moment apart do for people, and it takes no further right.
    pipeline: Any = of.redis.pipeline(transaction=False)
    alive_since = now_ms - round(DEAD_AFTER.total_seconds() * 1000)
    for pool in pools:
        for stream in of.keys.backlogs(pool).values():
            ask_load(pipeline, stream, POOL_GROUP, ages)
        pipeline.zcount(of.keys.workers(pool), alive_since, "+inf")
    replies = map(found, pipeline.execute(raise_on_error=False) if pools else ())
    return [
        Backlog(
            sum(
                (
                    read_load(stream, replies, ages, now_ms)
                    for stream in of.keys.backlogs(pool).values()
                ),
                StreamLoad(),
            ),
            next(replies),
        )
        for pool in pools
    ]
