"""A job that kills its worker among 64: its neighbours are answered, and it is a dead letter."""

import sys
from pathlib import Path
from typing import Any

import pytest
from tests.support.invariants import Stopwatch, lasting_keys, remains
from tests.support.one_task import CATALOGUE
from tests.support.routers import hasty_router
from tests.support.waiting import WaitUntil

from smallfirst.jobs import Job, Result, Status
from smallfirst.ledger.holders import process_here, process_of
from smallfirst.ledger.keys import Keys
from smallfirst.ledger.ledger import Ledger
from smallfirst.ledger.routing_slips import DeadLetter
from smallfirst.local.fleet import words_of
from smallfirst.local.processes import Child, Command
from smallfirst.local.supervision import Supervisor
from smallfirst_router.router import Router

pytestmark = pytest.mark.timeout(180)

KEYS = Keys()
OWN = KEYS.of_producer("default")
IDS = [f"j-{number}" for number in range(64)]


def submit(redis: Any) -> None:
    """Submit 64 jobs, one of which is poison."""
    for job_id in IDS:
        job = Job(id=job_id, task="topic", text="poison" if job_id == "j-40" else "hello")
        redis.xadd(OWN.jobs, {"job": job.model_dump_json()})


def supervised(
    redis: Any, redis_url: str, folder: Path, how: str, num_batches: int = 1
) -> Supervisor:
    """Keep the dying worker alive as the local fleet does, and leave word of each of its ends."""

    def has_started(child: Child) -> bool:
        names = redis.zrange(KEYS.workers("cpu"), 0, -1)
        return any(process_of(name.decode()) == process_here(child.pid) for name in names)

    def note(child: Child, exit_code: int) -> None:
        Ledger(redis, KEYS, "supervisor").lives.note_end(
            process_here(child.pid), words_of(exit_code)
        )

    supervisor = Supervisor(folder, has_started, note)
    supervisor.open()
    module = "tests.support.dying_worker"
    arguments = (sys.executable, "-m", module, redis_url, how, str(num_batches))
    supervisor.start(Command(name="worker", arguments=arguments))
    return supervisor


def run_to_the_end(
    redis: Any, router: Router, supervisor: Supervisor, wait_until: WaitUntil
) -> list[Result]:
    """Step a router until every job has its result and nothing else is left; give them."""

    def is_done() -> bool:
        router.step()
        num_done: Any = redis.exists(*(OWN.result(job_id) for job_id in IDS))
        # A second message about what is settled may still be on its way; a living worker takes it.
        return num_done == len(IDS) and not remains(redis, ["cpu"])

    try:
        wait_until(is_done, description="every job has its result, nothing else", timeout=120)
    finally:
        supervisor.hurry.set()
        supervisor.close()
    return [Result.model_validate_json(redis.get(OWN.result(job_id))) for job_id in IDS]


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("abort", "was killed by SIGABRT"),
        ("kill", "was killed by SIGKILL"),
        ("raise", "raised MemoryError"),
    ],
)
def test_a_deadly_job_is_isolated_and_its_neighbours_answered(
    redis: Any,
    redis_url: str,
    tmp_path: Path,
    how: str,
    words: str,
    wait_until: WaitUntil,
) -> None:
    """63 answers and one dead letter that says how its worker ended and how often it was begun."""
    submit(redis)
    router = hasty_router(redis_url, tmp_path, CATALOGUE)
    supervisor = supervised(redis, redis_url, tmp_path, how)
    watch = Stopwatch(f"poison by {how}")
    results = run_to_the_end(redis, router, supervisor, wait_until)
    watch.report()
    assert [one.id for one in results if one.status is not Status.ANSWERED] == ["j-40"]
    [(_, fields)] = redis.xrange(KEYS.dead)
    letter = DeadLetter.model_validate_json(fields[b"letter"])
    assert (letter.id, letter.reason) == ("j-40", "poison")
    assert letter.detail.startswith("5 workers started this job")
    assert letter.detail.endswith(words)
    assert lasting_keys(redis) == []


def test_batches_that_run_beside_a_deadly_job_are_answered(
    redis: Any, redis_url: str, tmp_path: Path, wait_until: WaitUntil
) -> None:
    """A worker that runs four batches at once takes them all with it, and none of theirs ends."""
    submit(redis)
    catalogue = CATALOGUE.replace("batch_jobs: 64", "batch_jobs: 4, max_concurrent_batches: 4")
    router = hasty_router(redis_url, tmp_path, catalogue)
    supervisor = supervised(redis, redis_url, tmp_path, "kill", num_batches=4)
    results = run_to_the_end(redis, router, supervisor, wait_until)
    assert [one.id for one in results if one.status is not Status.ANSWERED] == ["j-40"]
