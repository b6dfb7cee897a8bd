"""What is a job's fault, and what its model's or catalogue's. Real ledger, engines at a seam."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import zip_longest
from typing import Any

import pytest
from tests.support.shapes import slip_for
from tests.support.waiting import WaitUntil

from smallfirst.acceptance import Acceptance
from smallfirst.answers import LabelAnswer
from smallfirst.jobs import Job, Outcome, Priority, Problem, Tier
from smallfirst.ledger.holders import Holder
from smallfirst.ledger.keys import POOL_GROUP, Keys
from smallfirst.ledger.ledger import Ledger
from smallfirst.ledger.routing_slips import BatchMessage, RoutingSlip
from smallfirst.telemetry.tracing import Tracing
from smallfirst_workers.batches import COULD_NOT_READ, BatchRunner, run_message
from smallfirst_workers.catalogue_wait import PATIENCE, CatalogueWait
from smallfirst_workers.engines import (
    EngineRequest,
    EngineResult,
    ServedModel,
)
from smallfirst_workers.errors import ModelBroken
from smallfirst_workers.leases import LeaseKeeper
from smallfirst_workers.metrics import WorkerMetrics
from smallfirst_workers.observers.standard import standard_observers
from smallfirst_workers.problems import MODEL_ERROR, NOT_LOADED
from smallfirst_workers.watchdog import Watchdog

KEYS = Keys()
OWN = KEYS.of_producer("default")
BULK = KEYS.backlog("cpu", Priority.BULK)
LEASE = timedelta(seconds=60)


class Failing:
    """An engine that fails on some texts: it raises, or says so of each."""

    def __init__(self, failing: str, error: type[BaseException] | None) -> None:
        self.failing = failing
        self.error = error

    def revision_of(self, task: str, options: object = None) -> str:  # noqa: ARG002 - of every engine
        return "1"

    def answer(self, asked: Sequence[EngineRequest]) -> Iterator[EngineResult]:
        """Answer all in one pass."""
        bad = [self.failing in one.text for one in asked]
        if self.error and any(bad):
            raise self.error
        problem = Problem(code=MODEL_ERROR, message="failed")
        answers = [problem if b else LabelAnswer(label="a", confidence=0.99) for b in bad]
        ones = [1] * len(asked)
        yield EngineResult([*answers], ones, len(asked), 0.01).at(*range(len(asked)))


class Unprepared:
    """An engine that was not told of the task `topic`, and answers any other."""

    def revision_of(self, task: str, options: object = None) -> str:  # noqa: ARG002 - of every engine
        return "1"

    def answer(self, asked: Sequence[EngineRequest]) -> Iterator[EngineResult]:
        """Answer all in one pass."""
        answers = [
            NOT_LOADED if one.task == "topic" else LabelAnswer(label="a", confidence=0.99)
            for one in asked
        ]
        ones = [1] * len(asked)
        yield EngineResult([*answers], ones, len(asked), 0.01).at(*range(len(asked)))


def batch_of(
    redis: Any,
    *texts: str,
    tasks: Sequence[str] = (),
    catalogue: str = "",
    patience: timedelta = PATIENCE,
) -> tuple[BatchRunner, BatchMessage]:
    """Park and dispatch jobs, and make a worker ready to run them as one batch."""
    router = Ledger(redis, KEYS, "router-a")
    router.open([BULK], POOL_GROUP)
    now_ms = router.now_ms()
    for number, (text, task) in enumerate(zip_longest(texts, tasks, fillvalue="topic")):
        job = Job(id=f"a{number}", task=task, text=text)
        slip = slip_for(
            task,
            model="m",
            acceptance=Acceptance(threshold=0.5),
            catalogue=catalogue,
            submitted_ms=now_ms,
            parked_ms=now_ms,
            expires_ms=now_ms + 600_000,
            num_chars=len(text),
        )
        fields = {"producer": "default", "id": job.id, "job": job.model_dump_json()}
        redis.xadd(BULK, {**fields, "slip": slip.to_json()})
    entries = tuple(entry.entry for entry in router.read([BULK], POOL_GROUP, count=100))
    router.queue(BULK, entries)
    worker = Ledger(redis, KEYS, "worker-a")
    holder = LeaseKeeper(worker, "cpu", lease=LEASE, beat=LEASE)
    metrics = WorkerMetrics("cpu")
    observers = standard_observers(Watchdog(None), metrics, Tracing())
    wait = CatalogueWait(patience)
    runner = BatchRunner(worker, KEYS, holder, LEASE, observers, wait)
    message = BatchMessage(batch="b", model="m", pool="cpu", entries={"bulk": entries})
    return runner, message


def starts(redis: Any) -> list[int]:
    """How many starts of each entry count, as the next router finds them."""
    router = Ledger(redis, KEYS, "router-b")
    found = router.recover(BULK, POOL_GROUP, lease=LEASE, queue_timeout=LEASE)
    return [entry.starts for entry in found]


@pytest.mark.parametrize("error", [RuntimeError, MemoryError, None])
def test_a_model_that_fails_on_everything_costs_no_job_a_start(redis: Any, error: Any) -> None:
    """Whether it raises or answers every text with its error: the jobs go back as they came."""
    runner, message = batch_of(redis, "one", "two")
    with pytest.raises(ModelBroken):
        run_message(runner, message, ServedModel(Failing("", error), Tier.SLM, 0.0))
    assert starts(redis) == [0, 0]
    assert redis.get(OWN.result("a0")) is None


@pytest.mark.parametrize("error", [RuntimeError, MemoryError, SystemExit, RecursionError])
def test_a_job_that_breaks_its_pass_costs_its_batch_a_start(redis: Any, error: Any) -> None:
    """The model is sound on plain words, so one of the jobs is to blame; the worker lives on."""
    runner, message = batch_of(redis, "good", "poison")
    with pytest.raises(RuntimeError):
        run_message(runner, message, ServedModel(Failing("poison", error), Tier.SLM, 0.0))
    assert starts(redis) == [1, 1]


def test_a_text_that_fails_alone_is_only_that_texts_failure(redis: Any) -> None:
    """Its neighbour is answered, and it goes back to the router with its failed attempt."""
    runner, message = batch_of(redis, "good", "poison")
    run_message(runner, message, ServedModel(Failing("poison", None), Tier.SLM, 0.0))
    assert redis.get(OWN.result("a0")) is not None
    assert (redis.xlen(BULK), redis.xlen(KEYS.escalations)) == (0, 1)


def test_a_task_that_is_not_loaded_yet_costs_its_job_nothing(
    redis: Any, wait_until: WaitUntil
) -> None:
    """The router had the newer catalogue first: no start, no attempt, no failure; but a pause."""
    runner, message = batch_of(redis, "new", "old", tasks=["topic", "mood"], catalogue="newer")
    run_message(runner, message, ServedModel(Unprepared(), Tier.SLM, 0.0, "older"))
    assert (redis.xlen(BULK), redis.xlen(KEYS.escalations)) == (1, 0)
    assert redis.get(OWN.result("a0")) is None
    assert redis.get(OWN.result("a1")) is not None
    assert starts(redis) == []
    found: list[int] = []

    def is_taken_over() -> bool:
        found.extend(starts(redis))
        return bool(found)

    wait_until(is_taken_over, description="a router takes it over")
    assert found == [0]


def test_a_worker_waits_for_a_catalogue_for_so_long_and_no_longer(redis: Any) -> None:
    """Where it has another file for good, the job goes on as after any failed attempt."""
    runner, message = batch_of(redis, "new", catalogue="newer", patience=timedelta(0))
    run_message(runner, message, ServedModel(Unprepared(), Tier.SLM, 0.0, "older"))
    [(_, fields)] = redis.xrange(KEYS.escalations)
    slip = RoutingSlip.model_validate_json(fields[b"slip"])
    assert slip.trail[-1].reason == NOT_LOADED.message


def test_a_task_that_the_worker_has_refused_is_a_failed_attempt(redis: Any) -> None:
    """Its worker has seen the very catalogue and lacks the task: waiting would not bring it."""
    runner, message = batch_of(redis, "new", catalogue="same")
    run_message(runner, message, ServedModel(Unprepared(), Tier.SLM, 0.0, "same"))
    [(_, fields)] = redis.xrange(KEYS.escalations)
    slip = RoutingSlip.model_validate_json(fields[b"slip"])
    assert slip.trail[-1].outcome is Outcome.FAILED
    assert slip.trail[-1].reason == NOT_LOADED.message


def test_a_job_that_this_worker_cannot_read_goes_back(redis: Any, wait_until: WaitUntil) -> None:
    """It is pending, and counts one start, until a lease is over; its neighbour is answered."""
    runner, message = batch_of(redis, "odd", "plain")
    [odd, plain] = message.entries["bulk"]
    read = dict(redis.xrange(BULK, odd, odd)[0][1])
    newer = read[b"job"].replace(b'"v":1', b'"v":2')
    redis.xdel(BULK, odd)
    redis.xack(BULK, POOL_GROUP, odd)
    entry = redis.xadd(BULK, {**read, b"job": newer}).decode()
    router = Ledger(redis, KEYS, "router-a")
    router.read([BULK], POOL_GROUP, count=1)
    router.queue(BULK, [entry])
    message = message.model_copy(update={"entries": {"bulk": (entry, plain)}})

    run_message(runner, message, ServedModel(Failing("never", None), Tier.SLM, 0.0))

    assert redis.get(OWN.result("a1")) is not None
    assert redis.get(OWN.result("a0")) is None
    assert (redis.xlen(KEYS.dead), redis.xlen(KEYS.escalations)) == (0, 0)
    assert starts(redis) == []
    found: list[int] = []

    def is_taken_over() -> bool:
        soon = timedelta(milliseconds=1)
        taken = router.recover(BULK, POOL_GROUP, lease=soon, queue_timeout=LEASE)
        found.extend(each.starts for each in taken)
        return bool(found)

    wait_until(is_taken_over, description="a router takes it over")
    assert found == [1]
    assert router.lives.end_of(str(Holder.here("cpu"))) == COULD_NOT_READ
