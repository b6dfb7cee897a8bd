"""The linear models that a catalogue asks: trained where they are not yet, each loaded once.

A model of thousands of examples takes half a minute to train. A process of its own does it, and
meanwhile the router goes on by the catalogue that is in force. A router that asks no linear model
imports nothing for one.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from smallfirst.catalogue import Catalogue, Model, ModelStep, Task
from smallfirst.catalogue.sound_shadows import serve_sound, tell_left_out
from smallfirst.errors import CatalogueError, CatalogueProblem, ModelFilesError
from smallfirst_router.cascade import Skills
from smallfirst_router.errors import StillTraining

if TYPE_CHECKING:
    from smallfirst.linear.orders import Training
    from smallfirst.linear.skills import LinearSkill

#: How many models are trained side by side: each is a process of some hundred megabytes.
_AT_ONCE: Final = 2
#: Between two signs of life while a start waits for its models.
_BEAT_SECONDS: Final = 1.0

log = structlog.get_logger()

#: The name of a task, the task, the name of a model that it asks, the model.
LinearStep = tuple[str, Task, str, Model]


class LinearModels:
    """What linear models this process has at hand; for several threads at once."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._lock = threading.Lock()
        self._trainings: dict[Path, Training] = {}
        self._loaded: dict[str, LinearSkill] = {}

    def train(self, catalogue: Catalogue, *, on_wait: Callable[[], object]) -> Catalogue:
        """Load what a catalogue asks, and wait for what has to be trained first.

        Args:
            catalogue: Whose tasks are looked through.
            on_wait: Called every second.

        Returns:
            The same, but for candidates in shadow whose models cannot be had.

        Raises:
            CatalogueError: See `skills_of`.
            ModelFilesError: The same.
        """
        errors = (CatalogueError, ModelFilesError)
        served = serve_sound(catalogue, partial(self._wait_for, on_wait=on_wait), errors=errors)
        tell_left_out(catalogue, served.left_out)
        return served.catalogue

    def _wait_for(self, catalogue: Catalogue, *, on_wait: Callable[[], object]) -> None:
        while True:
            try:
                self.skills_of(catalogue)
            except StillTraining:
                for training in list(self._trainings.values())[:1]:
                    training.has_ended(within=_BEAT_SECONDS)
                on_wait()
            else:
                return

    def skills_of(self, catalogue: Catalogue) -> Skills:
        """Load what a catalogue asks, what is loaded already not again.

        Raises:
            StillTraining: When a model is not there yet; it is seen to.
            CatalogueError: When examples do not suffice, a training failed, a model is another
                task's, or a package is missing.
            ModelFilesError: When a model is missing or broken.
        """
        steps = list(linear_steps(catalogue))
        _check_packages(steps)
        with self._lock:
            taught = {name: task for name, task, _, model in steps if model.is_bundled}
            if taught or self._trainings:
                self._train_missing(taught)
            found = {
                (name, asked): self._skill(name, task, model) for name, task, asked, model in steps
            }
            self._loaded = {skill.model.key: skill for skill in found.values()}
        return found

    def close(self) -> None:
        """End what is being trained."""
        with self._lock:
            while self._trainings:
                self._trainings.popitem()[1].end()

    def _train_missing(self, tasks: Mapping[str, Task]) -> None:
        """Have the models of tasks trained that are not there yet, and no others."""
        from smallfirst.linear.fitting import folder_of  # noqa: PLC0415

        folders = {name: folder_of(task, self._cache) for name, task in tasks.items()}
        for folder in self._trainings.keys() - set(folders.values()):
            self._trainings.pop(folder).end()
        for name, folder in folders.items():
            self._see_to(name, tasks[name], folder)
        # A model is there a moment before the process that made it has ended.
        unfinished = self._trainings.keys() | {
            each for each in folders.values() if not each.is_dir()
        }
        if unfinished:
            raise StillTraining(len(unfinished))

    def _see_to(self, name: str, task: Task, folder: Path) -> None:
        """Begin a training, or take up how it ended."""
        from smallfirst.linear.fitting import check_examples  # noqa: PLC0415
        from smallfirst.linear.orders import Training  # noqa: PLC0415

        training, is_there = self._trainings.get(folder), folder.is_dir()
        if training is None and not is_there:
            check_examples(name, task)
            if len(self._trainings) < _AT_ONCE:
                log.info("linear.training", task=name, examples=len(task.examples))
                self._trainings[folder] = Training(name, task, self._cache)
        elif training is not None and (is_there or training.has_ended()):
            said = training.failure()
            self._trainings.pop(folder).end()
            if said is not None:
                raise CatalogueError(CatalogueProblem(None, None, f"tasks.{name}", said))

    def _skill(self, name: str, task: Task, model: Model) -> "LinearSkill":
        from smallfirst.linear.skills import key_of, load_skill  # noqa: PLC0415

        known = self._loaded.get(key_of(task, model))
        return known or load_skill(name, task, model, self._cache)


def linear_steps(catalogue: Catalogue) -> Iterator[LinearStep]:
    """Name every task with each linear model that its cascade asks."""
    for name, task in catalogue.tasks.items():
        for step in task.cascade:
            model = catalogue.models[step.model] if isinstance(step, ModelStep) else None
            if model is not None and model.engine_spec.is_in_router:
                yield name, task, step.name, model


def _check_packages(steps: list[LinearStep]) -> None:
    """See that what linear models need is installed, where any is asked.

    Raises:
        CatalogueError: When it is not.
    """
    for _, _, asked, model in steps:
        implementation = model.engine_spec.implementation
        if missing := implementation.missing_packages():
            rule = f"needs {', '.join(missing)}: {implementation.install_hint}"
            raise CatalogueError(CatalogueProblem(None, None, f"models.{asked}", rule))
