"""A task of each kind that a large model can be asked, and an example with the answers of all."""

from typing import Any

from smallfirst.catalogue import Example, Kind, Task

LABELS = {"up": "It rose.", "down": ""}
ASKED: dict[Kind, dict[str, Any]] = {
    Kind.CLASSIFY: {"labels": LABELS},
    Kind.MULTILABEL: {"labels": LABELS},
    Kind.TAG: {"labels": LABELS},
    Kind.EXTRACT: {"fields": {"total": {"type": "number"}, "due": {"type": "date"}}},
    Kind.JUDGE: {"question": "Was it altered?"},
    Kind.GENERATE: {"instructions": "Be brief."},
}
EXAMPLE = Example.model_validate(
    {
        "text": "It went up.",
        "label": "up",
        "labels": ["up"],
        "spans": [{"start": 8, "end": 10, "label": "up"}],
        "record": {"due": "2026-01-02", "total": 3.5},
        "verdict": "no",
        "quote": "went",
        "reply": "Well.",
    }
)
WRITTEN = sorted(ASKED)


def task(kind: Kind, **more: Any) -> Task:
    """Make a task of a kind."""
    return Task.model_validate({"kind": kind, **ASKED[kind], **more, "cascade": [{"model": "m"}]})
