"""Submissions: the producers that there are, and what is known of their streams beside the entries.

Reading the entries is the ledger's.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from redis import Redis

from smallfirst.ledger.keys import Keys
from smallfirst.ledger.producers import Producer, ProducerRegistry
from smallfirst.ledger.scripts import Scripts
from smallfirst.results import LAST_MS


class Submissions:
    """The producers of one fleet, and their streams.

    Args:
        redis: Connected.
        keys: Of the fleet.
        scripts: Of the ledger.
    """

    def __init__(self, redis: Redis, keys: Keys, scripts: Scripts) -> None:
        self._redis: Any = redis
        self._keys = keys
        self._scripts = scripts

    def producers(self) -> dict[str, Producer]:
        """Every producer that there is, by name."""
        return ProducerRegistry(self._redis, self._keys).read()

    def register(self, weights: Mapping[str, int]) -> None:
        """Add these producers to the registry, or change their weights."""
        registry = ProducerRegistry(self._redis, self._keys)
        for name, weight in weights.items():
            registry.write(name, Producer(weight=weight))

    def origins_of(self, jobs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
        """The entries by which those of the jobs were submitted that are in flight.

        Args:
            jobs: Producer and id of each.
        """
        if not jobs:
            return {}
        pipeline = self._redis.pipeline(transaction=False)
        for producer, job_id in jobs:
            pipeline.hget(self._keys.of_producer(producer).job(job_id), "origin")
        found = zip(jobs, pipeline.execute(), strict=True)
        return {job: origin.decode() for job, origin in found if origin}

    def mend_ids(self, stream: str, group: str, tolerance: timedelta) -> tuple[timedelta, bool]:
        """Tell how far a stream's ids are ahead of the clock; make it anew where it is at rest.

        Returns:
            How far they were ahead, nothing within the tolerance; and whether that is mended.
        """
        arguments = [group, round(tolerance.total_seconds() * 1000)]
        ahead_ms, is_mended = self._scripts.run("mend_ids", [stream], arguments)
        return timedelta(milliseconds=min(int(ahead_ms), LAST_MS)), bool(is_mended)

    def count_destroyed(self, producer: str) -> int:
        """Count submissions that are gone and that nobody settled, as were not counted before."""
        own = self._keys.of_producer(producer)
        return int(self._scripts.run("count_destroyed", [own.jobs, own.submissions], []))
