"""Workers that get no time: each stands still in the midst of a pass for longer than its lease."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.support.invariants import remains
from tests.support.one_task import CATALOGUE
from tests.support.routers import hasty_router
from tests.support.waiting import WaitUntil

from smallfirst.jobs import Job, Priority, Result, Status
from smallfirst.ledger.keys import POOL_GROUP, Keys
from smallfirst_router.router import Router

pytestmark = pytest.mark.timeout(120)

KEYS = Keys()
OWN = KEYS.of_producer("default")
BULK = KEYS.backlog("cpu", Priority.BULK)
IDS = [f"j-{number}" for number in range(4)]


@contextmanager
def stopping_worker(url: str) -> "Iterator[subprocess.Popen[bytes]]":
    """Start a worker that stops itself in each of its passes."""
    arguments = [sys.executable, "-m", "tests.support.dying_worker", url, "stop"]
    with subprocess.Popen(arguments) as worker:
        try:
            yield worker
        finally:
            worker.kill()


def stands_still(worker: "subprocess.Popen[bytes]") -> bool:
    """Whether a process is stopped."""
    stat = Path(f"/proc/{worker.pid}/stat").read_text()
    return stat.rpartition(")")[2].split()[0] == "T"


def has_work(redis: Any, worker: "subprocess.Popen[bytes]") -> bool:
    """Whether entries are in its name."""
    consumers = redis.xpending(BULK, POOL_GROUP)["consumers"]
    return any(f"/{worker.pid}/" in one["name"].decode() for one in consumers)


@pytest.fixture
def router(redis_url: str, tmp_path: Path) -> Router:
    """A router that soon takes over what nobody renews."""
    return hasty_router(redis_url, tmp_path, CATALOGUE)


@pytest.mark.parametrize("num_workers", [1, 2])
def test_a_starved_worker_s_jobs_are_answered(
    redis: Any, redis_url: str, router: Router, wait_until: WaitUntil, num_workers: int
) -> None:
    """Taken over in each pass, by a router or by a worker as starved: no job counts as poison."""
    for job_id in IDS:
        text = "a job like poison" if job_id == "j-2" else "hello"
        redis.xadd(OWN.jobs, {"job": Job(id=job_id, task="topic", text=text).model_dump_json()})
    with ExitStack() as running:
        workers = [running.enter_context(stopping_worker(redis_url)) for _ in range(num_workers)]

        def is_done() -> bool:
            router.step()
            starved = [one for one in workers if stands_still(one)]
            # With two of them, only when both have started the job, the first one before the other.
            if len(starved) == num_workers and not has_work(redis, starved[0]):
                os.kill(starved[0].pid, signal.SIGCONT)
            num_done: Any = redis.exists(*(OWN.result(job_id) for job_id in IDS))
            return bool(num_done == len(IDS))

        wait_until(is_done, description="every job has its result", timeout=60)
        for worker in workers:
            os.kill(worker.pid, signal.SIGCONT)

        def is_at_rest() -> bool:
            router.step()
            return not remains(redis, ["cpu"])

        wait_until(is_at_rest, description="nothing is left", timeout=30)
    results = [Result.model_validate_json(redis.get(OWN.result(job_id))) for job_id in IDS]
    assert {one.status for one in results} == {Status.ANSWERED}
    assert redis.xlen(KEYS.dead) == 0
