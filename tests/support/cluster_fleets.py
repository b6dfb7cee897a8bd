"""A local fleet over a Redis Cluster, and one face of its slices and of Celery's Redis.

Each process reaches Celery's Redis by a link of its own, which can be broken, and the cluster
straight.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from redis import Redis
from tests.support.clusters import Cluster
from tests.support.links import LinkedFleet

from smallfirst.ledger.keys import Keys
from smallfirst.ledger.slices import keys_of_slices
from smallfirst.local.redis_server import RedisServer


class ClusterFleet(LinkedFleet):
    """A fleet whose Redis of its own has Celery's lists alone; its slices are in a cluster.

    Args:
        catalogue_path: What the fleet serves.
        folder: For Redis's data and logs.
        cluster: Where the slices are.
        num_slices: How many it has.
        options: Of the fleet with links.
    """

    def __init__(
        self, catalogue_path: Path, folder: Path, cluster: Cluster, num_slices: int, **options: Any
    ) -> None:
        super().__init__(catalogue_path, folder, **options)
        self.cluster = cluster
        self.slices = keys_of_slices("sf", num_slices)

    def environment_of(self, child: str) -> dict[str, str]:
        """Name both, and the number of slices."""
        found = super().environment_of(child)
        return found | {
            "SMALLFIRST_REDIS_URL": self.cluster.url,
            "SMALLFIRST_BROKER_URL": found["SMALLFIRST_REDIS_URL"],
            "SMALLFIRST_SLICES": str(len(self.slices)),
        }

    def _start_redis(self, opening: ExitStack) -> RedisServer:
        """Start Celery's, and look for heartbeats in the cluster."""
        server = super()._start_redis(opening)
        self._redis = opening.enter_context(self.cluster.connect())
        return server


class SlicedRedis:
    """Whatever a command's first key is in: one of the slices, or Celery's Redis.

    Args:
        cluster: Where the slices are.
        slices: The keys of each.
        broker: Connected to Celery's Redis.
    """

    def __init__(self, cluster: Cluster, slices: Sequence[Keys], broker: Redis) -> None:
        self._cluster = cluster
        self._by_tag: dict[str, Any] = {keys.tag: cluster.connect() for keys in slices}
        self._broker = broker

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getattr__(self, command: str) -> Any:
        def run(key: str, *arguments: Any, **options: Any) -> Any:
            return getattr(self._of(key), command)(key, *arguments, **options)

        return run

    def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        """Ask each slice for those that it has."""
        by_slice: dict[int, list[str]] = defaultdict(list)
        for key in keys:
            by_slice[id(self._of(key))].append(key)
        found: dict[str, bytes | None] = {}
        for names in by_slice.values():
            found |= zip(names, self._of(names[0]).mget(names), strict=True)
        return [found[key] for key in keys]

    def scan_iter(self, *arguments: Any, **options: Any) -> Iterator[bytes]:
        """Walk over every node, and over Celery's Redis."""
        yield from self._broker.scan_iter(*arguments, **options)
        for node in self._cluster.nodes:
            with Redis(port=node.port) as redis:
                yield from redis.scan_iter(*arguments, **options)

    def close(self) -> None:
        """Close every connection."""
        self._broker.close()
        for redis in self._by_tag.values():
            redis.close()

    def _of(self, key: str) -> Any:
        return self._by_tag.get(f"{key.partition('}')[0]}}}", self._broker)
