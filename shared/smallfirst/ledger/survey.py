"""A survey of a fleet: what waits where, in whose hands, for how long, and who is there to do it.

Whoever tells of a fleet asks here, so that no two tell otherwise. All counts are of one moment, but
for Celery's, whose Redis may be another: they come right after. No entry leaves Redis, so a look
costs the same however many jobs there are and however long.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

from redis import Redis

from smallfirst.jobs import Priority
from smallfirst.ledger.celery_lists import CeleryLists
from smallfirst.ledger.keys import POOL_GROUP, ROUTER_GROUP, ROUTERS, Keys
from smallfirst.ledger.ledger import Ledger
from smallfirst.ledger.lives import DEAD_AFTER
from smallfirst.ledger.producers import ProducerRegistry
from smallfirst.ledger.slices import Slice
from smallfirst.ledger.stream_loads import (
    ById,
    BySight,
    StreamLoad,
    UnreadAge,
    ask_load,
    found,
    read_load,
)


@dataclass(frozen=True)
class PoolLoad:
    """What waits for one pool.

    Attributes:
        streams: Its backlogs.
        batches: How many are published and not started.
        workers: How many live.
    """

    streams: Mapping[Priority, StreamLoad]
    batches: int
    workers: int

    @property
    def total(self) -> StreamLoad:
        """Both backlogs together."""
        return sum(self.streams.values(), StreamLoad())

    def __add__(self, other: "PoolLoad") -> "PoolLoad":
        """The same pool in two slices, which share its workers and its queue."""
        streams = {each: load + other.streams[each] for each, load in self.streams.items()}
        batches, workers = max(self.batches, other.batches), max(self.workers, other.workers)
        return PoolLoad(streams, batches, workers)


@dataclass(frozen=True)
class FleetLoad:
    """What waits in a fleet at one moment.

    Attributes:
        now_ms: That moment, by Redis's clock.
        producers: By name, what each has submitted and no router has settled.
        escalations: The same of what workers handed back.
        pools: By name, in the order asked.
        routers: How many live.
        dead_letters: How many are kept.
    """

    now_ms: int
    producers: Mapping[str, StreamLoad]
    escalations: StreamLoad
    pools: Mapping[str, PoolLoad]
    routers: int
    dead_letters: int

    @property
    def jobs(self) -> StreamLoad:
        """What all producers together have submitted."""
        return sum(self.producers.values(), StreamLoad())

    def __add__(self, other: "FleetLoad") -> "FleetLoad":
        """Two slices of one fleet, whose routers and workers serve both."""
        names = dict.fromkeys((*self.producers, *other.producers))
        mine, theirs, none = self.producers, other.producers, StreamLoad()
        return FleetLoad(
            now_ms=max(self.now_ms, other.now_ms),
            producers={name: mine.get(name, none) + theirs.get(name, none) for name in names},
            escalations=self.escalations + other.escalations,
            pools={name: pool + other.pools[name] for name, pool in self.pools.items()},
            routers=max(self.routers, other.routers),
            dead_letters=self.dead_letters + other.dead_letters,
        )


class Survey:
    """Looks at one slice of a fleet, as often as asked.

    Args:
        redis: Connected.
        keys: Of the fleet.
        lists: Of the fleet.
        may_read_jobs: Whether this connection's user has the right to. Of an entry that nobody has
            read, Redis tells the id only to who may read the text beside it. Without that right
            the age of unread entries, while none is in hand, counts from the first of the looks in
            a row that saw some, or from the newest entry that was read: never more than it is.
    """

    def __init__(
        self, redis: Redis, keys: Keys, lists: CeleryLists, *, may_read_jobs: bool
    ) -> None:
        self._redis: Any = redis
        self._keys = keys
        self._lists = lists
        self._registry = ProducerRegistry(redis, keys)
        self._unread_age: UnreadAge = ById(redis) if may_read_jobs else BySight()

    def look(self, pools: Iterable[str]) -> FleetLoad:
        """Count everything that waits, for these pools and for the routers."""
        names = list(pools)
        own = {name: self._keys.of_producer(name).jobs for name in self._registry.read()}
        asked = self._streams(own.values(), names)
        now_ms = Ledger(self._redis, self._keys, "survey").now_ms()
        pipeline = self._redis.pipeline(transaction=True)
        self._ask(pipeline, asked, names, now_ms)
        replies = map(found, pipeline.execute(raise_on_error=False))
        streams = {each: read_load(each, replies, self._unread_age, now_ms) for each in asked}
        workers = {pool: next(replies) for pool in (ROUTERS, *names)}
        batches = self._lists.count_batches(names)
        return FleetLoad(
            now_ms=now_ms,
            producers={name: streams[stream] for name, stream in own.items()},
            escalations=streams[self._keys.escalations],
            pools={
                pool: PoolLoad(
                    {each: streams[key] for each, key in self._keys.backlogs(pool).items()},
                    batches[pool].num_batches,
                    workers[pool],
                )
                for pool in names
            },
            routers=workers[ROUTERS],
            dead_letters=next(replies),
        )

    def _streams(self, submissions: Iterable[str], pools: Iterable[str]) -> dict[str, str]:
        """Every stream that jobs wait in, and the group that reads it."""
        backlogs = [stream for pool in pools for stream in self._keys.backlogs(pool).values()]
        read_by_routers = (*submissions, self._keys.escalations)
        return dict.fromkeys(read_by_routers, ROUTER_GROUP) | dict.fromkeys(backlogs, POOL_GROUP)

    def _ask(
        self, pipeline: Any, streams: Mapping[str, str], pools: list[str], now_ms: int
    ) -> None:
        """Add every command, in the order in which `look` reads the replies."""
        for stream, group in streams.items():
            ask_load(pipeline, stream, group, self._unread_age)
        alive_since = now_ms - round(DEAD_AFTER.total_seconds() * 1000)
        for pool in (ROUTERS, *pools):
            pipeline.zcount(self._keys.workers(pool), alive_since, "+inf")
        pipeline.xlen(self._keys.dead)


class FleetSurvey:
    """Looks at all slices of a fleet, one after the other, and adds up what it sees."""

    def __init__(self, slices: Iterable[Slice], lists: CeleryLists, *, may_read_jobs: bool) -> None:
        self._surveys = [
            Survey(each.redis, each.keys, lists, may_read_jobs=may_read_jobs) for each in slices
        ]

    def look(self, pools: Iterable[str]) -> FleetLoad:
        """Count everything that waits, for these pools and for the routers."""
        names = list(pools)
        return reduce(add, (survey.look(names) for survey in self._surveys))
