"""Cancelling copies: an administrator ends the copy of a job, as a producer would a job of its own.

Copies have no producer who could submit a cancellation; so for a moment they have a stream for it.
"""

from typing import Any

from smallfirst import results
from smallfirst.jobs import Status
from smallfirst.ledger.groups import make_group
from smallfirst.ledger.keys import ROUTER_GROUP, ROUTERS
from smallfirst.ledger.ledger import Ledger
from smallfirst.ledger.settlements import Cancel
from smallfirst.ledger.slices import Slice
from smallfirst.shadow.copies import SHADOW, copy_id


def cancel_copy(place: Slice, producer: str, job_id: str) -> tuple[str, str]:
    """End the copy of a job wherever it waits; what a worker has in hand counts for nothing.

    Returns:
        The stream and the entry where it stood: gone by now, or as soon as the worker is done.
    """
    redis: Any = place.redis
    own, copy = place.keys.of_producer(SHADOW), copy_id(producer, job_id)
    ledger = Ledger(redis, place.keys, f"{ROUTERS}/cli")
    now_ms = ledger.now_ms()
    result = results.without_job(
        copy, Status.CANCELLED, results.CANCELLED, submitted_ms=now_ms, now_ms=now_ms
    )
    at, stood = redis.hmget(own.job(copy), "at", "entry")
    make_group(redis, own.jobs, ROUTER_GROUP)
    entry = redis.xadd(own.jobs, {"cancel": copy}).decode()
    ledger.settle(own.jobs, ROUTER_GROUP, [Cancel(entry=entry, producer=SHADOW, result=result)])
    redis.delete(own.jobs)
    redis.delete(own.submissions)
    return (at or b"").decode(), (stood or b"").decode()
