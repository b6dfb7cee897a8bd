"""Links between a worker and Redis that break, freeze, are forgotten or slow: no job notices."""

import os
import signal
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from tests.support.invariants import (
    Stopwatch,
    assert_each_ended_once,
    assert_unchanged,
    digests,
    wait_until_at_rest,
)
from tests.support.links import Link, LinkedFleet
from tests.support.waiting import WaitUntil

from smallfirst import Client, Job
from smallfirst.jobs import Priority
from smallfirst.ledger.keys import POOL_GROUP, ROUTERS, Keys

pytestmark = pytest.mark.timeout(400)

KEYS = Keys()
OWN = KEYS.of_producer("default")
POOL = "cpu-small"
BULK = KEYS.backlog(POOL, Priority.BULK)
#: Long enough that a batch takes a while: there is a middle to be cut off in.
TEXT = "I forgot my password and cannot log in to my account. " * 20
#: How long a link is broken: ten leases.
CUT = timedelta(seconds=60)


@pytest.fixture(scope="module")
def fleet(small_catalogue: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LinkedFleet]:
    """Two workers and a router with the settings that everybody has, each with its own link."""
    folder = tmp_path_factory.mktemp("fleet")
    with LinkedFleet(small_catalogue, folder, slm_processes=2) as fleet:
        fleet.wait_ready(timedelta(minutes=4))
        yield fleet


@pytest.fixture
def fleet_redis(fleet: LinkedFleet) -> Iterator[Redis]:
    """The fleet's own Redis."""
    with Redis.from_url(fleet.redis_url) as redis:
        yield redis


@pytest.fixture
def worker_at_work(
    fleet: LinkedFleet, fleet_redis: Any, wait_until: WaitUntil
) -> Iterator[tuple[Link, list[str], Client, str]]:
    """Give a worker's link while a batch is in its hands, the jobs, and the worker's name."""
    with Client(fleet.redis_url) as client:
        ids = client.submit_many(jobs(80))
        held: list[str] = []

        def somebody_works() -> bool:
            held[:] = [name for name in holders(fleet_redis) if name.startswith(POOL)][:1]
            return bool(held)

        wait_until(somebody_works, description="a worker has a batch in hand")
        [child] = [n for n, pid in pids(fleet).items() if f"/{pid}/" in held[0]]
        yield fleet.links[child], ids, client, held[0]
    wait_until_at_rest(fleet_redis, [POOL])


def jobs(count: int) -> list[Job]:
    """Make jobs that nobody has asked before."""
    return [Job(task="topic", text=f"{n}: {time.time_ns()}: {TEXT}") for n in range(count)]


def holders(redis: Any) -> list[str]:
    """Everybody who has entries of the backlog in hand."""
    return [each["name"].decode() for each in redis.xpending(BULK, POOL_GROUP)["consumers"]]


def pids(fleet: LinkedFleet) -> dict[str, int]:
    """The process of each child."""
    return {name: child.pid for name, child in fleet.children().items()}


def living(redis: Any, name: str) -> set[str]:
    """Who of a pool, or of the routers, has said within its time that it lives."""
    seconds, microseconds = redis.time()
    since_ms = seconds * 1000 + microseconds // 1000 - 7000
    return {each.decode() for each in redis.zrangebyscore(KEYS.workers(name), since_ms, "+inf")}


def lives(redis: Any, holder: str) -> bool:
    """Whether a worker has said so within its time."""
    return holder in living(redis, POOL)


def test_a_worker_cut_off_for_a_minute_loses_its_work_to_another(
    fleet_redis: Any,
    worker_at_work: tuple[Link, list[str], Client, str],
    wait_until: WaitUntil,
) -> None:
    """Its lease passes on; what it says when it is back is fenced out; and it is back by itself."""
    link, ids, client, holder = worker_at_work
    link.cut()
    cut_at = time.monotonic()
    watch = Stopwatch("jobs of a worker that was cut off, all answered by the other")
    assert_each_ended_once(client.as_completed(ids, timeout=60), ids)
    watch.report()
    before = digests(fleet_redis, ids)
    wait_until(
        lambda: time.monotonic() - cut_at > CUT.total_seconds(),
        description="the link was cut for its time",
        timeout=CUT.total_seconds() + 1,
    )
    link.mend()
    watch = Stopwatch("a worker that was cut off is back")
    wait_until(lambda: lives(fleet_redis, holder), description="it is back", timeout=30)
    watch.report()
    assert_unchanged(fleet_redis, before)


