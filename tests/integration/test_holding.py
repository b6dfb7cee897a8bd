"""What a worker has in its hands, on a real Redis: kept while it works, free when it lets go."""

from datetime import timedelta
from typing import Any

import pytest

from smallfirst.jobs import Priority
from smallfirst.keys import POOL_GROUP, Keys
from smallfirst.ledger import Ledger, StreamEntry
from smallfirst_workers.errors import EndpointDown, ModelBroken
from smallfirst_workers.holding import Holder

LEASE = timedelta(seconds=60)
BEAT = timedelta(milliseconds=1)
KEYS = Keys()
BACKLOG = KEYS.backlog("cpu", Priority.BULK)


def claimed(redis: Any, worker: Ledger) -> str:
    """One entry in a worker's hands, by the way that every entry goes."""
    redis.xadd(BACKLOG, {"id": "a1", "job": "{}", "leg": "{}"})
    router = Ledger(redis, KEYS, "router-a")
    router.open([BACKLOG], POOL_GROUP)
    [entry] = router.read([BACKLOG], POOL_GROUP, count=1)
    router.queue(BACKLOG, [entry.entry])
    worker.claim(BACKLOG, [entry.entry], LEASE)
    return entry.entry


def recovered(redis: Any) -> list[StreamEntry]:
    """What a router finds that nobody holds."""
    router = Ledger(redis, KEYS, "router-b")
    return router.recover(BACKLOG, POOL_GROUP, lease=LEASE, patience=LEASE)


@pytest.mark.parametrize(
    ("error", "starts"),
    [(EndpointDown("far"), 0), (ModelBroken("near", "ValueError"), 0), (ValueError(), 1)],
)
def test_what_no_job_is_to_blame_for_costs_no_start(
    redis: Any, error: Exception, starts: int
) -> None:
    """Whatever else a batch raises, one of its jobs may be to blame for."""
    worker = Ledger(redis, KEYS, "worker-a")
    holder = Holder(worker, "cpu", lease=LEASE, beat=BEAT)
    entry = claimed(redis, worker)
    with pytest.raises(type(error)), holder.holding(BACKLOG, [entry]):
        raise error
    assert [(found.entry, found.starts) for found in recovered(redis)] == [(entry, starts)]


def test_what_is_given_back_is_free_at_once(redis: Any) -> None:
    """However often leases are renewed beside it, while the worker works and after it left."""
    worker = Ledger(redis, KEYS, "worker-a")
    holder = Holder(worker, "cpu", lease=LEASE, beat=BEAT)
    holder.open()
    for number in range(200):
        if number == 100:
            holder.leave()
        entry = claimed(redis, worker)
        with pytest.raises(EndpointDown), holder.holding(BACKLOG, [entry]):
            raise EndpointDown("far")
        assert [found.entry for found in recovered(redis)] == [entry]
        redis.xack(BACKLOG, POOL_GROUP, entry)
        redis.xdel(BACKLOG, entry)
    holder.close()
