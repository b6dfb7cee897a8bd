"""What the kinds of task have in common whose answers are made of the task's labels."""

from collections.abc import Iterable

from pydantic import Field

from smallfirst.answers import Label
from smallfirst.kinds.entries import Entry
from smallfirst.kinds.schemas import JsonSchema
from smallfirst.wording import did_you_mean


class LabelsTask(Entry):
    """What a task with labels says of them."""

    labels: dict[Label, str] = Field(
        default_factory=dict, description="Each label with a one-line description."
    )


def unknown_label(named: Iterable[str], task: LabelsTask) -> str | None:
    """Say which label of an example is not the task's; None where all are."""
    unknown = sorted(set(named) - set(task.labels))
    if not unknown:
        return None
    near = did_you_mean(unknown[0], task.labels)
    return f"names {unknown[0]!r}, which is not one of the task's labels{near}"


def described_labels(task: LabelsTask) -> list[str]:
    """Tell a large model which labels there are, a line each."""
    lines = (
        f"- {label}: {meaning}" if meaning else f"- {label}"
        for label, meaning in task.labels.items()
    )
    return ["Labels:", *lines]


def label_schema(task: LabelsTask) -> JsonSchema:
    """Write the JSON Schema of one of the task's labels."""
    return {"type": "string", "enum": list(task.labels)}
