"""A failover under load: three Sentinels, a master that freezes, a replica that takes over."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from redis import Redis, Sentinel
from redis.exceptions import RedisError
from redis.sentinel import MasterNotFoundError
from tests.support.invariants import (
    Stopwatch,
    assert_each_ended_once,
    lasting_keys,
    wait_until_at_rest,
)
from tests.support.waiting import WaitUntil

from smallfirst import Client, Job
from smallfirst.ledger.keys import Keys
from smallfirst.local.fleet import LocalFleet
from smallfirst.local.processes import Child, Command, stop_children
from smallfirst.local.redis_server import find_binary, free_port

pytestmark = pytest.mark.timeout(300)

KEYS = Keys()
POOL, MASTER, NUM_SENTINELS = "cpu-small", "fleet", 3
DOWN_AFTER_MS = 2000
TEXT = "I forgot my password and cannot log in to my account. " * 10


class WatchedFleet(LocalFleet):
    """A local fleet whose Redis has a replica, and whose processes ask Sentinels where it is."""

    def __init__(self, catalogue_path: Path, folder: Path) -> None:
        super().__init__(catalogue_path, folder, slm_processes=2, routers=2, flower=False)
        self.replica_port = free_port()
        self.sentinel_ports: list[int] = []
        self._watchers: list[Child] = []

    @property
    def sentinel_url(self) -> str:
        """What every component is told."""
        places = ",".join(f"127.0.0.1:{port}" for port in self.sentinel_ports)
        return f"redis+sentinel://{places}/{MASTER}/0"

    def master(self) -> int:
        """The port of the master that the Sentinels name."""
        sentinel: Any = Sentinel  # it publishes no types
        group = sentinel([("127.0.0.1", port) for port in self.sentinel_ports])
        return int(group.discover_master(MASTER)[1])

    def has_other_master(self, than: int) -> bool:
        """Whether a failover is over; in its midst there is no master at all."""
        with suppress(MasterNotFoundError):
            return self.master() != than
        return False

    def stop(self) -> None:
        """Stop the fleet, then who watches its Redis."""
        super().stop()
        stop_children(self._watchers)

    def redis_url_of(self, child: str) -> str:  # noqa: ARG002 - the same for each
        """Lead every process to the Sentinels."""
        if not self._watchers:
            self._watch(urlsplit(self.redis_url).port or 0)
        return self.sentinel_url

    def _watch(self, master: int) -> None:
        replica = ("--port", str(self.replica_port), "--replicaof", "127.0.0.1", str(master))
        self._run("replica", *replica, "--save", "", "--bind", "127.0.0.1")
        for number in range(NUM_SENTINELS):
            port = free_port()
            file = self.folder / f"sentinel-{number}.conf"
            file.write_text(
                f"port {port}\nbind 127.0.0.1\n"
                f"sentinel monitor {MASTER} 127.0.0.1 {master} 2\n"
                f"sentinel down-after-milliseconds {MASTER} {DOWN_AFTER_MS}\n"
                f"sentinel failover-timeout {MASTER} 20000\n"
            )
            self._run(f"sentinel-{number}", str(file), "--sentinel")
            self.sentinel_ports.append(port)

    def _run(self, name: str, *options: str) -> None:
        folder = self.folder / name
        folder.mkdir(parents=True)
        arguments = (
            find_binary(),
            *options,
            *(("--dir", str(folder)) if name == "replica" else ()),
        )
        child = Child(Command(name=name, arguments=arguments), self.logs)
        child.start()
        self._watchers.append(child)


@pytest.fixture
def fleet(tmp_path: Path, small_catalogue: Path, wait_until: WaitUntil) -> Iterator[WatchedFleet]:
    """Two routers, two workers, and a Redis with a replica that three Sentinels watch."""
    with ExitStack() as stack:
        fleet = stack.enter_context(WatchedFleet(small_catalogue, tmp_path))
        fleet.wait_ready(timedelta(minutes=4))
        sentinel = stack.enter_context(Redis(port=fleet.sentinel_ports[0], decode_responses=True))

        def all_know_each_other() -> bool:
            known: Any = sentinel.sentinel_master(MASTER)
            return (
                known["num-other-sentinels"] == NUM_SENTINELS - 1
                and known["num-slaves"] == 1
                and replica_is_in_step(fleet)
            )

        wait_until(all_know_each_other, description="the Sentinels know each other", timeout=30)
        yield fleet


def replica_is_in_step(fleet: WatchedFleet) -> bool:
    """Whether the replica has read all there was and follows."""
    with Redis(port=fleet.replica_port) as replica:
        try:
            return bool(replica.info("replication").get("master_link_status") == "up")
        except RedisError:
            return False


def test_a_failover_loses_no_job_and_doubles_no_result(
    fleet: WatchedFleet, wait_until: WaitUntil
) -> None:
    """The master freezes under load; everybody finds the new one, and the old one does no harm."""
    old = fleet.master()
    pid = fleet.children()["redis"].pid
    with Client(fleet.sentinel_url) as client:
        ids = client.submit_many(jobs(100))
        first = client.result(ids[0], timeout=60)
        assert first.status
        os.kill(pid, signal.SIGSTOP)
        watch = Stopwatch("a new master is named")
        try:
            wait_until(lambda: fleet.has_other_master(old), description="a failover", timeout=60)
            watch.report()
            watch = Stopwatch("a producer's submission is confirmed by the new master")
            more = client.submit_many(jobs(100))
            watch.report()
        finally:
            os.kill(pid, signal.SIGCONT)
        watch = Stopwatch("all jobs are answered after a failover")
        assert_each_ended_once(client.as_completed([*ids, *more], timeout=120), [*ids, *more])
        watch.report()
    with Redis(port=fleet.master()) as redis:
        assert redis.info("replication")["role"] == "master"
        wait_until_at_rest(redis, [POOL])
        assert not lasting_keys(redis)
    with Redis(port=old) as redis:
        wait_until(
            lambda: redis.info("replication")["role"] == "slave",
            description="the old master follows the new one",
            timeout=60,
        )


def jobs(count: int) -> list[Job]:
    """Make jobs that nobody has asked before."""
    return [Job(task="topic", text=f"{n}: {time.time_ns()}: {TEXT}") for n in range(count)]
