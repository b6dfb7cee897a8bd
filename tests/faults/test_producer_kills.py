"""A producer dies while it submits, or while it waits: under the same ids all may be sent again."""

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.support.invariants import assert_each_ended_once, wait_until_at_rest
from tests.support.waiting import WaitUntil

from smallfirst import Client, Job
from smallfirst.ledger.keys import Keys
from smallfirst.local.fleet import LocalFleet

pytestmark = pytest.mark.timeout(300)

KEYS = Keys()
OWN = KEYS.of_producer("default")
NUM_JOBS = 3000
PRODUCER = f"""
import sys
from smallfirst import Client, Job
with Client(sys.argv[1], reply_to="restarted") as client:
    ids = [f"p-{{n}}" for n in range({NUM_JOBS})]
    for start in range(0, {NUM_JOBS}, 20):
        client.submit_many(
            Job(id=i, task="ids", text="SSN 078-05-1120, " + i) for i in ids[start:start + 20]
        )
    for result in client.as_completed(ids):
        print(result.id, flush=True)
"""


def start(fleet: LocalFleet, output: Path) -> "subprocess.Popen[bytes]":
    """Start the producer; its first results go into a file."""
    with output.open("wb") as file:
        return subprocess.Popen([sys.executable, "-c", PRODUCER, fleet.redis_url], stdout=file)


def test_a_producer_that_dies_starts_anew_and_gets_everything_once(
    fleet: LocalFleet, fleet_redis: Any, tmp_path: Path, wait_until: WaitUntil
) -> None:
    """Killed in the midst of submitting, killed in the midst of reading, then let run."""

    def is_submitting(_: Path) -> bool:
        return bool(fleet_redis.exists(OWN.result("p-100")))

    def is_reading(output: Path) -> bool:
        return len(output.read_bytes().splitlines()) > 10

    for moment in (is_submitting, is_reading):
        output = tmp_path / moment.__name__
        producer = start(fleet, output)
        strikes = partial(moment, output)
        wait_until(strikes, description=moment.__name__, timeout=60)
        os.kill(producer.pid, signal.SIGKILL)
        producer.wait()
    last = tmp_path / "results"
    producer = start(fleet, last)
    assert producer.wait(timeout=120) == 0
    assert sorted(last.read_text().split()) == sorted(f"p-{n}" for n in range(NUM_JOBS))
    booked = fleet_redis.hgetall(next(iter(fleet_redis.scan_iter(f"{KEYS.booked('*')}"))))
    num_run = {
        k: int(v) for k, v in booked.items() if k.startswith(b"ids:") and k.endswith(b"jobs")
    }
    # A repeat is read by its rule again, and is booked as what nobody got.
    assert num_run.pop(b"ids:0:fenced:jobs") > 0
    assert num_run == {b"ids:0:accepted:jobs": NUM_JOBS}
    wait_until_at_rest(fleet_redis, ["cpu-small"])


def test_a_result_waits_for_whoever_comes_back(fleet: LocalFleet) -> None:
    """It was submitted by one client and is read by another."""
    with Client(fleet.redis_url) as client:
        ids = client.submit_many(Job(task="ids", text=f"SSN 078-05-1120, {n}") for n in range(20))
    with Client(fleet.redis_url) as client:
        assert_each_ended_once(client.as_completed(ids, timeout=60), ids)
