"""A worker's time: every second of it has one use, and a pass that raised is lost."""

import time
from collections.abc import Mapping, Sequence

import pytest

from smallfirst.answers import LabelAnswer
from smallfirst.catalogue import Model, Task
from smallfirst.ledger.books import Use
from smallfirst.step_options import NO_OPTIONS, StepOptions
from smallfirst_workers.engines import NO_MODELS, EngineRequest, EngineResult
from smallfirst_workers.shared_clock import SharedClock
from smallfirst_workers.slm.one_pass import OnePass
from smallfirst_workers.worker_time import WorkerTime

PASS_SECONDS = 0.02
QUESTION = EngineRequest("a text", "topic")


class SlowEngine:
    """Answers after a moment, or raises after it."""

    def __init__(self, *, raises: bool) -> None:
        self._raises = raises

    def revision_of(self, task: str, options: StepOptions = NO_OPTIONS) -> str:
        """There is one."""
        return f"{task} {options.adapter}"

    def run(self, asked: Sequence[EngineRequest]) -> EngineResult:
        """Compute, and say of its seconds what the clock of the worker knows better."""
        until = time.monotonic() + PASS_SECONDS
        while time.monotonic() < until:
            pass
        if self._raises:
            raise MemoryError
        answer = LabelAnswer(label="a", confidence=1.0)
        return EngineResult([answer] * len(asked), [3, 1], 4, seconds=99.0)

    def prepare(self, tasks: Mapping[str, Task], models: Mapping[str, Model] = NO_MODELS) -> None:
        """Nothing to do."""

    def unload(self) -> None:
        """Nothing to do."""


def uses_of(worker: WorkerTime) -> tuple[dict[str, Use], float]:
    """What each use came to, and all of them together."""
    uses = worker.read()
    return uses, sum(use.seconds for use in uses.values())


def test_a_pass_is_charged_by_tokens_and_the_rest_has_uses_of_its_own() -> None:
    """Loading, waiting, handling and asking come to the worker's life."""
    born, clock = time.monotonic() - 5.0, SharedClock()
    worker, engine = WorkerTime(clock, born), OnePass(SlowEngine(raises=False), clock)
    worker.end_loading()
    with worker.batch_in_hand():
        [done] = engine.answer([QUESTION, QUESTION])
        parts = done.parts()
        for part in parts:
            worker.count_attempt(part.seconds, part.joules)
    assert done.seconds < 99.0
    assert parts[0].seconds == pytest.approx(3 * parts[1].seconds)
    uses, whole = uses_of(worker)
    assert whole == pytest.approx(time.monotonic() - born, abs=0.01)
    assert uses["asked"].seconds == pytest.approx(done.seconds)
    assert uses["lost"].seconds == pytest.approx(0.0, abs=1e-9)
    assert uses["loading"].seconds == pytest.approx(5.0, abs=0.5)


def test_a_pass_that_raised_is_lost_and_paid_for() -> None:
    """Nobody is charged for it, and it does not pass for idle time."""
    born, clock = time.monotonic(), SharedClock()
    worker, engine = WorkerTime(clock, born), OnePass(SlowEngine(raises=True), clock)
    worker.end_loading()
    with pytest.raises(MemoryError), worker.batch_in_hand():
        list(engine.answer([QUESTION, QUESTION]))
    uses, whole = uses_of(worker)
    assert uses["lost"].seconds >= PASS_SECONDS
    assert uses["asked"].seconds == 0.0
    assert whole == pytest.approx(time.monotonic() - born, abs=0.01)


def test_what_is_done_before_it_takes_work_is_loading() -> None:
    """Models are tried out before: such a pass is no job's, and is not lost either."""
    born, clock = time.monotonic(), SharedClock()
    worker, engine = WorkerTime(clock, born), OnePass(SlowEngine(raises=False), clock)
    list(engine.answer([QUESTION, QUESTION]))
    assert set(worker.read()) == {"loading"}
    worker.end_loading()
    uses, _ = uses_of(worker)
    assert uses["loading"].seconds >= PASS_SECONDS
    assert uses["lost"].seconds == uses["asked"].seconds == 0.0