def test_a_frozen_link_is_no_different(
    fleet_redis: Any,
    worker_at_work: tuple[Link, list[str], Client, str],
    wait_until: WaitUntil,
) -> None:
    """Nothing is closed, nothing arrives; and what was held back arrives when all is over."""
    link, ids, client, holder = worker_at_work
    link.freeze()
    watch = Stopwatch("jobs of a worker whose link froze, all answered by the other")
    assert_each_ended_once(client.as_completed(ids, timeout=60), ids)
    watch.report()
    before = digests(fleet_redis, ids)
    link.mend()
    wait_until(lambda: lives(fleet_redis, holder), description="it is back", timeout=30)
    assert_unchanged(fleet_redis, before)


def test_half_open_connections_are_left_by_the_worker_itself(
    fleet_redis: Any,
    worker_at_work: tuple[Link, list[str], Client, str],
    wait_until: WaitUntil,
) -> None:
    """The other side is gone for good and nobody says so: new connections are made in time."""
    link, ids, client, holder = worker_at_work
    link.forget()
    watch = Stopwatch("jobs of a worker whose connections were half open")
    assert_each_ended_once(client.as_completed(ids, timeout=60), ids)
    watch.report()
    wait_until(lambda: lives(fleet_redis, holder), description="it is back", timeout=30)
    # It takes messages again, too: Celery's own connection has been made anew.
    again: list[str] = []

    def it_has_work() -> bool:
        if not any(fleet_redis.xlen(stream) for stream in (OWN.jobs, BULK)):
            again.extend(client.submit_many(jobs(28)))
        return holder in holders(fleet_redis)

    watch = Stopwatch("such a worker takes messages again")
    wait_until(it_has_work, description="it has work in hand", timeout=60)
    watch.report()
    assert_each_ended_once(client.as_completed(again, timeout=60), again)


def test_a_slow_link_costs_time_and_nothing_else(
    fleet: LinkedFleet,
    fleet_redis: Any,
    worker_at_work: tuple[Link, list[str], Client, str],
) -> None:
    """A tenth of a second for each round trip of all: nobody loses a lease."""
    _, ids, client, _ = worker_at_work
    before = {name: living(fleet_redis, name) for name in (POOL, ROUTERS)}
    for link in fleet.links.values():
        link.slow_down(0.1)
    try:
        watch = Stopwatch("80 jobs over links of 100 ms")
        results = list(client.as_completed(ids, timeout=60))
        watch.report()
    finally:
        for link in fleet.links.values():
            link.mend()
    assert_each_ended_once(results, ids)
    assert {name: living(fleet_redis, name) for name in before} == before


def test_a_router_told_twice_leaves_at_once(
    fleet: LinkedFleet, fleet_redis: Any, wait_until: WaitUntil
) -> None:
    """Even from within a command whose answer never comes; its supervisor starts another."""
    before = living(fleet_redis, ROUTERS)
    pid, link = fleet.children()["router-1"].pid, fleet.links["router-1"]
    log = fleet.logs / "router-1.log"
    link.freeze()
    try:
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: "router.stopping" in log.read_text(), description="it heard the first")
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: "router.left" in log.read_text(), description="it left", timeout=5)
    finally:
        link.mend()

    def another_lives() -> bool:
        # The first could not say that it went: it counts until it has been silent for its time.
        now = living(fleet_redis, ROUTERS)
        return len(now) == 1 and now != before

    wait_until(another_lives, description="another lives, and it alone", timeout=60)
    assert log.read_text().count("router.started") == 2
