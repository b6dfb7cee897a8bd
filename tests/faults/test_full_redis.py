"""Redis has no memory left, or no disk: clear refusals, and all goes on once there is room."""

import os
import resource
import signal
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import ResponseError
from tests.support.holders import pid_of
from tests.support.invariants import (
    Stopwatch,
    assert_each_ended_once,
    lasting_keys,
    wait_until_at_rest,
)
from tests.support.waiting import WaitUntil

from smallfirst import Client, Job
from smallfirst.errors import FleetRefused
from smallfirst.ledger.keys import Keys
from smallfirst.local.fleet import LocalFleet

pytestmark = pytest.mark.timeout(300)

KEYS = Keys()
OWN = KEYS.of_producer("default")
POOL = "cpu-small"
TEXT = "I forgot my password and cannot log in to my account. " * 20


@pytest.fixture(scope="module")
def fleet(small_catalogue: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalFleet]:
    """The demo's fleet with two workers and a Redis that writes to disk."""
    folder = tmp_path_factory.mktemp("fleet")
    with LocalFleet(small_catalogue, folder, slm_processes=2, flower=False) as fleet:
        fleet.wait_ready(timedelta(minutes=4))
        yield fleet


@pytest.fixture
def fleet_redis(fleet: LocalFleet) -> Iterator[Redis]:
    """The fleet's own Redis."""
    with Redis.from_url(fleet.redis_url) as redis:
        yield redis


def jobs(count: int) -> list[Job]:
    """Make jobs that nobody has asked before."""
    return [Job(task="topic", text=f"{n}: {time.time_ns()}: {TEXT}") for n in range(count)]


def pids(fleet: LocalFleet) -> dict[str, int]:
    """The process of each child."""
    return {name: child.pid for name, child in fleet.children().items()}


def refuses_to_write(redis: Any) -> bool:
    """Whether Redis has noticed that it is full."""
    try:
        redis.set("sf:celery:probe", "1", ex=60)
    except ResponseError:
        return True
    return False


def test_a_full_memory_refuses_producers_and_stops_nobody(
    fleet: LocalFleet, fleet_redis: Any, wait_until: WaitUntil
) -> None:
    """What is in hand is answered, workers go on saying that they live; then there is room."""
    before, [ceiling] = pids(fleet), fleet_redis.config_get("maxmemory").values()
    with Client(fleet.redis_url) as client:
        ids = client.submit_many(jobs(150))
        wait_until(lambda: holds_work(fleet_redis), description="a worker has a batch in hand")
        fleet_redis.config_set("maxmemory", 1_000_000)
        try:
            assert refuses_to_write(fleet_redis)
            num_done = sum(fleet_redis.exists(OWN.result(name)) for name in ids)
            wait_until(
                lambda: sum(fleet_redis.exists(OWN.result(name)) for name in ids) > num_done,
                description="what is in hand is answered although memory is full",
                timeout=20,
            )
            with pytest.raises(FleetRefused, match="memory is full"):
                client.submit(jobs(1)[0])
            # Well past the time after which a silent worker is dead.
            began = time.monotonic()
            wait_until(
                lambda: time.monotonic() - began > 9, description="a while passes", timeout=10
            )
            assert num_alive(fleet_redis) == 2
        finally:
            fleet_redis.config_set("maxmemory", ceiling)
        watch = Stopwatch("all jobs are answered once memory has room")
        assert_each_ended_once(client.as_completed(ids, timeout=90), ids)
        watch.report()
    assert pids(fleet) == before
    wait_until_at_rest(fleet_redis, [POOL])
    assert not lasting_keys(fleet_redis)


def test_a_full_disk_refuses_producers_and_ends_nobody(
    fleet: LocalFleet, fleet_redis: Any, wait_until: WaitUntil
) -> None:
    """Redis refuses every write for a while; then all of it is answered, by the same processes."""
    before = pids(fleet)
    with Client(fleet.redis_url) as client:
        ids = client.submit_many(jobs(150))
        wait_until(lambda: holds_work(fleet_redis), description="a worker has a batch in hand")
        limits = resource.prlimit(before["redis"], resource.RLIMIT_FSIZE)
        resource.prlimit(before["redis"], resource.RLIMIT_FSIZE, (1, limits[1]))
        try:
            wait_until(lambda: refuses_to_write(fleet_redis), description="the disk is full")
            with pytest.raises(FleetRefused, match="MISCONF"):
                client.submit(jobs(1)[0])
            began = time.monotonic()
            wait_until(
                lambda: time.monotonic() - began > 12, description="a while passes", timeout=13
            )
        finally:
            resource.prlimit(before["redis"], resource.RLIMIT_FSIZE, limits)
        wait_until(lambda: not refuses_to_write(fleet_redis), description="there is room")
        watch = Stopwatch("all jobs are answered once the disk has room")
        assert_each_ended_once(client.as_completed(ids, timeout=120), ids)
        watch.report()
    assert pids(fleet) == before
    wait_until_at_rest(fleet_redis, [POOL])
    assert not lasting_keys(fleet_redis)


def test_a_worker_that_starts_while_memory_is_full_waits_for_it(
    fleet: LocalFleet, fleet_redis: Any, wait_until: WaitUntil
) -> None:
    """It cannot bind its queue, and tries again; when there is room it serves, the same process."""
    before, [ceiling] = pids(fleet), fleet_redis.config_get("maxmemory").values()
    name = next(name for name in before if name.startswith("worker-"))
    log = fleet.logs / f"{name}.log"
    fleet_redis.config_set("maxmemory", 1_000_000)
    try:
        os.kill(before[name], signal.SIGKILL)
        wait_until(lambda: pids(fleet)[name] != before[name], description="another starts")
        started = pids(fleet)
        wait_until(
            lambda: log.read_text().count("refuses to write") >= 2,
            description="it has tried to bind its queue",
            timeout=60,
        )
        assert not has_begun(fleet_redis, started[name])
    finally:
        fleet_redis.config_set("maxmemory", ceiling)
    wait_until(lambda: has_begun(fleet_redis, started[name]), description="it serves", timeout=30)
    assert pids(fleet) == started


def has_begun(redis: Any, pid: int) -> bool:
    """Whether a worker of this process has said that it lives."""
    return any(pid_of(name) == pid for name in redis.zrange(KEYS.workers(POOL), 0, -1))


def holds_work(redis: Any) -> bool:
    """Whether a worker has entries in its hands."""
    streams = KEYS.backlogs(POOL).values()
    found = [consumer for s in streams for consumer in redis.xpending(s, "pool")["consumers"]]
    return any(consumer["name"].startswith(POOL.encode()) for consumer in found)


def num_alive(redis: Any) -> int:
    """How many workers have said so within their time."""
    seconds, microseconds = redis.time()
    since = seconds * 1000 + microseconds // 1000 - 7000
    return int(redis.zcount(KEYS.workers(POOL), since, "+inf"))
