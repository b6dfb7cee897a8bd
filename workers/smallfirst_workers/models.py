"""The models this worker serves: loaded for its pool, kept in step with the catalogue."""

import gc
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import structlog

from smallfirst.catalogue import Catalogue, Model, Task
from smallfirst.catalogue.model_files import model_folder
from smallfirst.catalogue.placement import pools_of
from smallfirst.jobs import Tier
from smallfirst_workers.engines import (
    Engine,
    EngineRequest,
    EngineResult,
    PartialResult,
    ServedModel,
    WaitsForEndpoint,
)
from smallfirst_workers.errors import ModelError, ModelMissing, TaskError
from smallfirst_workers.probing import is_sound

log = structlog.get_logger()


class LoadedEngine(Engine, Protocol):
    """An engine whose life this module owns."""

    def prepare(self, tasks: Mapping[str, Task]) -> None:
        """Make ready for exactly these tasks."""

    def unload(self) -> None:
        """Let go of the model."""


class Models:
    """The engines of one pool, by model name. One change at a time."""

    def __init__(self, pool: str, *, cache: Path, threads: int, has_metrics: bool = False) -> None:
        self._pool = pool
        self._cache = cache
        self._threads = threads
        self._has_metrics = has_metrics
        self._specs: dict[str, Model] = {}
        self._engines: dict[str, LoadedEngine] = {}
        self._catalogue: Catalogue | None = None
        self._lock = threading.Lock()

    def serve(self, catalogue: Catalogue) -> list[str]:
        """Load what the catalogue places on this pool, make its tasks ready; return the models.

        Raises:
            CatalogueError: When a model fits no pool.
            WorkerError: When a model cannot be loaded, or a task cannot be served by it.
        """
        names = [name for name, pool in pools_of(catalogue).items() if pool == self._pool]
        with self._lock:
            before = dict(self._specs)
            for name in names:
                self._serve_one(name, catalogue)
            for name in set(self._engines) - set(names):
                self._engines.pop(name).unload()
                del self._specs[name]
            self._catalogue = catalogue
            if self._specs != before:
                _freeze_heap()
        return names

    def _serve_one(self, name: str, catalogue: Catalogue) -> None:
        """Make one model ready; the one before it leaves only when the new one answers."""
        model = catalogue.models[name]
        if self._specs.get(name) == model:
            _make_ready(name, self._engines[name], catalogue)
            return
        engine = self._load(name, model)
        try:
            _make_ready(name, engine, catalogue)
        except BaseException:
            engine.unload()
            raise
        old = self._engines.get(name)
        self._engines[name], self._specs[name] = engine, model
        if old is not None:
            old.unload()
        log.info("model.loaded", model=name)

    def _load(self, name: str, model: Model) -> LoadedEngine:
        if model.is_remote:
            return load_endpoint(name, model)
        folder = model_folder(model)
        if model.tier is Tier.LLM:
            has_metrics = self._has_metrics
            return load_llm(name, model, folder, cache=self._cache, has_metrics=has_metrics)
        return load_slm(name, model, folder, cache=self._cache, threads=self._threads)

    def served(self, name: str) -> ServedModel:
        """A model ready for a batch.

        Raises:
            ModelMissing: When the catalogue no longer places it here.
        """
        catalogue = self._catalogue
        if catalogue is None or name not in self._engines:
            raise ModelMissing(model=name, pool=self._pool)
        price = catalogue.pools[self._pool].price_per_hour
        return ServedModel(self._engines[name], catalogue.models[name].tier, price)

    def stop_waiting(self) -> None:
        """Let no engine wait any longer for what may never come: the worker has to go.

        May be called from a signal handler: it takes no lock, and does not wait itself.
        """
        for engine in list(self._engines.values()):
            if isinstance(engine, WaitsForEndpoint):
                engine.stop_waiting()

    def unload(self) -> None:
        """Let go of every model."""
        with self._lock:
            for engine in self._engines.values():
                engine.unload()
            self._engines.clear()


