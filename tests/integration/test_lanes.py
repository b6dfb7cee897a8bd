"""Which batch a worker runs next, with a real worker of Celery's on a real Redis."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from celery.contrib.testing.worker import start_worker
from redis import Redis
from tests.support.waiting import WaitUntil

from smallfirst.broker.celery_app import make_app
from smallfirst.broker.lanes import TaskPool, open_lanes, threads_of
from smallfirst.broker.queues import queue_of
from smallfirst.jobs import Priority
from smallfirst.ledger.keys import MESSAGE_PRIORITIES
from smallfirst.settings import Settings

POOL = "cpu"
BULK, URGENT = MESSAGE_PRIORITIES[Priority.BULK], MESSAGE_PRIORITIES[Priority.INTERACTIVE]


@dataclass
class Bench:
    """A worker whose tasks run until they are let go, and what they began."""

    app: Any
    begun: list[str] = field(default_factory=list)
    gates: dict[str, threading.Event] = field(default_factory=dict)

    def send(self, name: str, priority: int) -> None:
        """Publish a task that runs until `end`."""
        self.gates[name] = threading.Event()
        self.app.tasks["run"].apply_async((name,), queue=POOL, priority=priority)

    def end(self, *names: str) -> None:
        """Let tasks end."""
        for name in names:
            self.gates[name].set()


@contextmanager
def worker(redis_url: str, num_batches: int) -> Iterator[Bench]:
    """Run a worker that takes so many batches side by side in each lane."""
    settings = Settings.model_validate({"redis_url": redis_url})
    app = make_app(settings, role="worker", pool=POOL)
    open_lanes(app, POOL)
    app.conf.task_queues = [queue_of(POOL)]
    app.set_current()
    bench = Bench(app)

    @app.task(name="run", shared=False)  # type: ignore[untyped-decorator]
    def run(name: str) -> None:
        bench.begun.append(name)
        bench.gates[name].wait(60)

    threads = threads_of(num_batches)
    try:
        with start_worker(
            app, concurrency=threads, pool=TaskPool, perform_ping_check=False, queues=[POOL]
        ):
            yield bench
            bench.end(*bench.gates)
    finally:
        bench.end(*bench.gates)


@pytest.fixture
def bench(redis_url: str) -> Iterator[Bench]:
    """A worker of one batch a lane."""
    with worker(redis_url, 1) as found:
        yield found


def waiting(redis: Redis) -> int:
    """How many messages lie in the pool's lists."""
    return int(redis.llen(f"sf:celery:{POOL}")) + int(redis.llen(f"sf:celery:{POOL}:{BULK}"))


def test_what_is_urgent_waits_for_no_bulk(bench: Bench, wait_until: WaitUntil) -> None:
    """It begins beside a running batch, before those that were published earlier."""
    for name in ("bulk 1", "bulk 2"):
        bench.send(name, BULK)
    wait_until(lambda: bench.begun == ["bulk 1"], description="one of bulk runs")
    bench.send("urgent", URGENT)
    wait_until(lambda: bench.begun == ["bulk 1", "urgent"], description="both run")
    bench.end("bulk 1")
    wait_until(lambda: bench.begun[2:] == ["bulk 2"], description="the next of bulk runs")


def test_a_batch_is_left_to_whoever_is_free(
    bench: Bench, redis: Redis, wait_until: WaitUntil
) -> None:
    """What a worker has no thread for stays in Redis, be it urgent."""
    for name in ("bulk 1", "bulk 2", "bulk 3"):
        bench.send(name, BULK)
    wait_until(lambda: len(bench.begun) == 1, description="1 have begun")
    for name in ("urgent 1", "urgent 2"):
        bench.send(name, URGENT)
    wait_until(lambda: len(bench.begun) == 2, description="2 have begun")
    assert waiting(redis) == 3
    bench.end("bulk 1")
    wait_until(lambda: len(bench.begun) == 3, description="3 have begun")
    # Of what waits, the urgent one is first, by whichever lane a thread becomes free.
    assert bench.begun[2] == "urgent 2"
    assert waiting(redis) == 2


def test_a_worker_goes_on_at_once(bench: Bench, wait_until: WaitUntil) -> None:
    """The end of a batch wakes it, as nothing else would for up to a second."""
    names = [f"bulk {number}" for number in range(60)]
    for name in names:
        bench.send(name, BULK)
        bench.end(name)
    wait_until(lambda: bench.begun == names, description="all have begun")


def test_several_batches_run_in_each_lane(redis_url: str, wait_until: WaitUntil) -> None:
    """An engine that interleaves batches has as many urgent ones beside them."""
    with worker(redis_url, 2) as bench:
        for number in range(3):
            bench.send(f"bulk {number}", BULK)
        wait_until(lambda: len(bench.begun) == 2, description="2 have begun")
        for number in range(3):
            bench.send(f"urgent {number}", URGENT)
        wait_until(lambda: len(bench.begun) == 4, description="4 have begun")
        assert sorted(bench.begun[2:]) == ["urgent 0", "urgent 1"]


def test_a_task_that_raises_frees_its_thread(bench: Bench, wait_until: WaitUntil) -> None:
    """Whatever becomes of a batch, the next one comes."""

    @bench.app.task(name="raise", shared=False)  # type: ignore[untyped-decorator]
    def failing() -> None:
        raise SystemExit(3)

    for _ in range(5):
        bench.app.tasks["raise"].apply_async((), queue=POOL, priority=BULK)
        bench.app.tasks["raise"].apply_async((), queue=POOL, priority=URGENT)
    bench.send("after", BULK)
    wait_until(lambda: bench.begun == ["after"], description="the last has begun")
