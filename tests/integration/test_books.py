"""The books of a real fleet balance: what jobs are charged and what nobody is come to its time."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.support.waiting import WaitUntil

from smallfirst import Client, Job
from smallfirst.jobs import Result, Status
from smallfirst.ledger.books import USES, DayBook, Spent, Use, read_day_books
from smallfirst.ledger.keys import ROUTERS, Keys, date_of
from smallfirst.ledger.slices import Slice

pytestmark = pytest.mark.timeout(300)

KEYS = Keys()
WORKER_PRICE, ROUTER_PRICE = 3.6, 0.36
#: A rule that finds little, a linear model that is seldom sure, a small one that never is, and one
#: that always is.
CATALOGUE = f"""
version: 1
pools: {{cpu: {{tier: slm, max_parameters: 50M, price_per_hour: {WORKER_PRICE}}}}}
router: {{price_per_hour: {ROUTER_PRICE}}}
models:
  words: {{tier: linear, source: "bundled:words"}}
  minilm: {{source: "bundled:minilm"}}
tasks:
  topic:
    kind: classify
    labels: {{parcel: about a parcel, money: about money}}
    examples:
      - {{text: where is my parcel, label: parcel}}
      - {{text: the parcel is late, label: parcel}}
      - {{text: my parcel is broken, label: parcel}}
      - {{text: a parcel came twice, label: parcel}}
      - {{text: I want my money back, label: money}}
      - {{text: I was charged twice, label: money}}
      - {{text: the bill is wrong, label: money}}
      - {{text: how do I pay, label: money}}
    cascade:
      - {{model: words, accept: 0.99}}
      - {{model: minilm, accept: 0.999}}
      - {{model: minilm, accept: 0}}
"""
NUM_JOBS = 300


class Lived:
    """How long a process lived, by this test's own clock."""

    seconds: float = 0.0


@contextmanager
def living(module: str, folder: Path, redis_url: str) -> Iterator[Lived]:
    """Run a process of a fleet until the block ends, and drain it.

    How long the interpreter takes to go then, a second or so, nobody is left to book.
    """
    own = {
        "SMALLFIRST_CATALOGUE": str(folder / "catalogue.yaml"),
        "SMALLFIRST_POOL": "cpu",
        "SMALLFIRST_REDIS_URL": redis_url,
    }
    lived, began = Lived(), time.monotonic()
    command = [sys.executable, "-m", module]
    with subprocess.Popen(
        command,
        env={**os.environ, **own},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        assert process.stdout is not None
        try:
            yield lived
        finally:
            process.send_signal(signal.SIGTERM)
            for line in process.stdout:
                if b".stopped" in line:
                    lived.seconds = time.monotonic() - began
    assert process.returncode == 0


def todays(redis: Any) -> DayBook:
    """What is booked of today."""
    now_ms = int(redis.time()[0]) * 1000
    return read_day_books([Slice(redis, KEYS)], [date_of(now_ms)])[date_of(now_ms)]


def sum_of(book: DayBook) -> Spent:
    """What all attempts came to."""
    return sum(book.attempts.values(), Spent())


def answered(redis_url: str) -> list[Result]:
    """Send jobs through the fleet, each once and one twice."""
    jobs = [Job(task="topic", text=f"parcel or money, number {n}?") for n in range(NUM_JOBS)]
    with Client(redis_url) as client:
        return list(client.map(jobs))


def test_jobs_and_what_nobody_is_charged_come_to_the_time_of_the_fleet(
    redis: Any, redis_url: str, tmp_path: Path, wait_until: WaitUntil
) -> None:
    """Job costs, losses, handling, idling, loading and the router make up seconds times price."""
    (tmp_path / "catalogue.yaml").write_text(CATALOGUE)
    with (
        living("smallfirst_router", tmp_path, redis_url) as router,
        living("smallfirst_workers", tmp_path, redis_url) as worker,
    ):
        results = answered(redis_url)
        wait_until(lambda: "cpu" in todays(redis).pools, description="the worker books its time")
    assert {result.status for result in results} == {Status.ANSWERED}
    book = todays(redis)
    charged = sum_of(book)
    uses = {pool: {**dict.fromkeys(USES, Use()), **told} for pool, told in book.pools.items()}
    unclaimed = sum(
        use.cost for told in uses.values() for name, use in told.items() if name != "asked"
    )
    paid = (worker.seconds * WORKER_PRICE + router.seconds * ROUTER_PRICE) / 3600
    assert charged.cost + unclaimed == pytest.approx(paid, rel=0.01)
    # What a worker and a router say they booked with jobs is what the scripts have booked.
    asked = uses["cpu"]["asked"].seconds + uses[ROUTERS]["asked"].seconds
    assert charged.seconds == pytest.approx(asked, rel=0.01)
    assert charged.cost > 0
    assert charged.num_tokens == sum(each.tokens for result in results for each in result.trail)
    assert uses["cpu"]["lost"].seconds == pytest.approx(0, abs=0.01)
    assert min(uses["cpu"][use].seconds for use in ("loading", "handling", "idle")) > 0
    # Of what was asked again, the books tell how often it was of another mind.
    second = [cell for cell in book.attempts if (cell.step, cell.outcome) == (2, "accepted")]
    [told] = [book.attempts[cell] for cell in second]
    assert told.num_compared == told.num_attempts > 0
    assert told.num_changed == 0
