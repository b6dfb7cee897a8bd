"""A survey of a fleet: what waits where, in whose hands, for how long, and who is there to do it.

Whoever tells of a fleet asks here, so that no two tell otherwise. All counts are of one moment, but
for Celery's, whose Redis may be another: they come right after. No entry leaves Redis, so a look
costs the same however many jobs there are and however long.

A stream holds what is unread and what is pending, and nothing else, since what is settled is
deleted: so unread is the length without the pending entries. The group's own `lag` would be the
same, but for Redis before 7, which has none, and for a stream of which somebody deleted an unread
entry, where it is unknown or wrong.

An age is the time since the entry was written to the stream that it is in, by its id: how long a
job waits for this pool, whichever other steps it took before. A reclaim changes no id, and so no
age.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from importlib import resources
from operator import add
from typing import Any, Protocol

from redis import Redis
from redis.exceptions import ResponseError

from smallfirst.jobs import Priority
from smallfirst.ledger.celery_lists import CeleryLists
from smallfirst.ledger.holders import Holder
from smallfirst.ledger.keys import (
    POOL_GROUP,
    QUEUE_CONSUMER,
    ROUTER_GROUP,
    ROUTERS,
    WAITING_PREFIX,
    Keys,
)
from smallfirst.ledger.ledger import Ledger
from smallfirst.ledger.lives import DEAD_AFTER
from smallfirst.ledger.producers import ProducerRegistry
from smallfirst.ledger.slices import Slice

#: How an answer begins where a stream, or its consumer group, is not there yet.
_NOT_THERE = ("NOGROUP", "no such key")


@dataclass(frozen=True)
class StreamLoad:
    """The jobs of one stream, or of several, by who has them.

    Attributes:
        unread: Nobody has read them, or the pool that they are for is full.
        held: A router holds them: for the next batch, or to decide where they go.
        queued: They are in a batch that waits for a worker.
        working: A worker has them in hand.
        oldest_seconds: Since the oldest came into its stream; None where there is none.
    """

    unread: int = 0
    held: int = 0
    queued: int = 0
    working: int = 0
    oldest_seconds: float | None = None

    @property
    def pending(self) -> int:
        """How many are in anybody's hands."""
        return self.held + self.queued + self.working

    @property
    def num_jobs(self) -> int:
        """How many there are."""
        return self.unread + self.pending

    def __add__(self, other: "StreamLoad") -> "StreamLoad":
        ages = [age for age in (self.oldest_seconds, other.oldest_seconds) if age is not None]
        return StreamLoad(
            self.unread + other.unread,
            self.held + other.held,
            self.queued + other.queued,
            self.working + other.working,
            max(ages, default=None),
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


class UnreadAge(Protocol):
    """A way to learn since when the oldest unread entry of a stream has been there."""

    def ask(self, pipeline: Any, stream: str) -> None:
        """Add one command."""

    def since_ms(self, stream: str, reply: Any, *, unread: int, now_ms: int) -> int | None:
        """Read its reply; None where nothing is unread."""


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
        self._unread_age: UnreadAge = _ById(redis) if may_read_jobs else _BySight()

    def look(self, pools: Iterable[str]) -> FleetLoad:
        """Count everything that waits, for these pools and for the routers."""
        names = list(pools)
        own = {name: self._keys.of_producer(name).jobs for name in self._registry.read()}
        asked = self._streams(own.values(), names)
        now_ms = Ledger(self._redis, self._keys, "survey").now_ms()
        pipeline = self._redis.pipeline(transaction=True)
        self._ask(pipeline, asked, names, now_ms)
        replies = map(_found, pipeline.execute(raise_on_error=False))
        streams = {stream: self._read(stream, replies, now_ms) for stream in asked}
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
            pipeline.xlen(stream)
            pipeline.xpending(stream, group)
            self._unread_age.ask(pipeline, stream)
        alive_since = now_ms - round(DEAD_AFTER.total_seconds() * 1000)
        for pool in (ROUTERS, *pools):
            pipeline.zcount(self._keys.workers(pool), alive_since, "+inf")
        pipeline.xlen(self._keys.dead)

    def _read(self, stream: str, replies: Iterator[Any], now_ms: int) -> StreamLoad:
        num_entries, pending, unread_age = next(replies), next(replies) or {}, next(replies)
        counts = _counts(pending.get("consumers") or ())
        # Fewer than none: an entry that somebody deleted is pending until a router misses it.
        unread = max(0, num_entries - counts.pending)
        ages = self._unread_age
        since = ages.since_ms(stream, unread_age, unread=unread, now_ms=now_ms)
        if pending.get("min"):  # Read in the order of their ids: it is older than any unread one.
            since = _milliseconds(pending["min"])
        oldest = None if since is None else max(0, now_ms - since) / 1000
        return StreamLoad(unread, counts.held, counts.queued, counts.working, oldest)


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


class _ById:
    """Asks for the first entry's id."""

    def __init__(self, redis: Redis) -> None:
        lua = resources.files("smallfirst.ledger") / "lua" / "first_entry.lua"
        self._script = redis.register_script(lua.read_text())

    def ask(self, pipeline: Any, stream: str) -> None:
        self._script(keys=[stream], client=pipeline)

    def since_ms(self, stream: str, reply: Any, *, unread: int, now_ms: int) -> int | None:  # noqa: ARG002
        return _milliseconds(reply) if reply and unread else None


class _BySight:
    """Remembers since when each look saw unread entries."""

    def __init__(self) -> None:
        self._seen_ms: dict[str, int] = {}

    def ask(self, pipeline: Any, stream: str) -> None:
        pipeline.xinfo_groups(stream)

    def since_ms(self, stream: str, reply: Any, *, unread: int, now_ms: int) -> int | None:
        if not unread:
            self._seen_ms.pop(stream, None)
            return None
        # A stream has one group. Where much is unread, what was read last came just before it.
        read_ms = max(
            (_milliseconds(group["last-delivered-id"]) for group in reply or ()), default=0
        )
        return max(self._seen_ms.setdefault(stream, now_ms), read_ms)


def _counts(consumers: Iterable[Mapping[str, Any]]) -> StreamLoad:
    """Count pending entries by who has them; what waits for a pool to have room nobody has."""
    named = ((each["name"].decode(), int(each["pending"])) for each in consumers)
    by_name = {name: num for name, num in named if not name.startswith(WAITING_PREFIX)}
    holders = {name: Holder.parse(name) for name in by_name}
    held = sum(by_name[name] for name, holder in holders.items() if holder and holder.is_router)
    queued = by_name.get(QUEUE_CONSUMER, 0)
    return StreamLoad(held=held, queued=queued, working=sum(by_name.values()) - held - queued)


def _milliseconds(entry: bytes) -> int:
    """When an entry was written, as its id tells."""
    return int(entry.partition(b"-")[0])


def _found(reply: Any) -> Any:
    """Let a reply through; None where what was asked for is not there yet."""
    if isinstance(reply, ResponseError) and str(reply).startswith(_NOT_THERE):
        return None
    if isinstance(reply, Exception):
        raise reply
    return reply
