"""`multilabel`: any number of the task's labels."""

from pydantic import Field

from smallfirst.jobs import Label, LabelsAnswer
from smallfirst.kinds.labels import LabelsTask, unknown_label
from smallfirst.kinds.spec import (
    Gold,
    GoldError,
    HeadForm,
    KindSpec,
    LabelledText,
    RuleMatches,
    Scoring,
    surely,
)


class MultilabelExample(LabelledText):
    """An example's answer to a `multilabel` task."""

    labels: tuple[Label, ...] | None = Field(
        default=None, description="The answer of a `multilabel` task; may be empty."
    )


def _labels_of(example: MultilabelExample) -> tuple[str, ...]:
    return tuple(dict.fromkeys(example.labels or ()))


def _example_problem(example: MultilabelExample, task: LabelsTask) -> str | None:
    return unknown_label(_labels_of(example), task)


def _of_rule(matches: RuleMatches) -> LabelsAnswer | None:
    labels = tuple(dict.fromkeys(matches.labels()))
    if not labels:
        return None
    certain = dict.fromkeys(labels, 1.0)
    return LabelsAnswer(labels=labels, confidence=1.0, distribution=certain)


def _is_gold(gold: Gold) -> bool:
    return isinstance(gold, frozenset) and all(isinstance(label, str) for label in gold)


def _read(value: object) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(label, str) for label in value):
        raise GoldError("must be an array of strings")
    return frozenset(value)


def _in_words(answer: LabelsAnswer) -> str:
    return surely(", ".join(answer.labels) or "no label", answer.confidence)


MULTILABEL = KindSpec[LabelsTask, MultilabelExample, LabelsAnswer](
    answer=LabelsAnswer,
    in_words=_in_words,
    example_key="labels",
    scoring=Scoring(
        measure="exact set",
        gold=lambda example: frozenset(example.labels or ()),
        said=lambda answer: frozenset(answer.labels),
        is_gold=_is_gold,
        read=_read,
    ),
    needs=("labels",),
    head=HeadForm.EACH,
    of_rule=_of_rule,
    labels_of=_labels_of,
    example_problem=_example_problem,
)
