"""Cancelling copies: an administrator ends the copy of a job, as a producer would a job of its own.

Copies have no producer who could submit a cancellation; so for a moment they have a stream for it.
"""

from typing import Any, Final

from smallfirst import results
from smallfirst.jobs import Status
from smallfirst.ledger.keys import ROUTER_GROUP, ROUTERS, ProducerKeys
from smallfirst.ledger.ledger import Ledger
from smallfirst.ledger.settlements import Cancel
from smallfirst.ledger.slices import Slice
from smallfirst.shadow.copies import SHADOW, copy_id

#: How long that stream is kept where nobody deletes it.
CANCELLING_SECONDS: Final = 600


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
    entry = _submit(redis, own, copy)
    ledger.settle(own.jobs, ROUTER_GROUP, [Cancel(entry=entry, producer=SHADOW, result=result)])
    redis.delete(own.jobs)
    redis.delete(own.submissions)
    return (at or b"").decode(), (stood or b"").decode()


def _submit(redis: Any, own: ProducerKeys, copy: str) -> str:
    """Submit the cancellation of a copy; give its entry.

    Whoever is killed before both keys are deleted leaves nothing that stays.
    """
    pipeline = redis.pipeline(transaction=True)
    pipeline.xgroup_create(own.jobs, ROUTER_GROUP, id="0", mkstream=True)
    pipeline.xadd(own.jobs, {"cancel": copy})
    pipeline.hincrby(own.submissions, "settled", 0)
    for key in (own.jobs, own.submissions):
        pipeline.expire(key, CANCELLING_SECONDS)
    # Where another cancels a copy just now, the group is there.
    _, entry, *others = pipeline.execute(raise_on_error=False)
    for reply in (entry, *others):
        if isinstance(reply, Exception):
            raise reply
    return str(entry.decode())
