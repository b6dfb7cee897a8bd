"""Tasks: what is asked of a text, with its labels, fields, examples and cascade."""

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Literal

from pydantic import Field, JsonValue, model_validator

from smallfirst.catalogue.entries import Entry, Place, refuse
from smallfirst.catalogue.records import FieldName, RecordField, fits_field
from smallfirst.catalogue.steps import AnyStep, RuleStep
from smallfirst.jobs import MAX_TEXT_CHARS, Label, Span
from smallfirst.wording import did_you_mean


class Kind(StrEnum):
    """What a task's answer looks like."""

    CLASSIFY = "classify"
    MULTILABEL = "multilabel"
    TAG = "tag"
    EMBED = "embed"
    EXTRACT = "extract"
    JUDGE = "judge"
    GENERATE = "generate"


#: Kinds whose answer is made of the task's labels.
LABEL_KINDS: Final = frozenset({Kind.CLASSIFY, Kind.MULTILABEL, Kind.TAG})
#: Kinds that only a model which writes can answer: no step of tier `slm` serves them.
WRITTEN_KINDS: Final = frozenset({Kind.EXTRACT, Kind.JUDGE, Kind.GENERATE})
#: Which key of an example answers a task of each kind; an `embed` task needs no answer.
ANSWER_KEYS: Final[Mapping[Kind, str]] = MappingProxyType(
    {
        Kind.CLASSIFY: "label",
        Kind.MULTILABEL: "labels",
        Kind.TAG: "spans",
        Kind.EXTRACT: "record",
        Kind.JUDGE: "verdict",
        Kind.GENERATE: "reply",
    }
)
#: What a judge may say.
Verdict = Literal["yes", "no", "unsure"]


class Example(Entry):
    """A text with its right answer: the one form of examples, gold files and training data."""

    text: str = Field(min_length=1, max_length=MAX_TEXT_CHARS, description="What is asked about.")
    label: Label | None = Field(default=None, description="The answer of a `classify` task.")
    labels: tuple[Label, ...] | None = Field(
        default=None, description="The answer of a `multilabel` task; may be empty."
    )
    spans: tuple[Span, ...] | None = Field(
        default=None, description="The answer of a `tag` task, in characters; may be empty."
    )
    record: dict[FieldName, JsonValue] | None = Field(
        default=None, description="The answer of an `extract` task; null where the text says none."
    )
    verdict: Verdict | None = Field(default=None, description="The answer of a `judge` task.")
    quote: str | None = Field(
        default=None, description="What the verdict rests on, literally as it stands in the text."
    )
    reply: str | None = Field(default=None, description="The answer of a `generate` task.")
    id: str | None = Field(default=None, description="Of the job it came from, if any.")


class Task(Entry):
    """What is asked of a text."""

    kind: Kind = Field(description="What the answer looks like.")
    description: str = Field(default="", description="One sentence: what the task is for.")
    labels: dict[Label, str] = Field(
        default_factory=dict, description="Each label with a one-line description."
    )
    fields: dict[FieldName, RecordField] = Field(
        default_factory=dict,
        description="What an `extract` task reads, in the order it is written.",
    )
    question: str | None = Field(
        default=None, min_length=1, description="What a `judge` task is asked; yes, no or unsure."
    )
    instructions: str | None = Field(
        default=None, min_length=1, description="More for a large model to heed, in plain words."
    )
    max_answer_tokens: int | None = Field(
        default=None, ge=1, le=32_768, description="The longest answer a large model may write."
    )
    examples: tuple[Example, ...] = Field(
        default=(),
        description="Inline, or the path of a JSON Lines file relative to the catalogue.",
    )
    shots: int = Field(
        default=8,
        ge=0,
        le=64,
        description="The most examples that a large model is shown with a text; where there are"
        " more, those nearest to the text.",
    )
    cascade: tuple[AnyStep, ...] = Field(min_length=1, description="The steps, cheapest first.")
    max_chars: int = Field(
        default=MAX_TEXT_CHARS, ge=1, le=MAX_TEXT_CHARS, description="A longer text is refused."
    )

    @model_validator(mode="after")
    def _parts_fit_together(self) -> "Task":
        refuse(
            (
                *_label_problems(self),
                *_written_problems(self),
                *_rule_problems(self),
                *_example_problems(self),
            )
        )
        return self


