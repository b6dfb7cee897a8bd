"""Who lives of each pool, and how those ended who do not: what holders say of themselves."""

from datetime import timedelta
from typing import Any

from redis import Redis

from smallfirst.ledger.holders import process_of
from smallfirst.ledger.keys import Keys
from smallfirst.ledger.scripts import Scripts

#: A worker that was silent this long takes no new work: several beats must go missing. Together
#: with a router's second between two recoveries it keeps within the ten seconds after which a
#: killed worker's jobs have started elsewhere.
DEAD_AFTER = timedelta(seconds=7)
#: How long it is known how a process ended: the lease after which somebody asks is far shorter.
END_TTL = timedelta(hours=1)


class Lives:
    """The signs of life of a fleet's holders.

    Args:
        redis: Connected.
        keys: Of the fleet.
        holder: Whose own signs these are.
        scripts: Of the ledger.
    """

    def __init__(self, redis: Redis, keys: Keys, holder: str, scripts: Scripts) -> None:
        self._redis = redis
        self._keys = keys
        self._holder = holder
        self._scripts = scripts

    def beat(self, pool: str, *, leaving: bool = False) -> int:
        """Say that this worker lives, or leaves; return how many of the pool live."""
        return self._beat(pool, self._holder, "1" if leaving else "0")

    def count(self, pool: str) -> int:
        """Count the live workers of a pool."""
        return self._beat(pool, "", "0")

    def reap(self, pool: str) -> int:
        """Strike off the pool's dead workers; return how many there were."""
        keys = [self._keys.workers(pool)]
        return int(
            self._scripts.run("reap_workers", keys, [round(DEAD_AFTER.total_seconds() * 1000)])
        )

    def _beat(self, pool: str, holder: str, leaving: str) -> int:
        arguments = [holder, round(DEAD_AFTER.total_seconds() * 1000), leaving]
        return int(self._scripts.run("beat", [self._keys.workers(pool)], arguments))

    def note_end(self, process: str, words: str) -> None:
        """Write down how a process of `holders`, or its last failed batch, ended."""
        self._redis.set(self._keys.end(process), words, ex=END_TTL)

    def end_of(self, holder: str) -> str | None:
        """How a worker's process or last failed batch ended, where anybody has told."""
        process = process_of(holder)
        found: Any = self._redis.get(self._keys.end(process)) if process else None
        return found.decode() if found else None
