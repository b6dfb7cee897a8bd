"""Celery's lists, as far as a fleet counts them: batches that are published and not started.

Celery alone puts messages in and takes them out. Its Redis may be another than the ledger's, so no
script and no transaction joins the two.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from redis import Redis

from smallfirst.ledger.keys import Keys


@dataclass(frozen=True)
class PublishedBatches:
    """The batches of one pool that no worker has started.

    Attributes:
        num_batches: All of them.
        num_urgent: Those of interactive jobs that no worker has taken.
    """

    num_batches: int = 0
    num_urgent: int = 0


class CeleryLists:
    """The lists of one fleet's pools.

    Args:
        redis: Connected to where Celery's lists are.
        keys: Of the fleet, of any slice.
    """

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis: Any = redis
        self._keys = keys

    def hello(self) -> Any:
        """What this Redis says of itself to whoever connects. Needs no right."""
        return self._redis.execute_command("HELLO")

    def count_batches(self, pools: Iterable[str]) -> dict[str, PublishedBatches]:
        """Count the batches that each pool's workers have not started, in one round trip."""
        names = list(pools)
        if not names:
            return {}
        pipeline = self._redis.pipeline(transaction=False)
        for pool in names:
            for queue in self._keys.queues(pool).values():
                pipeline.llen(queue)
            pipeline.hlen(self._keys.unacked(pool))
        found = map(int, pipeline.execute())
        counts = zip(found, found, found, strict=True)
        return {
            pool: PublishedBatches(urgent + bulk + held, urgent)
            for pool, (urgent, bulk, held) in zip(names, counts, strict=True)
        }

    def forget_held(self, pool: str) -> None:
        """Forget which messages the pool's workers hold unstarted, since one of them has died.

        Nothing says which of them the dead had. What they had is not in the queue any more, and no
        longer counts as waiting. A message that a living worker holds stays with it; its entry
        here only counted it.
        """
        self._redis.delete(self._keys.unacked(pool), self._keys.unacked_index(pool))
