"""How soon the work of the dead goes on, with the settings that everybody has."""

import os
import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import structlog
from redis import Redis
from tests.support.holders import pid_of
from tests.support.waiting import WaitUntil

from smallfirst import Client, Job
from smallfirst.jobs import Priority
from smallfirst.ledger.keys import POOL_GROUP, Keys
from smallfirst.local.fleet import LocalFleet

pytestmark = pytest.mark.timeout(300)

log = structlog.get_logger()

KEYS = Keys()
BULK = KEYS.backlog("cpu-small", Priority.BULK)
#: Long enough that a pass has a middle. So few make one batch, and leave the other worker free: a
#: fleet with more work than workers starts everything later.
TEXT = "I forgot my password and cannot log in to my account. " * 8
NUM_JOBS = 40
WITHIN_SECONDS = 10.0


@pytest.fixture
def fleet(tmp_path: Path, small_catalogue: Path) -> Iterator[LocalFleet]:
    """The demo's fleet as everybody runs it."""
    with LocalFleet(small_catalogue, tmp_path, slm_processes=2, flower=False) as fleet:
        fleet.wait_ready(timedelta(minutes=4))
        yield fleet


def test_a_dead_workers_jobs_start_elsewhere_within_ten_seconds(
    fleet: LocalFleet, wait_until: WaitUntil
) -> None:
    """From SIGKILL until everything that was in its hands is in another's, or settled."""
    with Redis.from_url(fleet.redis_url) as redis, Client(fleet.redis_url) as client:
        ids = client.submit_many(Job(task="topic", text=f"{n}: {TEXT}") for n in range(NUM_JOBS))
        dead: list[str] = []

        def somebody_works() -> bool:
            dead[:] = [name for name in holders(redis) if name.startswith("cpu-small/")][:1]
            return bool(dead)

        wait_until(somebody_works, description="a worker has jobs in hand")
        os.kill(pid_of(dead[0]), signal.SIGKILL)
        struck = monotonic()
        lost = entries_of(redis, dead[0])
        wait_until(
            lambda: not {*lost} & {*waiting_for_a_start(redis, dead[0])},
            description="what the dead worker held is started elsewhere",
            timeout=WITHIN_SECONDS,
        )
        log.info("drill.recovered", num_jobs=len(lost), seconds=round(monotonic() - struck, 1))
        assert {result.id for result in client.as_completed(ids, timeout=120)} == set(ids)


def holders(redis: Any) -> list[str]:
    """Everybody who has entries of the backlog in hand."""
    return [each["name"].decode() for each in redis.xpending(BULK, POOL_GROUP)["consumers"]]


def entries_of(redis: Any, holder: str) -> list[bytes]:
    """What one of them has."""
    pending = redis.xpending_range(BULK, POOL_GROUP, "-", "+", 1000, consumername=holder)
    return [each["message_id"] for each in pending]


def waiting_for_a_start(redis: Any, dead: str) -> list[bytes]:
    """Entries that no live worker has in hand."""
    names = [name for name in holders(redis) if name == dead or not name.startswith("cpu-small/")]
    return [entry for name in names for entry in entries_of(redis, name)]
