"""Health files of real processes: who loads, who is cut off, who drains and who hangs."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from tests.support.links import LinkedFleet
from tests.support.waiting import WaitUntil

from smallfirst import Client, Job
from smallfirst.health import ALIVE, READY, why_not_live, why_not_ready
from smallfirst.jobs import Priority
from smallfirst.ledger.keys import POOL_GROUP, Keys

pytestmark = pytest.mark.timeout(400)

ROUTER, WORKER = CHILDREN = ("router-1", "worker-cpu-small-1")
BULK = Keys().backlog("cpu-small", Priority.BULK)
#: What the probes of these tests allow: far less than they do by default.
MAX_AGE_SECONDS = 15.0
#: For how long the links are broken.
BROKEN_SECONDS = 20.0
#: For how long a command waits for its answer. Tries of one over a frozen link add up to more than
#: the probes allow, as they do with the settings that everybody has.
SOCKET_TIMEOUT_SECONDS = 3
TEXT = "I forgot my password and cannot log in to my account. " * 20


class ProbedFleet(LinkedFleet):
    """A fleet each of whose processes keeps health files in a folder of its own."""

    def health_of(self, child: str) -> Path:
        """Where a process's files lie."""
        return self.folder / "health" / child

    def environment_of(self, child: str) -> dict[str, str]:
        """Give each process a folder of its own, and short patience."""
        return super().environment_of(child) | {
            "SMALLFIRST_HEALTH_DIR": str(self.health_of(child)),
            "SMALLFIRST_SOCKET_TIMEOUT_SECONDS": str(SOCKET_TIMEOUT_SECONDS),
        }


@pytest.fixture(scope="module")
def fleet(
    small_catalogue: Path, tmp_path_factory: pytest.TempPathFactory, wait_until: WaitUntil
) -> Iterator[ProbedFleet]:
    """A router and a worker; the worker was seen alive before it was ready."""
    with ProbedFleet(small_catalogue, tmp_path_factory.mktemp("fleet"), slm_processes=1) as fleet:
        alive = fleet.health_of(WORKER) / ALIVE
        wait_until(alive.exists, description="the worker is alive", timeout=120)
        assert not (fleet.health_of(WORKER) / READY).exists(), "ready before its models are loaded"
        fleet.wait_ready(timedelta(minutes=4))
        yield fleet


def probe(fleet: ProbedFleet, child: str, what: str, max_age: float) -> tuple[int, str]:
    """Run the command as an orchestrator does; give its exit status and what it said."""
    options = ("--dir", str(fleet.health_of(child)), "--max-age", str(max_age))
    command = [sys.executable, "-m", "smallfirst.health", what, *options]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return ended.returncode, ended.stderr


def is_ready(fleet: ProbedFleet, child: str) -> bool:
    """Whether a process takes work."""
    return why_not_ready(fleet.health_of(child), MAX_AGE_SECONDS) is None


def test_both_are_ready_once_the_models_are_loaded(
    fleet: ProbedFleet, wait_until: WaitUntil
) -> None:
    """The command says so, and nothing else."""
    for child in CHILDREN:
        wait_until(partial(is_ready, fleet, child), description=f"{child} is ready")
        for what in ("live", "ready"):
            assert probe(fleet, child, what, MAX_AGE_SECONDS) == (0, "")


@pytest.mark.parametrize("breaks", ["cut", "freeze"])
def test_nobody_is_restarted_for_an_outage_of_redis(
    fleet: ProbedFleet, wait_until: WaitUntil, breaks: str
) -> None:
    """Cut off for longer than the bound, and mended: live and ready at every look."""
    pids = {child: fleet.children()[child].pid for child in CHILDREN}

    def all_are_well_until(end: float) -> bool:
        for child in CHILDREN:
            assert why_not_ready(fleet.health_of(child), MAX_AGE_SECONDS) is None, child
        return time.monotonic() > end

    for child in CHILDREN:
        getattr(fleet.links[child], breaks)()
    try:
        end = time.monotonic() + BROKEN_SECONDS
        wait_until(lambda: all_are_well_until(end), description="they wait", timeout=60)
    finally:
        for child in CHILDREN:
            fleet.links[child].mend()
    with Client(fleet.redis_url) as client:
        [result] = client.as_completed([client.submit(Job(task="topic", text=TEXT))], timeout=60)
    assert result.status.value == "answered"
    assert all_are_well_until(0)
    assert {child: fleet.children()[child].pid for child in CHILDREN} == pids


@pytest.mark.parametrize("child", CHILDREN)
def test_a_process_that_hangs_is_found_by_its_age(
    fleet: ProbedFleet, wait_until: WaitUntil, child: str
) -> None:
    """Stopped in its tracks, it touches nothing, and the probe says for how long."""
    folder, pid = fleet.health_of(child), fleet.children()[child].pid
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: why_not_live(folder, 2), description="it is stale", timeout=30)
        status, said = probe(fleet, child, "live", 2)
        assert status == 1
        assert "2 s are allowed" in said
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_until(lambda: is_ready(fleet, child), description="it goes on", timeout=30)


def test_a_worker_told_to_go_is_ready_no_more_and_lives_while_it_drains(
    fleet: ProbedFleet, wait_until: WaitUntil
) -> None:
    """`ready` goes at the signal, long before the process does."""
    folder, pid = fleet.health_of(WORKER), fleet.children()[WORKER].pid
    with Client(fleet.redis_url) as client, Redis.from_url(fleet.redis_url) as redis:
        texts = [f"{number}: {time.time_ns()}: {TEXT}" for number in range(80)]
        ids = client.submit_many([Job(task="topic", text=text) for text in texts])
        pending: Any = lambda: redis.xpending(BULK, POOL_GROUP)["consumers"]  # noqa: E731
        wait_until(
            lambda: any(each["name"].startswith(b"cpu-small") for each in pending()),
            description="the worker has a batch in hand",
        )
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not (folder / READY).exists(), description="it is not ready")
        assert fleet.children()[WORKER].exit_code() is None
        assert why_not_live(folder, MAX_AGE_SECONDS) is None
        assert len(list(client.as_completed(ids, timeout=120))) == len(ids)
    wait_until(lambda: is_ready(fleet, WORKER), description="another is ready", timeout=120)
    assert fleet.children()[WORKER].pid != pid


def test_a_router_told_to_go_is_ready_no_more(fleet: ProbedFleet, wait_until: WaitUntil) -> None:
    """Whoever follows it in the same folder is ready anew."""
    pid = fleet.children()[ROUTER].pid
    os.kill(pid, signal.SIGTERM)
    wait_until(
        lambda: not (fleet.health_of(ROUTER) / READY).exists(), description="it is not ready"
    )
    wait_until(lambda: is_ready(fleet, ROUTER), description="another is ready", timeout=60)
    assert fleet.children()[ROUTER].pid != pid
