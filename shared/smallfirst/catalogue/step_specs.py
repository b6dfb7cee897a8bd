"""What decides the answers of each step of a cascade, as a hash: a promise holds for that alone."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from smallfirst.catalogue.pools import Model
from smallfirst.catalogue.steps import MeanStep, RuleStep
from smallfirst.catalogue.tasks import Task

#: What a model's entry says of where and how fast it runs, rather than of what it answers.
_NOT_ANSWERING: Final = frozenset(
    {
        "endpoint",
        "allows_plain_http",
        "ca_file",
        "api_key_variable",
        "max_concurrency",
        "price_per_million_tokens",
        "parameters",
        "tensor_parallel_size",
        "gpu_memory_utilization",
        "source",
    }
)


#: What a task says that no model reads.
_NOT_READ: Final = frozenset({"cascade", "max_chars", "examples", "audit", "drift", "shadow"})


def step_specs(task: "Task", models: Mapping[str, Model]) -> tuple[str, ...]:
    """Hash what decides each step's answers, and when they stand without a promise.

    A step that waits for its promise hashes like one that is to be calibrated next. Prices, pools
    and places are left out, and so is the path of a local model: what stands in its folder shows in
    the revision, which the worker compares. A person's step has no hash, and voids no promise.
    """
    is_any = any(step.is_calibrated for step in task.cascade)
    return tuple(
        _digest(_spec(task, models, index, is_any_calibrated=is_any))
        for index in range(len(task.machine_steps))
    )


def _spec(
    task: "Task", models: Mapping[str, Model], index: int, *, is_any_calibrated: bool
) -> dict[str, Any]:
    step = task.cascade[index]
    spec = step.model_dump(mode="json", exclude_defaults=True)
    if isinstance(step, RuleStep):
        return {"kind": task.kind, "step": spec | {"accept": step.accept}}
    # Where no step is marked, calibration chooses for all models; see `is_to_be_chosen`.
    if not is_any_calibrated:
        spec["accept"] = "calibrated"
    about = [models[name] for name in step.asks]
    if isinstance(step, MeanStep):
        specs = list(map(_model_spec, about))
        return {"step": spec, "models": specs, "task": _task_spec(task, about[0])}
    [model] = about
    return {"step": spec, "model": _model_spec(model), "task": _task_spec(task, model)}


def _model_spec(model: Model) -> dict[str, Any]:
    # What stands at its default is left out, so that a new key of the format changes no hash.
    about = model.model_dump(mode="json", exclude=set(_NOT_ANSWERING), exclude_defaults=True)
    if model.engine == model.model_copy(update={"engine": None}).engine_name:
        del about["engine"]  # what is said besides decides nothing
    about["source"] = Path(model.source).name if model.is_local else model.source
    about["adapters"] = {name: Path(folder).name for name, folder in model.adapters.items()}
    return about


def _task_spec(task: "Task", model: Model) -> dict[str, Any]:
    # The order of labels and fields is the order in which a model reads them.
    spec: dict[str, Any] = {"kind": task.kind, "order": [list(task.labels), list(task.fields)]}
    # What an example does not say is left out, so that the key of a new kind changes no hash.
    spec["examples"] = [
        row.model_dump(mode="json", exclude={"id"}, exclude_defaults=True) for row in task.examples
    ]
    if model.engine_spec.generates:
        spec |= task.model_dump(mode="json", exclude=set(_NOT_READ), exclude_defaults=True)
    return spec


def is_to_be_chosen(task: "Task", index: int) -> bool:
    """Whether calibration chooses the threshold of a step.

    Of the steps that say `accept: calibrated`, or of every model where none does yet.
    """
    step = task.cascade[index]
    if any(each.is_calibrated for each in task.cascade):
        return step.is_calibrated
    return step.has_threshold


def _digest(spec: dict[str, Any]) -> str:
    text = json.dumps(spec, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
