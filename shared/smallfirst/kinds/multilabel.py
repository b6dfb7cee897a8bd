"""`multilabel`: any number of the task's labels."""

from pydantic import Field

from smallfirst.answers import Label, LabelsAnswer, rounded
from smallfirst.kinds.completions import Completion, InvalidAnswer, as_json, parsed_list
from smallfirst.kinds.labels import LabelsTask, described_labels, label_schema
from smallfirst.kinds.schemas import JsonSchema
from smallfirst.kinds.spec import (
    Gold,
    GoldError,
    HeadForm,
    KindSpec,
    LabelledText,
    Prompting,
    RuleMatches,
    Scoring,
    surely,
)
from smallfirst.kinds.votes import commonest


class MultilabelExample(LabelledText):
    """An example's answer to a `multilabel` task."""

    labels: tuple[Label, ...] | None = Field(
        default=None, description="The answer of a `multilabel` task; may be empty."
    )


def _labels_of(example: MultilabelExample) -> tuple[str, ...]:
    return tuple(dict.fromkeys(example.labels or ()))


def _of_rule(matches: RuleMatches) -> LabelsAnswer | None:
    labels = tuple(dict.fromkeys(matches.labels()))
    if not labels:
        return None
    certain = dict.fromkeys(labels, 1.0)
    return LabelsAnswer(labels=labels, confidence=1.0, distribution=certain)


def _is_gold(gold: Gold) -> bool:
    return isinstance(gold, frozenset) and all(isinstance(label, str) for label in gold)


def _read_gold(value: object) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(label, str) for label in value):
        raise GoldError("must be an array of strings")
    return frozenset(value)


def _in_words(answer: LabelsAnswer) -> str:
    return surely(", ".join(answer.labels) or "no label", answer.confidence)


def _schema(task: LabelsTask) -> JsonSchema:
    return {"type": "array", "items": label_schema(task), "maxItems": len(task.labels)}


def _write(_task: LabelsTask, example: MultilabelExample) -> str | None:
    return None if example.labels is None else as_json(list(example.labels))


def _read_answer(task: LabelsTask, _text: str, writing: Completion) -> LabelsAnswer:
    found = parsed_list(writing)
    labels = tuple(dict.fromkeys(label for label in found if isinstance(label, str)))
    if len(labels) != len(found) or not set(labels) <= set(task.labels):
        raise InvalidAnswer("the model's labels are not the task's")
    return LabelsAnswer(labels=labels, confidence=rounded(writing.mean_probability))


MULTILABEL = KindSpec[LabelsTask, MultilabelExample, LabelsAnswer](
    answer=LabelsAnswer,
    in_words=_in_words,
    example_key="labels",
    scoring=Scoring(
        measure="exact set",
        gold=lambda example: frozenset(example.labels or ()),
        said=lambda answer: frozenset(answer.labels),
        is_gold=_is_gold,
        read=_read_gold,
        parts=lambda gold: frozenset((label, None) for label in gold),
        as_json=sorted,
    ),
    prompting=Prompting(
        order="Read the text and answer with a JSON list of all the labels that fit it.",
        cue="Labels?",
        max_tokens=128,
        write=_write,
        read=_read_answer,
        vote=commonest,
        describe=described_labels,
        schema=_schema,
        key="labels",
    ),
    needs=("labels",),
    head=HeadForm.EACH,
    of_rule=_of_rule,
    labels_of=_labels_of,
)
