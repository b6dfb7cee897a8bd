"""Loads of streams: how many jobs are in one, in whose hands, and for how long.

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
from importlib import resources
from typing import Any, Protocol

from redis import Redis
from redis.exceptions import ResponseError

from smallfirst.ledger.holders import Holder
from smallfirst.ledger.keys import QUEUE_CONSUMER, WAITING_PREFIX

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


class UnreadAge(Protocol):
    """A way to learn since when the oldest unread entry of a stream has been there."""

    def ask(self, pipeline: Any, stream: str) -> None:
        """Add one command."""

    def since_ms(self, stream: str, reply: Any, *, unread: int, now_ms: int) -> int | None:
        """Read its reply; None where nothing is unread."""


class ById:
    """Asks for the first entry's id."""

    def __init__(self, redis: Redis) -> None:
        lua = resources.files("smallfirst.ledger") / "lua" / "first_entry.lua"
        self._script = redis.register_script(lua.read_text())

    def ask(self, pipeline: Any, stream: str) -> None:
        """Add the script that tells it."""
        self._script(keys=[stream], client=pipeline)

    def since_ms(self, stream: str, reply: Any, *, unread: int, now_ms: int) -> int | None:  # noqa: ARG002
        """Since it was written."""
        return _milliseconds(reply) if reply and unread else None


class BySight:
    """Remembers since when each look saw unread entries."""

    def __init__(self) -> None:
        self._seen_ms: dict[str, int] = {}

    def ask(self, pipeline: Any, stream: str) -> None:
        """Add a look at what was read last."""
        pipeline.xinfo_groups(stream)

    def since_ms(self, stream: str, reply: Any, *, unread: int, now_ms: int) -> int | None:
        """Since when it was seen; never longer than it waits."""
        if not unread:
            self._seen_ms.pop(stream, None)
            return None
        # A stream has one group. Where much is unread, what was read last came just before it.
        read_ms = max(
            (_milliseconds(group["last-delivered-id"]) for group in reply or ()), default=0
        )
        return max(self._seen_ms.setdefault(stream, now_ms), read_ms)


def ask_load(pipeline: Any, stream: str, group: str, ages: UnreadAge) -> None:
    """Add the three commands whose replies `read_load` reads."""
    pipeline.xlen(stream)
    pipeline.xpending(stream, group)
    ages.ask(pipeline, stream)


def read_load(stream: str, replies: Iterator[Any], ages: UnreadAge, now_ms: int) -> StreamLoad:
    """Read what Redis told of one stream; its three replies are consumed."""
    num_entries, pending, unread_age = next(replies), next(replies) or {}, next(replies)
    counts = _counts(pending.get("consumers") or ())
    # Fewer than none: an entry that somebody deleted is pending until a router misses it.
    unread = max(0, num_entries - counts.pending)
    since = ages.since_ms(stream, unread_age, unread=unread, now_ms=now_ms)
    if pending.get("min"):  # Read in the order of their ids: it is older than any unread one.
        since = _milliseconds(pending["min"])
    oldest = None if since is None else max(0, now_ms - since) / 1000
    return StreamLoad(unread, counts.held, counts.queued, counts.working, oldest)


def found(reply: Any) -> Any:
    """Let a reply through; None where what was asked for is not there yet."""
    if isinstance(reply, ResponseError) and str(reply).startswith(_NOT_THERE):
        return None
    if isinstance(reply, Exception):
        raise reply
    return reply


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
