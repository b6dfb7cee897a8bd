"""More work than workers: what is urgent goes first, what is late is shed, Redis holds."""

import os
import signal
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from tests.support.invariants import Stopwatch, assert_each_ended_once
from tests.support.waiting import WaitUntil

from smallfirst import Client, Job
from smallfirst.errors import BacklogFull
from smallfirst.jobs import Priority, Status
from smallfirst.ledger.keys import Keys
from smallfirst.local.fleet import LocalFleet

pytestmark = pytest.mark.timeout(400)

KEYS = Keys()
OWN = KEYS.of_producer("default")
TEXT = "I forgot my password and cannot log in to my account. " * 10
#: What one worker has to do for a good while.
NUM_FLOOD = 600


@pytest.fixture(scope="module")
def fleet(small_catalogue: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalFleet]:
    """The demo's fleet with one worker."""
    folder = tmp_path_factory.mktemp("fleet")
    with LocalFleet(small_catalogue, folder, slm_processes=1, flower=False) as fleet:
        fleet.wait_ready(timedelta(minutes=4))
        yield fleet


def jobs(count: int, **options: Any) -> list[Job]:
    """Make jobs that nobody has asked before."""
    return [
        Job(task="topic", text=f"{n}: {time.time_ns()}: {TEXT}", **options) for n in range(count)
    ]


def test_an_urgent_job_passes_a_flood(fleet: LocalFleet) -> None:
    """It is answered while nearly all that came before it still waits."""
    with Client(fleet.redis_url) as client, Redis.from_url(fleet.redis_url) as redis:
        flood = client.submit_many(jobs(NUM_FLOOD))
        # A connection that breaks on a machine with no time left holds a message for 70 seconds.
        client.result(flood[0], timeout=120)
        results = [OWN.result(name) for name in flood]
        # This process may have had no time while the fleet went on.
        num_before = NUM_FLOOD - redis.exists(*results)
        watch = Stopwatch(f"an urgent job behind {num_before} others")
        [urgent] = client.submit_many(jobs(1, priority=Priority.INTERACTIVE))
        result = client.result(urgent, timeout=60)
        watch.report()
        num_waiting = NUM_FLOOD - redis.exists(*results)
        assert result.status is Status.ANSWERED
        assert num_waiting > num_before / 2 > 0
        assert_each_ended_once(client.as_completed(flood, timeout=200), flood)


def test_what_nobody_wants_any_more_reaches_no_model(
    fleet: LocalFleet, wait_until: WaitUntil
) -> None:
    """While the one worker is held up, deadlines pass: such jobs expire, and no step is asked."""
    worker = fleet.children()["worker-cpu-small-1"].pid
    os.kill(worker, signal.SIGSTOP)
    try:
        with Client(fleet.redis_url) as client:
            late = client.submit_many(jobs(50, deadline=timedelta(seconds=1)))
            begun = time.monotonic()
            wait_until(lambda: time.monotonic() - begun > 1.5, description="all deadlines passed")
            os.kill(worker, signal.SIGCONT)
            results = list(client.as_completed(late, timeout=60))
    finally:
        os.kill(worker, signal.SIGCONT)
    assert {result.status for result in results} == {Status.EXPIRED}
    assert not [attempt for result in results for attempt in result.trail]


def test_a_producer_that_must_not_wait_is_told_that_there_is_no_room(fleet: LocalFleet) -> None:
    """With the router gone, the stream grows to the producer's bound and no further."""
    router = fleet.children()["router-1"].pid
    os.kill(router, signal.SIGSTOP)
    try:
        with (
            Client(fleet.redis_url, max_backlog=100, when_full="error") as client,
            Redis.from_url(fleet.redis_url) as redis,
        ):
            with pytest.raises(BacklogFull):
                client.submit_many(jobs(500))
            assert 0 < redis.xlen(OWN.jobs) <= 100
    finally:
        os.kill(router, signal.SIGCONT)
