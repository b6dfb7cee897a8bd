"""Another number of slices for a fleet that has come to rest.

A job's slice hangs on its id and on the number, so with another number nobody finds what is under
way. Whoever asks for a change makes sure first that nothing is.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from smallfirst.jobs import DEFAULT_PRODUCER
from smallfirst.ledger.producers import ProducerRegistry
from smallfirst.ledger.slices import Slice
from smallfirst.ledger.survey import FleetLoad
from smallfirst.wording import numbered


def hindrances(load: FleetLoad) -> list[str]:
    """Say what keeps a fleet from another number of slices now; nothing where it may have one."""
    jobs = load.jobs + load.escalations
    num_jobs = jobs.num_jobs + sum(pool.total.num_jobs for pool in load.pools.values())
    counts = (
        (load.routers, "router lives", "routers live"),
        (sum(pool.workers for pool in load.pools.values()), "worker lives", "workers live"),
        (num_jobs, "job has not ended", "jobs have not ended"),
        (load.dead_letters, "dead letter is kept", "dead letters are kept"),
    )
    return [numbered(count, one, many) for count, one, many in counts if count]


def resize(before: Sequence[Slice], after: Sequence[Slice]) -> None:
    """Write another number of slices down, and the producers in slices that are new.

    What is broken off is done by doing it again: the first slice's number is written last.
    """
    known = ProducerRegistry(before[0].redis, before[0].keys).read()
    for gone in before[len(after) :]:
        gone.redis.delete(*_lasting(gone))
    for each in reversed(after):
        registry = ProducerRegistry(each.redis, each.keys)
        for name, producer in known.items():
            if name != DEFAULT_PRODUCER:
                registry.write(name, producer)
        each.redis.set(each.keys.num_slices, len(after))


def _lasting(of: Slice) -> Iterator[str]:
    """The keys of a slice at rest that no TTL would take away."""
    keys, found = of.keys, of.redis.smembers(of.keys.pools)
    pools: Any = found
    yield from (keys.num_slices, keys.producers, keys.pools, keys.escalations, keys.due)
    for pool in pools:
        yield from keys.backlogs(pool.decode()).values()
    for name in ProducerRegistry(of.redis, keys).read():
        yield from (keys.of_producer(name).jobs, keys.of_producer(name).submissions)
