"""The models this worker serves: loaded for its pool, kept in step with the catalogue."""

import gc
import threading
from collections.abc import Mapping
from pathlib import Path
from pkgutil import resolve_name

import structlog

from smallfirst.catalogue import Catalogue, Model, Task
from smallfirst.catalogue.placement import pools_of
from smallfirst.catalogue.sound_shadows import serve_sound, tell_left_out
from smallfirst.errors import SmallfirstError
from smallfirst.step_options import StepOptions
from smallfirst_workers.engines import (
    Engine,
    LoadContext,
    LoadedEngine,
    LoadEngine,
    ServedModel,
    WaitsForEndpoint,
)
from smallfirst_workers.errors import ModelError, ModelMissing, TaskError, WorkerError
from smallfirst_workers.probing import is_sound
from smallfirst_workers.shared_clock import SharedClock
from smallfirst_workers.slm.one_pass import OnePass

log = structlog.get_logger()


class Models:
    """The engines of one pool, by model name. One change at a time."""

    def __init__(
        self,
        pool: str,
        *,
        cache: Path,
        threads: int,
        has_metrics: bool = False,
        clock: SharedClock | None = None,
    ) -> None:
        self._pool = pool
        self._context = LoadContext(cache, threads, has_metrics, clock or SharedClock())
        self._specs: dict[str, Model] = {}
        self._engines: dict[str, LoadedEngine] = {}
        self._catalogue: Catalogue | None = None
        self._revision = ""
        self._lock = threading.Lock()

    def serve(self, catalogue: Catalogue, revision: str = "") -> list[str]:
        """Load what the catalogue places on this pool, make its tasks ready; return the models.

        A candidate in shadow that cannot be served is left out.

        Args:
            catalogue: What is to be served.
            revision: The hash of its files. It counts as seen when all is ready, or when something
                cannot be made so: from then on a task that is not there will not come by waiting.

        Raises:
            CatalogueError: When a model fits no pool.
            WorkerError: When a model cannot be loaded, or a task cannot be served by it.
        """
        try:
            served = serve_sound(catalogue, self._serve, errors=(SmallfirstError, WorkerError))
        finally:
            self._revision = revision
        tell_left_out(catalogue, served.left_out)
        return served.outcome

    def _serve(self, catalogue: Catalogue) -> list[str]:
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
        engine = load_engine(name, model, self._context)
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

    def served(self, name: str) -> ServedModel:
        """A model ready for a batch.

        Raises:
            ModelMissing: When the catalogue no longer places it here.
        """
        # The revision first: what it brings is ready by then, and seen as not yet there at worst.
        revision, catalogue = self._revision, self._catalogue
        if catalogue is None or name not in self._engines:
            raise ModelMissing(model=name, pool=self._pool)
        price = catalogue.pools[self._pool].price_per_hour
        return ServedModel(self._engines[name], catalogue.models[name].tier, price, revision)

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


def load_engine(name: str, model: Model, context: LoadContext) -> LoadedEngine:
    """Load a model by the engine that serves it; what others need has not to be installed.

    Raises:
        ModelError: When it cannot be served, or what its engine needs is not installed.
        ModelFilesError: When its files are not there.
    """
    implementation = model.engine_spec.implementation
    try:
        load: LoadEngine = resolve_name(implementation.path)
    except ImportError as err:
        reason = f"needs a package that is missing: {implementation.install_hint}"
        raise ModelError(name, reason) from err
    return load(name, model, context)


def _make_ready(model: str, engine: LoadedEngine, catalogue: Catalogue) -> None:
    engine.prepare(tasks_of(model, catalogue), catalogue.models)
    check_promises(model, catalogue, engine)
    check_sound(model, catalogue, engine)


def check_sound(model: str, catalogue: Catalogue, engine: Engine) -> None:
    """See that a small model answers a plain text, before it takes any job. Large ones warm up.

    Raises:
        ModelError: When it fails: its files load, and are not what they should be.
    """
    tasks = tasks_of(model, catalogue)
    asked = next(((name, _options_of(model, task)) for name, task in tasks.items()), None)
    if isinstance(engine, OnePass) and asked and not is_sound(engine, *asked):
        raise ModelError(model, "loads, and fails on a plain text; look at its files and runtime")


def _options_of(model: str, task: Task) -> StepOptions:
    """How the first step that asks a model wants it to answer."""
    return next(step.options for step in task.cascade if model in step.asks)


def check_promises(model: str, catalogue: Catalogue, engine: Engine) -> None:
    """See that a model is the one for which its steps were calibrated.

    Raises:
        TaskError: When it is another one, so that the promise is void.
    """
    for name, task in tasks_of(model, catalogue).items():
        for step in task.cascade:
            if model not in step.asks:
                continue
            revision = engine.revision_of(name, step.options)
            if step.acceptance.is_void(revision):
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
        if any(model in step.asks for step in task.cascade)
    }