def example_problem(example: Example, kind: Kind, labels: Mapping[str, str]) -> str | None:
    """Say what keeps an example from serving a task of this kind; None where nothing does."""
    wanted = ANSWER_KEYS.get(kind)
    if wanted is None:
        return None
    if getattr(example, wanted) is None:
        return f"needs `{wanted}`, since the task's kind is {kind}"
    if example.quote is not None and example.quote not in example.text:
        return "has a quote that does not stand literally in its text"
    unknown = sorted(set(_labels_of(example)) - set(labels))
    if unknown:
        near = did_you_mean(unknown[0], labels)
        return f"names {unknown[0]!r}, which is not one of the task's labels{near}"
    if any(span.end > len(example.text) for span in example.spans or ()):
        return "has a span that ends after its text"
    return None


def _labels_of(example: Example) -> Iterable[str]:
    yield from (example.label,) if example.label is not None else ()
    yield from example.labels or ()
    yield from (span.label for span in example.spans or ())


def _label_problems(task: Task) -> Iterator[tuple[Place, str]]:
    if task.kind not in LABEL_KINDS and task.labels:
        article = "an" if task.kind in {Kind.EMBED, Kind.EXTRACT} else "a"
        yield ("labels",), f"{article} {task.kind} task has no labels"
    if task.kind in LABEL_KINDS and not task.labels:
        yield ("labels",), f"a {task.kind} task needs labels"
    elif task.kind is Kind.CLASSIFY and len(task.labels) < 2:
        yield ("labels",), "a classify task needs at least two labels"


def _written_problems(task: Task) -> Iterator[tuple[Place, str]]:
    if task.kind is Kind.EXTRACT and not task.fields:
        yield ("fields",), "an extract task needs fields"
    if task.kind is not Kind.EXTRACT and task.fields:
        yield ("fields",), f"only an extract task has fields, and this one is {task.kind}"
    if task.kind is Kind.JUDGE and not task.question:
        yield ("question",), "a judge task needs a question"
    if task.kind is not Kind.JUDGE and task.question:
        yield ("question",), f"only a judge task has a question, and this one is {task.kind}"


def _rule_problems(task: Task) -> Iterator[tuple[Place, str]]:
    for index, step in enumerate(task.cascade):
        if not isinstance(step, RuleStep):
            continue
        at: Place = ("cascade", index, "rule")
        if task.kind not in {Kind.TAG, Kind.CLASSIFY}:
            yield at, f"a rule answers `tag` and `classify` tasks, and this one is {task.kind}"
            continue
        for label in step.rule.labels:
            if label not in task.labels:
                near = did_you_mean(label, task.labels)
                yield at, f"finds {label!r}, which is not one of the task's labels{near}"


def _example_problems(task: Task) -> Iterator[tuple[Place, str]]:
    if task.kind in LABEL_KINDS and not task.labels:
        return
    for index, example in enumerate(task.examples):
        problem = example_problem(example, task.kind, task.labels) or record_problem(example, task)
        if problem:
            yield ("examples", index), problem


def record_problem(example: Example, task: Task) -> str | None:
    """Say where an example's record is not one of the task's; None where it is, or none is due."""
    if task.kind is not Kind.EXTRACT or example.record is None:
        return None
    if set(example.record) != set(task.fields):
        wrong = min(set(example.record) ^ set(task.fields))
        return f"has a record whose fields are not the task's: {wrong!r}"
    for name, field in task.fields.items():
        if not fits_field(field, example.record[name]):
            return f"has a record whose {name!r} is no {field.type}"
    return None
