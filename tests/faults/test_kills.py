"""Kills: a process dies at the worst moment, and every job still ends in one result."""

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from tests.support.holders import pid_of
from tests.support.invariants import assert_unchanged, digests
from tests.support.waiting import WaitUntil

from smallfirst import Client, Job
from smallfirst.jobs import Priority, Status
from smallfirst.ledger.holders import process_here, process_of
from smallfirst.ledger.keys import POOL_GROUP, ROUTERS, Keys
from smallfirst.local.fleet import LocalFleet

from .conftest import LEASE_SECONDS, fleet_in

pytestmark = pytest.mark.timeout(300)

KEYS = Keys()
OWN = KEYS.of_producer("default")
BULK = KEYS.backlog("cpu-small", Priority.BULK)
#: Long enough that a batch takes a while: there is a middle to be killed in.
TEXT = "I forgot my password and cannot log in to my account. " * 20


@pytest.fixture(scope="module")
def struck_fleet(
    tmp_path_factory: pytest.TempPathFactory, small_catalogue: Path
) -> Iterator[LocalFleet]:
    """A fleet that is struck by one test after the other."""
    with fleet_in(tmp_path_factory.mktemp("struck"), small_catalogue) as fleet:
        yield fleet


@pytest.fixture
def fleet(struck_fleet: LocalFleet, wait_until: WaitUntil) -> LocalFleet:
    """That fleet as it was at first: all its processes at work, and nobody counted besides."""
    with Redis.from_url(struck_fleet.redis_url) as redis:
        wait_until(lambda: is_whole(struck_fleet, redis), description="it is whole", timeout=60)
    return struck_fleet


def is_whole(fleet: LocalFleet, redis: Any) -> bool:
    """Whether those who have lately said that they live are all processes, and nobody else."""
    seconds, _ = redis.time()
    since_ms = (seconds - LEASE_SECONDS) * 1000
    names = [
        name.decode()
        for group in ("cpu-small", ROUTERS)
        for name in redis.zrangebyscore(KEYS.workers(group), since_ms, "+inf")
    ]
    return {process_of(name) for name in names} == processes(fleet, "worker-", "router-")


def processes(fleet: LocalFleet, *prefixes: str) -> set[str]:
    """Those of a fleet's processes whose names begin so, as a holder's name has them."""
    children = fleet.children().items()
    return {process_here(child.pid) for name, child in children if name.startswith(prefixes)}


def jobs(count: int) -> list[Job]:
    """Make jobs that take their time."""
    return [Job(task="topic", text=f"{n}: {TEXT}") for n in range(count)]


def num_handed_back(fleet: LocalFleet) -> int:
    """How often a worker has handed back what it had in hand."""
    return sum(
        log.read_text().count("worker.handed_back") for log in fleet.logs.glob("worker-*.log")
    )


def holders(redis: Any, stream: str, group: str) -> dict[str, int]:
    """Who holds how many entries of a stream."""
    found: Any = redis.xpending(stream, group)
    return {c["name"].decode(): c["pending"] for c in found["consumers"]}


def worker_at_work(redis: Any) -> str | None:
    """A worker that has entries in its hands."""
    names = [name for name in holders(redis, BULK, POOL_GROUP) if name.startswith("cpu-small/")]
    return names[0] if names else None


def router_with_jobs(redis: Any) -> str | None:
    """A router that has read jobs and not published them."""
    found = holders(redis, BULK, POOL_GROUP)
    return next((name for name in found if name.startswith(ROUTERS)), None)


def strike(
    find: Callable[[Any], str | None], redis: Any, wait_until: WaitUntil, number: signal.Signals
) -> None:
    """Wait until somebody has work in hand, and send that process a signal."""
    found: list[str | None] = []

    def is_found() -> bool:
        found[:] = [find(redis)]
        return found[0] is not None

    wait_until(is_found, description=f"{find.__name__} finds somebody")
    assert found[0] is not None
    os.kill(pid_of(found[0]), number)


def all_ended_once(client: Client, ids: list[str]) -> None:
    """Every id has one result, and it is an answer."""
    results = list(client.as_completed(ids, timeout=240))
    assert Counter(result.id for result in results) == Counter(ids)
    assert {result.status for result in results} <= {Status.ANSWERED, Status.ABSTAINED}


def nothing_left(redis: Any) -> bool:
    """No entry is left in any stream of work."""
    streams = [OWN.jobs, KEYS.escalations, *KEYS.backlogs("cpu-small").values()]
    return not any(redis.xlen(stream) for stream in streams)


def test_a_worker_killed_in_mid_batch_loses_nothing(
    fleet: LocalFleet, fleet_redis: Any, wait_until: WaitUntil
) -> None:
    """What it had in its hands is answered by another, once."""
    with Client(fleet.redis_url) as client:
        ids = client.submit_many(jobs(80))
        strike(worker_at_work, fleet_redis, wait_until, signal.SIGKILL)
        all_ended_once(client, ids)
    wait_until(lambda: nothing_left(fleet_redis), description="no entry is left")


