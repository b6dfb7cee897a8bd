"""When submissions were first read whose ids claim the future, so that no deadline begins anew."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from redis import Redis

from smallfirst.ledger.entries import StreamEntry
from smallfirst.ledger.keys import Keys


class FirstSeen:
    """What is written down of such entries.

    Args:
        redis: Connected.
        keys: Of the fleet.
        ttl: For how long it is kept where nobody forgets it.
    """

    def __init__(self, redis: Redis, keys: Keys, ttl: timedelta) -> None:
        self._redis: Any = redis
        self._keys = keys
        self._ttl = ttl

    def note(self, entries: Sequence[StreamEntry], now_ms: int) -> list[StreamEntry]:
        """Know of entries whose ids claim the future when they were first read, by whomever.

        It is written down until `forget`, since what a dead router had read is read again, and its
        deadline must not begin anew.
        """
        early = [entry for entry in entries if entry.claimed_ms > now_ms]
        if not early:
            return list(entries)
        pipeline = self._redis.pipeline(transaction=False)
        for entry in early:
            key = self._key_of(entry)
            pipeline.set(key, now_ms, nx=True, ex=self._ttl)
            pipeline.get(key)
        names = [(entry.stream, entry.entry) for entry in early]
        told = dict(zip(names, pipeline.execute()[1::2], strict=True))
        return [_seen(entry, told.get((entry.stream, entry.entry))) for entry in entries]

    def forget(self, entries: Sequence[StreamEntry]) -> None:
        """Forget when entries that have ended were first seen, where it was written down."""
        keys = [self._key_of(each) for each in entries if each.seen_ms is not None]
        pipeline = self._redis.pipeline(transaction=False)
        for key in keys:
            pipeline.delete(key)
        pipeline.execute()

    def _key_of(self, entry: StreamEntry) -> str:
        """The key of when an entry was first seen; of the fleet's own streams too."""
        producer = self._keys.producer_of(entry.stream) or ""
        return self._keys.of_producer(producer).first_seen(entry.entry)


def _seen(entry: StreamEntry, told: bytes | None) -> StreamEntry:
    return entry if told is None else entry._replace(seen_ms=int(told))
