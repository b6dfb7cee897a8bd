"""An engine that answers a batch in one pass, as a worker wants it: in portions, and unchanged."""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol

from smallfirst.catalogue import Model, Task
from smallfirst.step_options import NO_OPTIONS, StepOptions
from smallfirst_workers.encoding.runtimes.base import PASSES_AT_ONCE
from smallfirst_workers.engines import NO_MODELS, EngineRequest, EngineResult
from smallfirst_workers.shared_clock import SharedClock


class PassEngine(Protocol):
    """An engine that answers all questions of a batch in one pass."""

    def revision_of(self, task: str, options: StepOptions = NO_OPTIONS) -> str:
        """Which version of the model, and of the task's head, answers a step."""

    def run(self, asked: Sequence[EngineRequest]) -> EngineResult:
        """Answer a batch."""

    def prepare(self, tasks: Mapping[str, Task], models: Mapping[str, Model] = NO_MODELS) -> None:
        """Make ready for exactly these tasks."""

    def unload(self) -> None:
        """Let go of the model."""


class OnePass:
    """Gives a pass out as one portion, and keeps the engine from changing in the midst of it.

    Args:
        engine: That answers.
        clock: By which passes that run side by side share the worker's seconds.
    """

    def __init__(self, engine: PassEngine, clock: SharedClock | None = None) -> None:
        self._engine = engine
        self._clock = clock or SharedClock()
        self._passes = threading.Semaphore(PASSES_AT_ONCE)
        self._changing = threading.Lock()

    def revision_of(self, task: str, options: StepOptions = NO_OPTIONS) -> str:
        """Which version of the model, and of the task's head, answers a step."""
        return self._engine.revision_of(task, options)

    def answer(self, asked: Sequence[EngineRequest]) -> Iterator[EngineResult]:
        """Answer all questions in one pass."""
        if not asked:
            return
        with self._passes:
            mark = self._clock.start(time.monotonic())
            try:
                done = self._engine.run(asked)
            finally:
                took = self._clock.stop(mark, time.monotonic())
        yield replace(
            done, seconds=took.seconds, joules=took.joules, places=tuple(range(len(asked)))
        )

    def prepare(self, tasks: Mapping[str, Task], models: Mapping[str, Model] = NO_MODELS) -> None:
        """Make ready for exactly these tasks, between two passes."""
        with self._between_passes():
            self._engine.prepare(tasks, models)

    def unload(self) -> None:
        """Let go of the model, after the pass that runs."""
        with self._between_passes():
            self._engine.unload()

    @contextmanager
    def _between_passes(self) -> Iterator[None]:
        """Wait until no pass runs, and keep others from beginning."""
        with self._changing:
            for _ in range(PASSES_AT_ONCE):
                self._passes.acquire()
            try:
                yield
            finally:
                self._passes.release(PASSES_AT_ONCE)
