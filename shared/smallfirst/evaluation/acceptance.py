"""Gates: when the answer of each step stands, as the catalogue has it now. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from smallfirst.catalogue import Task
from smallfirst.catalogue.steps import Step
from smallfirst.evaluation.scores import StepAbout


@dataclass(frozen=True)
class Gate:
    """What an answer of one step must reach.

    Attributes:
        threshold: The confidence it must reach, after temperature.
        temperature: Applied to a label's distribution first.
        by_label: In place of `threshold`, by the label answered; one that is not here never stands.
        is_asked: Whether the step is asked at all.
        is_void: Whether nothing stands, since another revision answers than was calibrated.
    """

    threshold: float = 0.0
    temperature: float = 1.0
    by_label: Mapping[str, float] | None = None
    is_asked: bool = True
    is_void: bool = False


def gates_of(task: Task, steps: Sequence[StepAbout]) -> tuple[Gate, ...]:
    """Say of every step when its answer stands in the fleet.

    Args:
        task: Its promise read, where a step goes by one.
        steps: What answered, in the cascade's order.
    """
    return tuple(_gate(step, about) for step, about in zip(task.cascade, steps, strict=True))


def _gate(step: Step, about: StepAbout) -> Gate:
    promise = step.promise
    if promise is None:
        # A rule's answer has a confidence of 0 where it does not stand by the rule's own `accept`.
        return Gate(threshold=step.threshold if step.model is not None else 0.0)
    return Gate(
        threshold=step.threshold,
        temperature=promise.temperature,
        by_label=promise.threshold_by_label,
        is_asked=not promise.is_never_asked,
        is_void=promise.revision != about.revision,
    )
