"""The models this worker serves: loaded for its pool, kept in step with the catalogue."""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import structlog

from smallfirst.catalogue import Catalogue, Model, Task
from smallfirst.model_files import model_folder, pools_of
from smallfirst_workers.engines import Asked, Pass, Served
from smallfirst_workers.errors import ModelMissing
from smallfirst_workers.slm.engine import SlmEngine

log = structlog.get_logger()


class Models:
    """The engines of one pool, by model name. One pass or one change at a time."""

    def __init__(self, pool: str, *, cache: Path, threads: int) -> None:
        self._pool = pool
        self._cache = cache
        self._threads = threads
        self._specs: dict[str, Model] = {}
        self._engines: dict[str, SlmEngine] = {}
        self._catalogue: Catalogue | None = None
        self._lock = threading.Lock()

    def serve(self, catalogue: Catalogue) -> list[str]:
        """Load what the catalogue places on this pool, train missing heads; return the models.

        Raises:
            CatalogueError: When a model fits no pool.
            WorkerError: When a model cannot be loaded, or a task's head cannot be trained.
        """
        names = [name for name, pool in pools_of(catalogue).items() if pool == self._pool]
        with self._lock:
            for name in names:
                self._load(name, catalogue.models[name])
                self._engines[name].prepare(tasks_of(name, catalogue))
            for name in set(self._engines) - set(names):
                self._engines.pop(name).unload()
                del self._specs[name]
            self._catalogue = catalogue
        return names

    def _load(self, name: str, model: Model) -> None:
        """Load a model unless the very same one is loaded; the old leaves when the new stands."""
        if self._specs.get(name) == model:
            return
        folder = model_folder(model)
        engine = SlmEngine.load(name, model, folder, cache=self._cache, threads=self._threads)
        old = self._engines.get(name)
        self._engines[name], self._specs[name] = engine, model
        if old is not None:
            old.unload()
        log.info("model.loaded", model=name, revision=engine.revision)

    def served(self, name: str) -> Served:
        """A model ready for a batch.

        Raises:
            ModelMissing: When the catalogue no longer places it here.
        """
        catalogue = self._catalogue
        if catalogue is None or name not in self._engines:
            raise ModelMissing(model=name, pool=self._pool)
        price = catalogue.pools[self._pool].price_per_hour
        return Served(_Locked(self._engines[name], self._lock), catalogue.models[name].tier, price)

    def unload(self) -> None:
        """Let go of every model."""
        with self._lock:
            for engine in self._engines.values():
                engine.unload()
            self._engines.clear()


class _Locked:
    """An engine that is not changed while it runs."""

    def __init__(self, engine: SlmEngine, lock: threading.Lock) -> None:
        self._engine = engine
        self._lock = lock

    def revision_of(self, task: str) -> str:
        return self._engine.revision_of(task)

    def run(self, asked: Sequence[Asked]) -> Pass:
        with self._lock:
            return self._engine.run(asked)


def tasks_of(model: str, catalogue: Catalogue) -> Mapping[str, Task]:
    """The tasks that ask a model in some step."""
    return {
        name: task
        for name, task in catalogue.tasks.items()
        if any(step.model == model for step in task.cascade)
    }
