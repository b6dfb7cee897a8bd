"""Promises: what calibration found out about a cascade, as a file beside the catalogue keeps it.

`calibration/TASK.json` says which thresholds the words `accept: calibrated` stand for, what was
promised of them, and of which cascade. It is void as soon as that cascade is another one.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import Field, StringConstraints

from smallfirst.catalogue.entries import Entry
from smallfirst.catalogue.pools import Model
from smallfirst.jobs import Label, Name, Probability, Tier

if TYPE_CHECKING:
    from smallfirst.catalogue.tasks import Task

#: Where promises stand, beside the catalogue.
FOLDER: Final = "calibration"
#: What a model's entry says of where and how fast it runs, rather than of what it answers.
_NOT_ANSWERING: Final = frozenset(
    {
        "endpoint",
        "api_key_variable",
        "requests_at_once",
        "price_per_million_tokens",
        "parameters",
        "tensor_parallel",
        "memory_share",
        "source",
    }
)
#: What a task says that no model reads.
_NOT_READ: Final = frozenset({"cascade", "max_chars", "examples"})

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]


class StepPromise(Entry):
    """What was found out about one step, and how its answers are judged by it."""

    tier: Tier
    model: str = Field(description="Its name in the catalogue; `rules` for a rule.")
    revision: str = Field(description="Which version of it was asked; another one escalates.")
    spec: Digest = Field(description="Hash of what the catalogue said of the step.")
    temperature: float = Field(
        default=1.0, gt=0.0, le=100.0, description="Applied to a label's distribution first."
    )
    threshold: Probability | Literal["never"] = Field(
        description="The confidence an answer must reach; `never`: the step is passed over."
    )
    threshold_by_label: dict[Label, Probability] | None = Field(
        default=None,
        description="In place of `threshold`, by the label answered; one that is not here never"
        " stands.",
    )
    share_answered: Probability = Field(description="Of all rows, those that this step answered.")
    num_tested: int = Field(ge=0, description="Its accepted answers in the testing part.")
    num_wrong: int = Field(ge=0, description="Those of them that were wrong.")
    error_bound: Probability = Field(
        description="The highest error rate of its own that these counts allow."
    )

    @property
    def is_never_asked(self) -> bool:
        """Whether none of its answers could stand."""
        return self.threshold == "never"


class Promise(Entry):
    """What is promised of a task's cascade: the content of `calibration/TASK.json`."""

    version: Literal[1] = Field(default=1, description="Of this format.")
    task: Name
    target: float = Field(
        gt=0.0, lt=1.0, description="The largest share of accepted answers that may be wrong."
    )
    confidence: float = Field(gt=0.0, lt=1.0, description="How sure the promise is.")
    is_per_label: bool = Field(
        default=False, description="Whether the target holds for the answers of each label."
    )
    labels_never_accepted: tuple[Label, ...] = Field(
        default=(), description="Labels of which the rows could not support the promise."
    )
    num_rows: int = Field(ge=1, description="Labelled rows, each text counted once.")
    num_tested: int = Field(ge=1, description="Those of them that the promise was tested on.")
    num_accepted: int = Field(ge=1, description="Accepted answers in the testing part.")
    num_wrong: int = Field(ge=0, description="Those of them that were wrong.")
    error_bound: Probability = Field(
        description="The highest error rate among accepted answers that these counts allow."
    )
    share_answered: Probability = Field(description="Of all rows; the rest is abstained from.")
    cost_per_job: float = Field(ge=0.0, description="Mean, of all steps asked.")
    currency: str
    abstention_cost: float = Field(ge=0.0, description="What an unanswered job was counted for.")
    seed: int = Field(description="By which the rows were split.")
    data: Digest = Field(description="Hash of the rows and their right answers.")
    made_at: Annotated[datetime, Field(strict=False)] = Field(description="UTC.")
    steps: tuple[StepPromise, ...] = Field(min_length=1, description="The cascade, in order.")


def promise_path(catalogue_path: Path, task: str) -> Path:
    """Where the promise of a task stands."""
    return catalogue_path.parent / FOLDER / f"{task}.json"


def step_specs(task: "Task", models: Mapping[str, Model]) -> tuple[str, ...]:
    """Hash what decides each step's answers, and when they stand without a promise.

    A step that waits for its promise hashes like one that is to be calibrated next. Prices, pools
    and places are left out, and so is the path of a local model: what stands in its folder shows in
    the revision, which the worker compares.
    """
    is_any = any(step.accept == "calibrated" for step in task.cascade)
    return tuple(
        _digest(_spec(task, models, index, is_any_calibrated=is_any))
        for index in range(len(task.cascade))
    )


def _spec(
    task: "Task", models: Mapping[str, Model], index: int, *, is_any_calibrated: bool
) -> dict[str, Any]:
    step = task.cascade[index]
    spec = step.model_dump(mode="json", exclude_defaults=True)
    if step.model is None:
        return {"kind": task.kind, "step": spec | {"accept": step.rule_accepts}}
    # Where no step is marked, calibration chooses for all models; see `is_to_be_chosen`.
    if not is_any_calibrated:
        spec["accept"] = "calibrated"
    model = models[step.model]
    return {"step": spec, "model": _model_spec(model), "task": _task_spec(task, model)}


def _model_spec(model: Model) -> dict[str, Any]:
    # What stands at its default is left out, so that a new key of the format changes no hash.
    about = model.model_dump(mode="json", exclude=set(_NOT_ANSWERING), exclude_defaults=True)
    about["source"] = Path(model.source).name if model.is_local else model.source
    about["adapters"] = {name: Path(folder).name for name, folder in model.adapters.items()}
    return about


def _task_spec(task: "Task", model: Model) -> dict[str, Any]:
    # The order of labels and fields is the order in which a model reads them.
    spec: dict[str, Any] = {"kind": task.kind, "order": [list(task.labels), list(task.fields)]}
    spec["examples"] = [row.model_dump(mode="json", exclude={"id"}) for row in task.examples]
    if model.tier is not Tier.SLM:
        spec |= task.model_dump(mode="json", exclude=set(_NOT_READ), exclude_defaults=True)
    return spec


def is_to_be_chosen(task: "Task", index: int) -> bool:
    """Whether calibration chooses the threshold of a step.

    Of the steps that say `accept: calibrated`, or of every model where none does yet.
    """
    step = task.cascade[index]
    if any(each.accept == "calibrated" for each in task.cascade):
        return step.accept == "calibrated"
    return step.model is not None


def _digest(spec: dict[str, Any]) -> str:
    text = json.dumps(spec, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
