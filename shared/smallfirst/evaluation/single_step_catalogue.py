"""A cascade taken apart: each step as a task of its own whose every answer stands. Pure.

So a fleet can be asked what each step says of a row, whatever the others say.
"""

from collections.abc import Iterator
from typing import Any

import yaml

from smallfirst.acceptance import RuleAcceptance
from smallfirst.catalogue import Catalogue, Kind, RuleStep, Step, Task
from smallfirst.evaluation.errors import UnaskableError
from smallfirst.kinds import KINDS

#: Where the derived catalogue finds the task's examples.
EXAMPLES_FILE = "examples.jsonl"


def name_of_step(index: int) -> str:
    """The task that a step becomes."""
    return f"step-{index}"


def check_askable(catalogue: Catalogue, name: str) -> None:
    """See that every step of a task can be asked here, and its answers compared.

    Raises:
        UnaskableError: When one cannot.
    """
    task = catalogue.tasks[name]
    spec = KINDS[task.kind]
    if spec.scoring is None:
        reason = f"is of kind {task.kind}, which cannot be scored: {spec.unscored}"
        raise UnaskableError(f"tasks.{name}", reason)
    for index, step in enumerate(task.cascade):
        for engine in catalogue.engines_of(step):
            if engine.is_left_out:
                missing = ", ".join(engine.implementation.missing_packages())
                reason = f"{missing} is not installed here: {engine.implementation.install_hint}"
                raise UnaskableError(f"tasks.{name}.cascade[{index}]", reason)


def taken_apart(catalogue: Catalogue, name: str) -> dict[str, Any]:
    """Derive a catalogue in which each step of a task is a task of its own.

    Args:
        catalogue: With the folders of its models absolute.
        name: Of the task; its examples are to stand in `EXAMPLES_FILE`.

    Returns:
        As it stands in a YAML file. Models that the task does not ask are left out, so that nobody
        loads them.
    """
    written = catalogue.model_dump(mode="json", exclude_unset=True, exclude={"tasks"})
    task = catalogue.tasks[name]
    asked = {model for step in task.cascade for model in step.asks}
    models = written.get("models", {})
    written["models"] = {model: models[model] for model in models if model in asked}
    steps = range(len(task.cascade))
    written["tasks"] = {name_of_step(index): _task_of_step(task, index) for index in steps}
    return written


def _task_of_step(task: Task, index: int) -> dict[str, Any]:
    written = task.model_dump(
        mode="json", exclude_unset=True, exclude={"cascade", "examples", "audit", "drift", "shadow"}
    )
    if task.examples:
        written["examples"] = EXAMPLES_FILE
    written["cascade"] = [*_keepers(task, index), _standing(task.cascade[index], task.kind)]
    return written


def _keepers(task: Task, index: int) -> Iterator[dict[str, Any]]:
    """The rules before a step whose spans are kept: what follows adds to them."""
    if KINDS[task.kind].keeps_spans:
        for step in task.cascade[:index]:
            if isinstance(step, RuleStep) and step.accept is RuleAcceptance.NEVER:
                yield step.model_dump(mode="json", exclude_unset=True)


def _standing(step: Step, kind: Kind) -> dict[str, Any]:
    """A step whose every answer stands; what a rule did not match is read off the trail.

    How foreign a text is it says still, and lets every one pass.
    """
    written = step.model_dump(mode="json", exclude_unset=True, exclude={"accept"})
    if written.get("foreign") is not None:
        written["foreign"] = 1.0
    if isinstance(step, RuleStep) and KINDS[kind].keeps_spans:
        written["accept"] = "always"
    return written


class _Quoting(yaml.SafeDumper):
    """Writes every word in quotes, so that none is read as a number, a date or a truth value."""


_Quoting.add_representer(
    str, lambda dumper, word: dumper.represent_scalar("tag:yaml.org,2002:str", word, style='"')
)


def as_yaml(written: dict[str, Any]) -> str:
    """Write a derived catalogue as the file that a fleet reads."""
    return yaml.dump(written, Dumper=_Quoting, allow_unicode=True, sort_keys=False)