def _freeze_heap() -> None:
    """Keep Python's collector from walking through all that models and libraries hold.

    They make up a million objects that stay, and each full collection visits every one. What a
    model before left behind is collected first.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def load_slm(name: str, model: Model, folder: Path, *, cache: Path, threads: int) -> LoadedEngine:
    """Load a small model. Where large ones run, what this imports need not be installed."""
    from smallfirst_workers.slm.engine import SlmEngine  # noqa: PLC0415 - see above

    engine = SlmEngine.load(name, model, folder, cache=cache, threads=threads)
    return OnePass(engine)


def load_llm(
    name: str, model: Model, folder: Path, *, cache: Path, has_metrics: bool = False
) -> LoadedEngine:
    """Start a large model. Where small ones run, vLLM need not be installed."""
    if model.runner == "pooling":
        from smallfirst_workers.llm.vllm.pooling_engine import PoolingEngine  # noqa: PLC0415 - see above

        return PoolingEngine.load(name, model, folder, cache=cache, has_metrics=has_metrics)
    from smallfirst_workers.llm.vllm.engine import LlmEngine  # noqa: PLC0415 - see above

    return LlmEngine.load(name, model, folder, cache=cache, has_metrics=has_metrics)


def load_endpoint(name: str, model: Model) -> LoadedEngine:
    """Make ready to ask a model that runs elsewhere. Only who asks one needs the client.

    Raises:
        ModelError: When the client is not installed, or the endpoint's key is missing.
    """
    try:
        from smallfirst_workers.llm.endpoint.engine import EndpointEngine  # noqa: PLC0415 - see above
    except ImportError as err:
        reason = "needs a package that is missing: pip install 'smallfirst[remote]'"
        raise ModelError(name, reason) from err
    return EndpointEngine.load(name, model)


class PassEngine(Protocol):
    """An engine that answers all questions of a batch in one pass."""

    def revision_of(self, task: str) -> str:
        """Which version of the model, and of the task's head, answers."""

    def run(self, asked: Sequence[EngineRequest]) -> EngineResult:
        """Answer a batch."""

    def prepare(self, tasks: Mapping[str, Task]) -> None:
        """Make ready for exactly these tasks."""

    def unload(self) -> None:
        """Let go of the model."""


class OnePass:
    """Gives a pass out as one portion, and keeps the engine from changing in the midst of it."""

    def __init__(self, engine: PassEngine) -> None:
        self._engine = engine
        self._lock = threading.Lock()

    def revision_of(self, task: str) -> str:
        """Which version of the model, and of the task's head, answers."""
        return self._engine.revision_of(task)

    def answer(self, asked: Sequence[EngineRequest]) -> Iterator[PartialResult]:
        """Answer all questions in one pass."""
        if not asked:
            return
        with self._lock:
            done = self._engine.run(asked)
        yield PartialResult(tuple(range(len(asked))), done)

    def prepare(self, tasks: Mapping[str, Task]) -> None:
        """Make ready for exactly these tasks, between two passes."""
        with self._lock:
            self._engine.prepare(tasks)

    def unload(self) -> None:
        """Let go of the model, after the pass that runs."""
        with self._lock:
            self._engine.unload()


def _make_ready(model: str, engine: LoadedEngine, catalogue: Catalogue) -> None:
    engine.prepare(tasks_of(model, catalogue))
    check_promises(model, catalogue, engine)
    check_sound(model, catalogue, engine)


def check_sound(model: str, catalogue: Catalogue, engine: Engine) -> None:
    """See that a small model answers a plain text, before it takes any job. Large ones warm up.

    Raises:
        ModelError: When it fails: its files load, and are not what they should be.
    """
    tasks = tasks_of(model, catalogue)
    if isinstance(engine, OnePass) and tasks and not is_sound(engine, next(iter(tasks))):
        raise ModelError(model, "loads, and fails on a plain text; look at its files and runtime")


def check_promises(model: str, catalogue: Catalogue, engine: Engine) -> None:
    """See that a model is the one for which its steps were calibrated.

    Raises:
        TaskError: When it is another one, so that the promise is void.
    """
    for name, task in tasks_of(model, catalogue).items():
        revision = engine.revision_of(name)
        for step in task.cascade:
            if model in step.models and step.acceptance.is_void(revision):
                reason = (
                    f"is calibrated for revision {step.acceptance.revision} of models.{model}, and"
                    f" this is {revision} (its files, runtime or precision differ);"
                    f" run `smallfirst calibrate {name} --data ROWS`"
                )
                raise TaskError(name, reason)


def tasks_of(model: str, catalogue: Catalogue) -> Mapping[str, Task]:
    """The tasks that ask a model in some step."""
    return {
        name: task
        for name, task in catalogue.tasks.items()
        if any(model in step.models for step in task.cascade)
    }
