"""Which kinds of task there are: each is listed here once, and declared in a module of its own."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from pydantic import Field

from smallfirst.answers import AnyAnswer, UnknownAnswer
from smallfirst.kinds.classify import CLASSIFY, ClassifyExample
from smallfirst.kinds.embed import EMBED
from smallfirst.kinds.extract import EXTRACT, ExtractExample, FieldsTask
from smallfirst.kinds.generate import GENERATE, GenerateExample
from smallfirst.kinds.judge import JUDGE, JudgeExample, QuestionTask
from smallfirst.kinds.labels import LabelsTask
from smallfirst.kinds.multilabel import MULTILABEL, MultilabelExample
from smallfirst.kinds.spec import KindSpec, Prompting
from smallfirst.kinds.tag import TAG, TagExample


class Kind(StrEnum):
    """What a task's answer looks like."""

    CLASSIFY = "classify"
    MULTILABEL = "multilabel"
    TAG = "tag"
    EMBED = "embed"
    EXTRACT = "extract"
    JUDGE = "judge"
    GENERATE = "generate"


# pydantic takes a class's fields from its last base on, so the first to be read stands last.
class TaskKeys(QuestionTask, FieldsTask, LabelsTask):
    """What a task says for its kind alone."""


class Example(
    GenerateExample,
    JudgeExample,
    ExtractExample,
    TagExample,
    MultilabelExample,
    ClassifyExample,
):
    """A text with its right answer: the one form of examples, gold files and training data."""

    id: str | None = Field(default=None, description="The id of the job that it came from, if any.")
    weight: float | None = Field(
        default=None,
        gt=0,
        le=1000,
        description="The weight of the row where a linear model or a head learns from it; none: 1.",
    )


KINDS: Final[Mapping[Kind, KindSpec[TaskKeys, Example, Any]]] = MappingProxyType(
    {
        Kind.CLASSIFY: CLASSIFY,
        Kind.MULTILABEL: MULTILABEL,
        Kind.TAG: TAG,
        Kind.EMBED: EMBED,
        Kind.EXTRACT: EXTRACT,
        Kind.JUDGE: JUDGE,
        Kind.GENERATE: GENERATE,
    }
)
#: Every key of an example that is part of some kind's right answer.
EXAMPLE_KEYS: Final = tuple(
    key for key in Example.model_fields if key not in {"text", "id", "weight"}
)


def named(kind: Kind) -> str:
    """Write a kind with its article: `an embed task`."""
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind} task"


def prompting_of(kind: Kind) -> Prompting[TaskKeys, Example, Any]:
    """Find how a large model is asked.

    Raises:
        ValueError: When the kind is not answered in words.
    """
    prompting = KINDS[kind].prompting
    if prompting is None:
        raise ValueError(f"a task of kind {kind} is not answered in words")
    return prompting


def in_words(answer: AnyAnswer) -> str:
    """Write an answer of any kind as one line for people."""
    if isinstance(answer, UnknownAnswer):
        return f"an answer of the kind {answer.kind!a}, which this version does not know"
    spec = next(spec for spec in KINDS.values() if isinstance(answer, spec.answer))
    return spec.in_words(answer)
