"""Every part of a fleet that was told another number of slices than the fleet has is refused."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from redis import Redis
from tests.support.waiting import WaitUntil

from smallfirst import Client, FleetRefused, Job
from smallfirst.health import READY
from smallfirst.ledger.keys import Keys
from smallfirst.local.redis_server import free_port
from smallfirst.process.exit_codes import EXIT_CONFIG

PROCESSES = ("smallfirst_router", "smallfirst_workers", "smallfirst.exporter")
#: Both numbers and the remedy.
DIFFER = "its fleet has 3 slices, and SMALLFIRST_SLICES says {told}; set SMALLFIRST_SLICES=3 here"
CATALOGUE = """
version: 1
pools: {cpu: {tier: slm, max_parameters: 50M}}
models: {minilm: {source: "bundled:minilm"}}
tasks: {similar: {kind: embed, cascade: [{model: minilm}]}}
"""

Start = Callable[[str, int], "subprocess.Popen[str]"]


@pytest.fixture
def fleet_of_three(redis: Redis) -> None:
    """What its routers have written down."""
    redis.set(Keys().num_slices, 3)


@pytest.fixture
def start(tmp_path: Path, redis_url: str) -> Iterator[Start]:
    """Start a process that was told some number of slices."""
    (tmp_path / "catalogue.yaml").write_text(CATALOGUE)
    own = {
        "SMALLFIRST_CACHE_DIR": str(tmp_path / "cache"),
        "SMALLFIRST_CATALOGUE": str(tmp_path / "catalogue.yaml"),
        "SMALLFIRST_HEALTH_DIR": str(tmp_path / "health"),
        "SMALLFIRST_METRICS_PORT": str(free_port()),
        "SMALLFIRST_POOL": "cpu",
        "SMALLFIRST_REDIS_URL": redis_url,
    }
    started = []

    def start(module: str, num_slices: int) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", module],
            env={**os.environ, **own, "SMALLFIRST_SLICES": str(num_slices)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.usefixtures("fleet_of_three")
@pytest.mark.parametrize("told", [1, 2, 4])
@pytest.mark.parametrize("module", PROCESSES)
def test_a_process_ends_with_both_numbers_and_the_remedy(
    start: Start, module: str, told: int
) -> None:
    """Whether it was told too few slices or too many."""
    process = start(module, told)
    said = process.communicate(timeout=60)[1]
    assert DIFFER.format(told=told) in said
    assert process.returncode == EXIT_CONFIG


def test_a_worker_ends_once_a_router_tells_another_number(
    redis: Redis, start: Start, tmp_path: Path, wait_until: WaitUntil
) -> None:
    """It may be there before the first router of its fleet."""
    process = start("smallfirst_workers", 1)
    wait_until((tmp_path / "health" / READY).exists, description="it is ready", timeout=100)
    redis.set(Keys().num_slices, 3)
    wait_until(lambda: process.poll() is not None, description="it ends", timeout=30)
    assert process.returncode == EXIT_CONFIG
    assert process.stderr is not None
    assert DIFFER.format(told=1) in process.stderr.read()


@pytest.mark.usefixtures("fleet_of_three")
@pytest.mark.parametrize("told", [1, 2, 4])
def test_a_client_neither_submits_nor_waits(redis: Redis, redis_url: str, told: int) -> None:
    """Nobody would read what it submits, nor would it find what others did."""
    job = Job(task="topic", text="x")
    with Client(redis_url, slices=told) as client:
        asks: list[Callable[[], object]] = [
            partial(client.submit, job),
            partial(client.cancel, job.id),
            partial(client.result, job.id, timeout=5),
            partial(client.status, job.id),
        ]
        for ask in asks:
            with pytest.raises(FleetRefused, match="its fleet has 3 slices"):
                ask()
    assert redis.keys() == [Keys().num_slices.encode()]


@pytest.mark.usefixtures("fleet_of_three")
def test_a_client_that_was_told_right_is_served(redis: Redis, redis_url: str) -> None:
    """By the environment or by its own program."""
    with Client(redis_url, slices=3) as client:
        client.submit_many([Job(task="topic", text=str(number)) for number in range(30)])
    streams = [Keys("sf", number).of_producer("default").jobs for number in range(3)]
    assert all(redis.xlen(stream) for stream in streams)
