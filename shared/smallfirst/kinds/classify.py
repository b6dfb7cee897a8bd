"""`classify`: one of the task's labels."""

from collections.abc import Iterator

from pydantic import Field

from smallfirst.answers import Label, LabelAnswer
from smallfirst.kinds.entries import Place
from smallfirst.kinds.labels import LabelsTask, described_labels, label_schema
from smallfirst.kinds.spec import (
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


class ClassifyExample(LabelledText):
    """An example's answer to a `classify` task."""

    label: Label | None = Field(default=None, description="The answer of a `classify` task.")


def _labels_of(example: ClassifyExample) -> tuple[str, ...]:
    return () if example.label is None else (example.label,)


def _task_problems(task: LabelsTask) -> Iterator[tuple[Place, str]]:
    if len(task.labels) == 1:
        yield ("labels",), "a classify task needs at least two labels"


def _of_rule(matches: RuleMatches) -> LabelAnswer | None:
    label = next(matches.labels(), None)
    if label is None:
        return None
    return LabelAnswer(label=label, confidence=1.0, distribution={label: 1.0})


def _read_gold(value: object) -> str:
    if not isinstance(value, str):
        raise GoldError("must be a string")
    return value


CLASSIFY = KindSpec[LabelsTask, ClassifyExample, LabelAnswer](
    answer=LabelAnswer,
    in_words=lambda answer: surely(answer.label, answer.confidence),
    example_key="label",
    scoring=Scoring(
        measure="accuracy",
        gold=lambda example: example.label,
        said=lambda answer: answer.label,
        is_gold=lambda gold: isinstance(gold, str),
        read=_read_gold,
        is_one_word=True,
    ),
    # The labels are scored, or one of them is written.
    prompting=Prompting(
        order="Read the text and answer with exactly one of the labels.",
        cue="Label?",
        max_tokens=32,
        write=lambda _task, example: example.label,
        read=None,
        vote=commonest,
        describe=described_labels,
        schema=label_schema,
        is_json=False,
        key="label",
    ),
    needs=("labels",),
    head=HeadForm.CHOICE,
    of_rule=_of_rule,
    allows_rules=True,
    labels_of=_labels_of,
    task_problems=_task_problems,
)
