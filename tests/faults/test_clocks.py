"""A host whose clock is off: deadlines, leases and the day of what is spent are Redis's."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from tests.support.invariants import assert_each_ended_once
from tests.support.links import LinkedFleet

from smallfirst import Client, Job
from smallfirst.jobs import Status
from smallfirst.ledger.keys import Keys

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(not LIBRARIES, reason="libfaketime is not installed: apt install faketime"),
]
WRONG = "worker-cpu-small-1"


def clock_that_is_off(skew: str) -> dict[str, str]:
    """What a process is told so that its clock, but not its stopwatch, is off."""
    library = {"LD_PRELOAD": str(LIBRARIES[0])}
    return {"FAKETIME": skew, "FAKETIME_DONT_FAKE_MONOTONIC": "1", **library}


class SkewedFleet(LinkedFleet):
    """One of two workers lives ten minutes off."""

    skew = "+600"

    def environment_of(self, child: str) -> dict[str, str]:
        """Have one worker's clock be off."""
        found = super().environment_of(child)
        if child != WRONG:
            return found
        return found | clock_that_is_off(self.skew)


@pytest.fixture(params=["+600", "-600"])
def fleet(
    request: pytest.FixtureRequest, small_catalogue: Path, tmp_path: Path
) -> Iterator[SkewedFleet]:
    """Two workers, one of them before or behind its time."""
    fleet = SkewedFleet(small_catalogue, tmp_path, slm_processes=2)
    fleet.skew = request.param
    with fleet:
        fleet.wait_ready(timedelta(minutes=4))
        yield fleet


def test_a_wrong_clock_moves_no_deadline_and_no_lease(fleet: SkewedFleet) -> None:
    """Jobs with deadlines far nearer than the error are answered by both workers, in time."""
    soon = timedelta(seconds=100)
    with Client(fleet.redis_url) as client, Redis.from_url(fleet.redis_url) as redis:
        jobs = [Job(task="topic", text=f"Where is parcel {n}?", deadline=soon) for n in range(400)]
        ids = client.submit_many(jobs)
        results = list(client.as_completed(ids, timeout=90))
        alive = redis.zrange(Keys().workers("cpu-small"), 0, -1, withscores=True)
    assert_each_ended_once(results, ids)
    assert not [result for result in results if result.status is Status.EXPIRED or result.late]
    now = datetime.now(UTC)
    assert all(now - timedelta(minutes=3) < r.finished_at <= now for r in results)
    assert all(r.submitted_at <= r.finished_at for r in results)
    assert len(alive) == 2
    assert all(abs(time.time() * 1000 - beat) < 60_000 for _, beat in alive)
    settled = (fleet.logs / f"{WRONG}.log").read_text().count('"batch.settled"')
    assert settled > 0, "the worker with the wrong clock took part"


@pytest.mark.parametrize("skew", ["+2d", "-2d"])
def test_what_is_spent_is_booked_and_told_under_redis_s_day(
    redis: Redis, redis_url: str, skew: str
) -> None:
    """Whatever day it is where the worker and the exporter run."""
    command = [sys.executable, "-m", "tests.support.spend_and_tell", redis_url]
    environment = {**os.environ, **clock_that_is_off(skew)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "1.0\n"
    now: Any = redis.time()
    booked: Any = redis.keys(Keys().booked("*"))
    days = {Keys().booked_at((now[0] - ago) * 1000).encode() for ago in (0, 3600)}
    assert len(booked) == 1
    assert {*booked} <= days
