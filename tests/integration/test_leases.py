"""What a worker has in its hands, on a real Redis: kept while it works, free when it lets go."""

from datetime import timedelta
from time import monotonic
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from tests.support.waiting import WaitUntil

from smallfirst.jobs import Priority
from smallfirst.ledger.entries import StreamEntry
from smallfirst.ledger.keys import POOL_GROUP, Keys
from smallfirst.ledger.ledger import Ledger
from smallfirst_workers.errors import EndpointDown
from smallfirst_workers.leases import LeaseKeeper

LEASE = timedelta(seconds=60)
BEAT = timedelta(milliseconds=1)
KEYS = Keys()
BACKLOG = KEYS.backlog("cpu", Priority.BULK)


def claimed(redis: Any, worker: Ledger) -> str:
    """One entry in a worker's hands, by the way that every entry goes."""
    redis.xadd(BACKLOG, {"id": "a1", "job": "{}", "slip": "{}"})
    router = Ledger(redis, KEYS, "router-a")
    router.open([BACKLOG], POOL_GROUP)
    [entry] = router.read([BACKLOG], POOL_GROUP, count=1)
    router.queue(BACKLOG, [entry.entry])
    worker.claim(BACKLOG, [entry.entry], LEASE)
    return entry.entry


def recovered(redis: Any) -> list[StreamEntry]:
    """What a router finds that nobody holds."""
    router = Ledger(redis, KEYS, "router-b")
    return router.recover(BACKLOG, POOL_GROUP, lease=LEASE, queue_timeout=LEASE)


@pytest.mark.parametrize(
    ("error", "starts"),
    [(EndpointDown("far"), 0), (RedisConnectionError(), 0), (ValueError(), 1)],
)
def test_only_an_outage_costs_no_start(redis: Any, error: Exception, starts: int) -> None:
    """Whatever else a batch raises, one of its jobs may be to blame for."""
    worker = Ledger(redis, KEYS, "worker-a")
    holder = LeaseKeeper(worker, "cpu", lease=LEASE, beat=BEAT)
    entry = claimed(redis, worker)
    with pytest.raises(type(error)), holder.holding(BACKLOG, [entry]):
        raise error
    assert [(found.entry, found.starts) for found in recovered(redis)] == [(entry, starts)]


def test_what_is_given_back_is_free_at_once(redis: Any) -> None:
    """However often leases are renewed beside it, while the worker works and after it left."""
    worker = Ledger(redis, KEYS, "worker-a")
    holder = LeaseKeeper(worker, "cpu", lease=LEASE, beat=BEAT)
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


def test_a_lease_that_another_took_over_is_known_to_be_lost(
    redis: Any, wait_until: WaitUntil
) -> None:
    """The next renewal says so, and what is not held is not settled."""
    worker = Ledger(redis, KEYS, "worker-a")
    holder = LeaseKeeper(worker, "cpu", lease=LEASE, beat=BEAT)
    entry = claimed(redis, worker)
    with holder.holding(BACKLOG, [entry]):
        assert holder.holds(BACKLOG, entry)
        router = Ledger(redis, KEYS, "router-b")
        router.recover(BACKLOG, POOL_GROUP, lease=timedelta(0), queue_timeout=LEASE)
        holder.open()
        wait_until(lambda: not holder.holds(BACKLOG, entry), description="the loss is noticed")
    holder.close()


def test_a_worker_that_cannot_renew_knows_when_its_lease_is_over(redis: Any) -> None:
    """By its own monotonic clock, without Redis."""
    worker = Ledger(redis, KEYS, "worker-a")
    holder = LeaseKeeper(worker, "cpu", lease=LEASE, beat=BEAT)
    long_ago = monotonic() - LEASE.total_seconds()
    with (
        holder.holding(BACKLOG, ["1-0"], since=long_ago + 30),
        holder.holding(BACKLOG, ["2-0"], since=long_ago),
    ):
        assert holder.holds(BACKLOG, "1-0")
        assert not holder.holds(BACKLOG, "2-0")


def test_a_lease_is_kept_however_long_the_work_takes(redis: Any, wait_until: WaitUntil) -> None:
    """Work of many leases' length is never recovered while its worker lives."""
    lease = timedelta(seconds=1)
    worker = Ledger(redis, KEYS, "worker-a")
    holder = LeaseKeeper(worker, "cpu", lease=lease, beat=lease / 4)
    entry = claimed(redis, worker)
    router, begun = Ledger(redis, KEYS, "router-b"), monotonic()
    holder.open()
    taken: list[StreamEntry] = []

    def is_over() -> bool:
        taken.extend(router.recover(BACKLOG, POOL_GROUP, lease=lease * 3, queue_timeout=lease))
        return monotonic() - begun > 5

    with holder.holding(BACKLOG, [entry]):
        wait_until(is_over, description="five leases have passed", timeout=30)
        assert (taken, holder.holds(BACKLOG, entry)) == ([], True)
    holder.close()


def test_all_in_hand_is_given_back_at_once(redis: Any) -> None:
    """A worker told twice to go leaves its entries free, and no start of theirs counts."""
    worker = Ledger(redis, KEYS, "worker-a")
    holder = LeaseKeeper(worker, "cpu", lease=LEASE, beat=BEAT)
    entry = claimed(redis, worker)
    with holder.holding(BACKLOG, [entry]):
        assert holder.give_back_all() == 1
        assert [(found.entry, found.starts) for found in recovered(redis)] == [(entry, 0)]
