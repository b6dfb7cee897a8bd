"""What a training works with: the task, the rows, the base model, and a folder to work in."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from smallfirst.catalogue import Catalogue, Model, Task
from smallfirst.catalogue.examples import MAX_COMPLAINTS
from smallfirst.catalogue.loading import load_catalogue
from smallfirst.catalogue.model_files import model_folder
from smallfirst.catalogue.model_tasks import TRAINED_POOLING
from smallfirst.errors import CatalogueError
from smallfirst.jobs import Tier
from smallfirst.process.training_plan import TrainingPlan
from smallfirst.wording import did_you_mean
from smallfirst_workers.encoding.loading import own_pooling
from smallfirst_workers.encoding.model_folder import ModelFolder
from smallfirst_workers.encoding.tokenising import Reader
from smallfirst_workers.errors import TrainingError
from smallfirst_workers.training.rows import Rows, read_rows, unreadable

#: Changes whenever training would make other weights of the same plan, rows and base model.
_RECIPE = 2
#: Says what the weights of a base model depend on, in the name of the working folder.
_HASH_DIGITS = 16


@dataclass(frozen=True)
class Bench:
    """One training, laid out.

    Attributes:
        plan: As asked.
        task: Of the catalogue; its own examples play no part.
        rows: To learn from and to judge by.
        model: The base as the catalogue has it; None where there is none.
        base: Its folder.
        work: Of this very training, with all that a killed one goes on from.
        cache: Of converted models.
    """

    plan: TrainingPlan
    task: Task
    rows: Rows
    model: Model
    base: ModelFolder
    work: Path
    cache: Path


def lay_out(plan: TrainingPlan, cache: Path) -> Bench:
    """Read and check everything that a training needs, before any of it is trained.

    Raises:
        CatalogueError: When the catalogue or a row is wrong.
        ModelFilesError: When the base model is not here.
        TrainingError: When the plan does not fit them.
        WorkerError: When the base model cannot be used.
    """
    catalogue, task = read_task(plan)
    name = _base_name(plan, task, catalogue)
    model = catalogue.models[name]
    base = _open_base(name, model)
    rows = read_rows(plan.data, plan.task, task, held_out=plan.held_out, seed=plan.seed)
    reader = Reader.load(base, cache=cache, max_tokens=model.max_tokens)
    if problems := unreadable(rows, plan.data, plan.task, reader):
        raise CatalogueError(*problems[:MAX_COMPLAINTS])
    work = plan.out.parent / f".{plan.out.name}.training-{_key(plan, task, rows, model, base)}"
    return Bench(plan, task, rows, model, base, work, cache)


def read_task(plan: TrainingPlan) -> tuple[Catalogue, Task]:
    """Read the catalogue and the task that is trained for.

    Raises:
        CatalogueError: When the catalogue is wrong.
        TrainingError: When it has no such task, or the model is there already.
    """
    if plan.out.exists():
        raise TrainingError(f"{plan.out} is there already; name another with --out")
    catalogue = load_catalogue(plan.catalogue)
    task = catalogue.tasks.get(plan.task)
    if task is None:
        near = did_you_mean(plan.task, catalogue.tasks)
        raise TrainingError(f"the catalogue has no task {plan.task!r}{near}")
    return catalogue, task


def _base_name(plan: TrainingPlan, task: Task, catalogue: Catalogue) -> str:
    if plan.model is not None and plan.model not in catalogue.models:
        near = did_you_mean(plan.model, catalogue.models)
        raise TrainingError(f"the catalogue has no model {plan.model!r}{near}")
    if plan.model is not None:
        return plan.model
    asked = (model for step in task.cascade for model in step.asks)
    small = next((name for name in asked if catalogue.models[name].tier is Tier.SLM), None)
    if small is None:
        raise TrainingError(f"tasks.{plan.task} asks no small model; name one with --model")
    return small


def _open_base(name: str, model: Model) -> ModelFolder:
    if model.tier is not Tier.SLM:
        raise TrainingError(f"models.{name} is of tier {model.tier}; only small models are trained")
    folder = ModelFolder.open(name, model_folder(model))
    pooling = own_pooling(folder, model)
    if pooling != TRAINED_POOLING:
        raise TrainingError(f"models.{name} has pooling {pooling}; it must be mean")
    if folder.classifier is not None:
        raise TrainingError(f"models.{name} only classifies; a bare encoder is needed")
    return folder


def _key(plan: TrainingPlan, task: Task, rows: Rows, model: Model, base: ModelFolder) -> str:
    """Hash all that a checkpoint depends on: only the very same training may go on from it."""
    texts = plan.texts.read_bytes() if plan.texts else b""
    settings = plan.model_dump_json(
        exclude={"catalogue", "data", "out", "texts", "threads", "time_limit"}
    )
    read_as = f"{task.reads} {model.max_tokens}"
    made_from = f"{_RECIPE} {settings} {read_as} {rows.sha256} {base.content_hash}"
    return hashlib.sha256(made_from.encode() + texts).hexdigest()[:_HASH_DIGITS]
