"""What a worker has in its hands, on a real Redis: kept while it works, free when it lets go."""

from datetime import timedelta
from time import monotonic
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from tests.support.ledgers import queued_again
from tests.support.waiting import WaitUntil

from smallfirst.jobs import Priority
from smallfirst.ledger.entries import StreamEntry
from smallfirst.ledger.keys import POOL_GROUP, Keys
from smallfirst.ledger.ledger import Ledger
from smallfirst_workers.errors import EndpointDown
from smallfirst_workers.leases import LeaseKeeper

LEASE, NO_TIME = timedelta(seconds=60), timedelta(0)
BEAT = timedelta(milliseconds=1)
KEYS = Keys()
BACKLOG = KEYS.backlog("cpu", Priority.BULK)


def claimed(redis: Any, worker: Ledger) -> str:
    """One entry in a worker's hands, by the way that every entry goes."""
    redis.xadd(BACKLOG, {"producer": "default", "id": "a1", "job": "{}", "slip": "{}"})
    router = Ledger(redis, KEYS, "router-a")
    router.open([BACKLOG], POOL_GROUP)
    [entry] = router.read([BACKLOG], POOL_GROUP, count=1)
    router.queue(BACKLOG, [entry.entry])
    worker.claim(BACKLOG, [entry.entry])
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
    with pytest.raises(type(error)), holder.holding(BACKLOG, {entry: 1}):
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
        with pytest.raises(EndpointDown), holder.holding(BACKLOG, {entry: 1}):
            raise EndpointDown("far")
        assert [found.entry for found in recovered(redis)] == [entry]
        redis.xack(BACKLOG, POOL_GROUP, entry)
        redis.xdel(BACKLOG, entry)
    holder.close()


def holder_of(redis: Any, entry: str) -> tuple[str, int]:
    """Who holds an entry, and how many starts of it count."""
    [pending] = redis.xpending_range(BACKLOG, POOL_GROUP, entry, entry, 1)
    return pending["consumer"].decode(), pending["times_delivered"] - 1


@pytest.mark.parametrize("is_queued", [False, True])
def test_a_worker_takes_back_what_nobody_has_started_since(
    redis: Any, wait_until: WaitUntil, *, is_queued: bool
) -> None:
    """It stood still for longer than its lease; a router, or the queue, has its entry by then."""
    worker, router = Ledger(redis, KEYS, "worker-a"), Ledger(redis, KEYS, "router-b")
    holder = LeaseKeeper(worker, "cpu", lease=LEASE, beat=BEAT)
    entry = claimed(redis, worker)
    with holder.holding(BACKLOG, {entry: 1}):
        router.recover(BACKLOG, POOL_GROUP, lease=NO_TIME, queue_timeout=NO_TIME)
        if is_queued:
            router.queue(BACKLOG, [entry])
        holder.open()
        wait_until(lambda: holder_of(redis, entry) == ("worker-a", 1), description="it is back")
        assert router.renew(BACKLOG, POOL_GROUP, [entry]) == set()
        assert Ledger(redis, KEYS, "worker-b").claim(BACKLOG, [entry])[1] == []
    holder.close()


def test_a_worker_leaves_alone_what_another_has_started_since(
    redis: Any, wait_until: WaitUntil
) -> None:
    """And works on: until one of the two has ended it, it is in the hands of both."""
    worker, other = Ledger(redis, KEYS, "worker-a"), Ledger(redis, KEYS, "worker-b")
    holder = LeaseKeeper(worker, "cpu", lease=LEASE, beat=BEAT)
    entry, witness = claimed(redis, worker), claimed(redis, worker)
    queued_again(redis, entry)
    other.claim(BACKLOG, [entry])
    Ledger(redis, KEYS, "router-b").recover(
        BACKLOG, POOL_GROUP, lease=NO_TIME, queue_timeout=NO_TIME
    )
    other.keep(BACKLOG, {entry: 2})
    with holder.holding(BACKLOG, {entry: 1, witness: 1}):
        holder.open()
        wait_until(lambda: holder_of(redis, witness)[0] == "worker-a", description="it keeps")
        assert (holder_of(redis, entry), holder.holds(BACKLOG, entry)) == (("worker-b", 2), True)
        redis.xack(BACKLOG, POOL_GROUP, entry)
        wait_until(lambda: not holder.holds(BACKLOG, entry), description="the end is noticed")
    holder.close()


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

    with holder.holding(BACKLOG, {entry: 1}):
        wait_until(is_over, description="five leases have passed", timeout=30)
        assert (taken, holder.holds(BACKLOG, entry)) == ([], True)
    holder.close()


def test_what_is_given_back_twice_loses_one_start(redis: Any) -> None:
    """A reply that was lost makes a worker repeat itself: the start before stays counted."""
    worker = Ledger(redis, KEYS, "worker-a")
    entry = claimed(redis, worker)
    queued_again(redis, entry)
    worker.claim(BACKLOG, [entry])
    assert worker.give_back(BACKLOG, {entry: 2}, LEASE, is_undone=True) == {entry}
    assert worker.give_back(BACKLOG, {entry: 2}, LEASE, is_undone=True) == set()
    assert [found.starts for found in recovered(redis)] == [1]


def test_what_another_has_by_now_is_not_given_back(redis: Any) -> None:
    """A worker that was slow to give back takes no start from the next one, of the same number."""
    worker, other = Ledger(redis, KEYS, "worker-a"), Ledger(redis, KEYS, "worker-b")
    entry = claimed(redis, worker)
    worker.give_back(BACKLOG, {entry: 1}, LEASE, is_undone=True)
    queued_again(redis, entry)
    other.claim(BACKLOG, [entry])
    assert worker.give_back(BACKLOG, {entry: 1}, LEASE, is_undone=True) == set()
    assert holder_of(redis, entry) == ("worker-b", 1)


def test_what_is_given_back_with_a_pause_is_taken_over_after_it(
    redis: Any, wait_until: WaitUntil
) -> None:
    """Not at once, so that nobody turns in circles, and long before the lease is out."""
    worker = Ledger(redis, KEYS, "worker-a")
    entry = claimed(redis, worker)
    worker.give_back(BACKLOG, {entry: 1}, LEASE, is_undone=True, pause=timedelta(seconds=0.5))
    assert recovered(redis) == []
    wait_until(lambda: recovered(redis), description="a router takes it over", timeout=5)


def test_all_in_hand_is_given_back_at_once(redis: Any) -> None:
    """A worker told twice to go leaves its entries free, and no start of theirs counts."""
    worker = Ledger(redis, KEYS, "worker-a")
    holder = LeaseKeeper(worker, "cpu", lease=LEASE, beat=BEAT)
    entry = claimed(redis, worker)
    with holder.holding(BACKLOG, {entry: 1}):
        assert holder.give_back_all() == 1
        assert [(found.entry, found.starts) for found in recovered(redis)] == [(entry, 0)]
