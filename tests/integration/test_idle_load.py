"""What a router asks of Redis while it has nothing to do."""

import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from tests.support.routers import (
    BULK,
    CATALOGUE,
    KEYS,
    OWN,
    result_of,
    router_of,
    running,
    submit,
    topic,
)
from tests.support.waiting import WaitUntil

from smallfirst.health import Health
from smallfirst.jobs import Job
from smallfirst.ledger.keys import ROUTER_GROUP, ROUTERS
from smallfirst.ledger.slices import keys_of_slices, slice_of
from smallfirst.settings import MAX_SLICES, RouterSettings
from smallfirst.telemetry.tracing import Tracing
from smallfirst_router.__main__ import build_slices
from smallfirst_router.metrics import RouterMetrics
from smallfirst_router.router import SLICES_AT_FULL_PACE

#: How long it is listened to.
SECONDS = 3.0
MOST_A_SECOND = 20
#: How many jobs a backlog takes.
BOUND = 2
#: Within this a job is answered that comes in the midst of a wait: far less than the wait.
SOON_SECONDS = 0.1
POOLS = "".join(f"  p{n}: {{tier: slm, max_parameters: {100 + n}M}}\n" for n in range(1, 21))


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    """A catalogue of 21 pools."""
    path = tmp_path / "catalogue.yaml"
    path.write_text(CATALOGUE.replace("pools:\n", f"pools:\n{POOLS}"))
    return path


def sent(url: str, wait_until: WaitUntil) -> Counter[str]:
    """Listen for a while to what clients send, without what scripts do."""
    with Redis.from_url(url) as listening, Redis.from_url(url) as marking, listening.monitor() as m:
        until = time.monotonic() + SECONDS
        wait_until(lambda: time.monotonic() > until, description="it was listened to")
        marking.echo("the end")
        names: Counter[str] = Counter()
        while (command := m.next_command())["command"] != "ECHO the end":
            names[command["command"].split()[0]] += command["client_type"] != "lua"
        return names


def num_held_back(redis: Any) -> int:
    """How many submissions are read, and wait for room."""
    return int(redis.xpending(OWN.jobs, ROUTER_GROUP)["pending"])


@pytest.mark.parametrize(("num_parked", "num_waiting"), [(0, 0), (1, 0), (BOUND, 3)])
def test_a_router_at_rest_asks_little(
    redis: Any,
    redis_url: str,
    catalogue: Path,
    wait_until: WaitUntil,
    num_parked: int,
    num_waiting: int,
) -> None:
    """However many pools there are, though jobs wait in one without a worker, or for its room."""
    router = router_of(redis, redis_url, catalogue, max_backlog_jobs=BOUND)
    with running(router):
        submit(redis, *(topic(f"p{n}") for n in range(num_parked)))
        wait_until(lambda: redis.xlen(BULK) == num_parked, description="some are parked")
        submit(redis, *(topic(f"w{n}") for n in range(num_waiting)))
        wait_until(lambda: num_held_back(redis) == num_waiting, description="the others wait")
        wait_until(lambda: redis.exists(KEYS.workers(ROUTERS)), description="the router lives")
        commands = sent(redis_url, wait_until)
        assert commands.total() <= MOST_A_SECOND * SECONDS, commands


@pytest.mark.parametrize("num_slices", [3, MAX_SLICES])
def test_a_router_of_several_slices_at_rest_asks_no_more(
    redis: Any, redis_url: str, catalogue: Path, wait_until: WaitUntil, num_slices: int
) -> None:
    """The bound is one router's, however many slices it serves."""
    values = {"redis_url": redis_url, "catalogue": catalogue, "slices": num_slices}
    settings = RouterSettings.model_validate(values)
    places = keys_of_slices("sf", num_slices)
    routers = build_slices(settings, RouterMetrics(), Tracing(), Health(None))
    with running(routers):
        wait_until(
            lambda: all(redis.exists(keys.workers(ROUTERS)) for keys in places),
            description="the routers of all slices live",
        )
        commands = sent(redis_url, wait_until)
        assert commands.total() <= MOST_A_SECOND * SECONDS, commands


@pytest.mark.parametrize("num_jobs", [0, 1])
def test_what_is_under_way_is_looked_after_every_second(
    redis: Any, redis_url: str, catalogue: Path, num_jobs: int
) -> None:
    """However many slices there are; at rest, eight are each looked after more seldom."""
    router = router_of(redis, redis_url, catalogue, slices=MAX_SLICES)
    ids = (name for n in range(999) if not slice_of(name := f"a{n}", MAX_SLICES))
    submit(redis, *(topic(next(ids)) for _ in range(num_jobs)))
    router.step()
    assert redis.xlen(BULK) == num_jobs
    for task in router._periodic_tasks:
        task.due = 0.0
    begun = time.monotonic()
    router.step()
    [recovery] = [task for task in router._periodic_tasks if task.do == router.recover]
    expected = 1.0 if num_jobs else MAX_SLICES / SLICES_AT_FULL_PACE
    assert recovery.due - begun == pytest.approx(expected, abs=0.5)


def test_a_router_at_rest_wakes_at_once(
    redis: Any, redis_url: str, catalogue: Path, wait_until: WaitUntil
) -> None:
    """Half of some jobs that come one by one are answered in a fraction of its longest wait."""
    seconds = []
    with running(router_of(redis, redis_url, catalogue)):
        for n in range(9):
            begun = time.monotonic()
            submit(redis, Job(id=f"a{n}", task="ids", text="4111 1111 1111 1111"))
            is_answered = partial(redis.exists, OWN.result(f"a{n}"))
            wait_until(is_answered, description="the job is answered")
            seconds.append(time.monotonic() - begun)
            assert result_of(redis, f"a{n}").answer is not None
    assert sorted(seconds)[4] < SOON_SECONDS, seconds