def test_a_router_killed_while_it_holds_jobs_loses_nothing(
    fleet: LocalFleet, fleet_redis: Any, wait_until: WaitUntil
) -> None:
    """What it had read and not published is published by its peer."""
    with Client(fleet.redis_url) as client:
        ids = client.submit_many(jobs(80))
        strike(router_with_jobs, fleet_redis, wait_until, signal.SIGKILL)
        all_ended_once(client, ids)
    wait_until(lambda: nothing_left(fleet_redis), description="no entry is left")


def test_a_lost_message_is_only_a_delay(
    fleet: LocalFleet, fleet_redis: Any, wait_until: WaitUntil
) -> None:
    """Celery's list is emptied under the fleet; the ledger still knows every job."""
    with Client(fleet.redis_url) as client:
        ids = client.submit_many(jobs(80))
        queue = KEYS.queue("cpu-small", Priority.BULK)
        wait_until(lambda: fleet_redis.llen(queue), description="a batch waits in the queue")
        fleet_redis.delete(queue)
        all_ended_once(client, ids)
    wait_until(lambda: nothing_left(fleet_redis), description="no entry is left")


def test_a_stopped_worker_finishes_and_hands_over(
    fleet: LocalFleet, fleet_redis: Any, wait_until: WaitUntil
) -> None:
    """SIGTERM in mid-batch: the batch is settled, and no start of any job was in vain."""
    with Client(fleet.redis_url) as client:
        ids = client.submit_many(jobs(80))
        strike(worker_at_work, fleet_redis, wait_until, signal.SIGTERM)
        all_ended_once(client, ids)
    wait_until(lambda: nothing_left(fleet_redis), description="no entry is left")


def test_a_worker_that_was_paused_does_no_harm_when_it_goes_on(
    fleet: LocalFleet, fleet_redis: Any, wait_until: WaitUntil
) -> None:
    """Stopped in mid-batch until others have answered, then continued: what it says is fenced."""
    with Client(fleet.redis_url) as client:
        ids = client.submit_many(jobs(80))
        wait_until(lambda: worker_at_work(fleet_redis), description="a worker has work in hand")
        pid = pid_of(worker_at_work(fleet_redis) or "")
        os.kill(pid, signal.SIGSTOP)
        try:
            all_ended_once(client, ids)
            before = digests(fleet_redis, ids)
        finally:
            os.kill(pid, signal.SIGCONT)
        more = client.submit_many(jobs(20))
        all_ended_once(client, more)
    assert_unchanged(fleet_redis, before)
    wait_until(lambda: nothing_left(fleet_redis), description="no entry is left")


def test_a_worker_told_twice_hands_back_at_once(
    fleet: LocalFleet, fleet_redis: Any, wait_until: WaitUntil
) -> None:
    """The second SIGTERM waits for no batch: what was in hand is another's, and cost no start."""
    before = num_handed_back(fleet)
    with Client(fleet.redis_url) as client:
        ids = client.submit_many(jobs(80))
        names: list[str] = []

        def somebody_works() -> bool:
            names[:] = [name for name in [worker_at_work(fleet_redis)] if name]
            return bool(names)

        wait_until(somebody_works, description="a worker has a batch in hand")
        os.kill(pid_of(names[0]), signal.SIGTERM)
        living = KEYS.workers("cpu-small")
        wait_until(
            lambda: fleet_redis.zscore(living, names[0]) is None,
            description="the worker has signed off",
        )
        os.kill(pid_of(names[0]), signal.SIGTERM)
        all_ended_once(client, ids)
    assert num_handed_back(fleet) == before + 1
    wait_until(lambda: nothing_left(fleet_redis), description="no entry is left")


def test_a_killed_redis_comes_back_with_every_job(
    fleet: LocalFleet, fleet_redis: Any, wait_until: WaitUntil
) -> None:
    """Routers, workers and producer wait for it, and go on: no job is lost, none is doubled."""
    with Client(fleet.redis_url) as client:
        ids = client.submit_many(jobs(80))
        wait_until(lambda: worker_at_work(fleet_redis), description="a batch is in hand")
        before = fleet_redis.info("server")["process_id"]
        os.kill(before, signal.SIGKILL)
        all_ended_once(client, ids)
        assert fleet_redis.info("server")["process_id"] != before
    wait_until(lambda: nothing_left(fleet_redis), description="no entry is left")


def test_routers_say_that_they_live(fleet: LocalFleet, fleet_redis: Any) -> None:
    """Both are in the list by which `doctor` and a supervisor know them."""
    assert fleet.addresses is not None
    names = [name.decode() for name in fleet_redis.zrange(KEYS.workers(ROUTERS), 0, -1)]
    assert len(routers := processes(fleet, "router-")) == 2
    assert routers <= {process_of(name) for name in names}
