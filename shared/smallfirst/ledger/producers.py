"""The producers of a fleet: who may submit, and what share of the fleet each has.

The registry is one hash. `default` is there without being in it, so that a fleet of one producer
needs none. Administrators write it, and routers that are told whom to register; routers read it,
and so does whoever tells of a fleet.
"""

from collections.abc import Mapping
from typing import Annotated, Any

import structlog
from pydantic import Field, ValidationError
from redis import Redis

from smallfirst.jobs import DEFAULT_PRODUCER, is_name
from smallfirst.ledger.groups import make_group
from smallfirst.ledger.keys import ROUTER_GROUP, Keys
from smallfirst.wire import Wire

log = structlog.get_logger()

#: The largest weight: beyond it a producer of weight 1 would hardly be served.
MAX_WEIGHT = 1000


#: A producer's share of the fleet, in proportion to the weights of the others.
Weight = Annotated[int, Field(ge=1, le=MAX_WEIGHT)]


class Producer(Wire):
    """What the registry tells of one producer."""

    weight: Weight = Field(
        default=1,
        description="Its share of the fleet, in proportion to the weights of the others.",
    )
    is_leaving: bool = Field(
        default=False, description="Whether it is removed as soon as nothing of it waits."
    )


class ProducerRegistry:
    """The producers of one fleet, as Redis has them."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis: Any = redis
        self._keys = keys

    def read(self) -> dict[str, Producer]:
        """Give every producer by name, in the order of the names."""
        found = self._redis.hgetall(self._keys.producers)
        return read_producers({name.decode(): raw for name, raw in found.items()})

    def write(self, name: str, producer: Producer) -> None:
        """Add a producer, whose stream is there from now on, or change one."""
        self._redis.hset(self._keys.producers, name, producer.to_json())
        make_group(self._redis, self._keys.of_producer(name).jobs, ROUTER_GROUP)

    def sweep(self) -> None:
        """Forget producers that leave and of whom nothing waits, and empty streams of nobody's."""
        leaving = [name for name, producer in self.read().items() if producer.is_leaving]
        empty = [name for name, count in self.strangers().items() if not count]
        for name in (*leaving, *empty):
            self._forget_if_empty(name)

    def strangers(self) -> dict[str, int]:
        """Count what stands in streams of producers that are not registered, and nobody reads."""
        known = self.read()
        streams = self._redis.scan_iter(match=self._keys.of_producer("*").jobs, count=10_000)
        found = {stream.decode(): self._keys.producer_of(stream.decode()) for stream in streams}
        strange = {name: key for key, name in found.items() if name and name not in known}
        return {name: self._redis.xlen(key) for name, key in sorted(strange.items())}

    def _forget_if_empty(self, name: str) -> None:
        """Forget a producer and its stream at once, where nothing stands there at that moment.

        One after the other, a job between the two would be confirmed and read by nobody.
        """
        stream = self._keys.of_producer(name).jobs

        def forget(pipeline: Any) -> None:
            is_empty = not pipeline.xlen(stream)
            pipeline.multi()
            if is_empty:
                pipeline.delete(stream)
                pipeline.hdel(self._keys.producers, name)

        self._redis.transaction(forget, stream)


def read_producers(found: Mapping[str, bytes]) -> dict[str, Producer]:
    """Make producers of the hash's fields, and add `default`."""
    named = {name: _read(name, raw) for name, raw in found.items() if is_name(name)}
    return dict(sorted({DEFAULT_PRODUCER: Producer(), **named}.items()))


def _read(name: str, raw: bytes) -> Producer:
    """Read one producer; what cannot be read must not keep its jobs waiting."""
    try:
        return Producer.model_validate_json(raw)
    except ValidationError:
        log.warning(
            "producer.unreadable",
            producer=name,
            consequence="its jobs are taken with weight 1",
            remedy=f"smallfirst producer add {name} writes it anew",
        )
        return Producer()
