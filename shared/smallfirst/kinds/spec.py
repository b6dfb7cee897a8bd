"""What a kind of task has to say of itself. Pure: no model and no prompt stands here."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

from pydantic import Field, JsonValue

from smallfirst.jobs import MAX_TEXT_CHARS, Answer, LabelAnswer, Span, SpansAnswer
from smallfirst.kinds.entries import Entry, Place

#: The right answer of one job, as answers are compared with it: what has no order is a set.
Gold = JsonValue | frozenset[Any]

TaskT_contra = TypeVar("TaskT_contra", bound=Entry, contravariant=True)
ExampleT_contra = TypeVar("ExampleT_contra", bound=Entry, contravariant=True)
AnswerT = TypeVar("AnswerT")


class GoldError(ValueError):
    """Raised when a value is no right answer of a kind; its message is the rule."""


class HeadForm(StrEnum):
    """How a model that makes vectors answers a task; heads and their training know these alone."""

    #: The vector itself, without a head.
    VECTOR = "vector"
    #: One of the labels: their probabilities sum to 1.
    CHOICE = "choice"
    #: Each label for itself: yes or no.
    EACH = "each"
    #: One label, or none, for each word.
    WORDS = "words"


class RuleMatches(Protocol):
    """What a rule found in a text."""

    def spans(self) -> tuple[Span, ...]:
        """The stretches that match, sorted, none overlapping another."""

    def labels(self) -> Iterator[str]:
        """The label of each recognizer and pattern that matches, in the catalogue's order."""


class LabelledText(Entry):
    """What every example has."""

    text: str = Field(
        min_length=1, max_length=MAX_TEXT_CHARS, description="The text that is asked about."
    )


def surely(said: str, confidence: float) -> str:
    """Write what was said, and how sure it is."""
    return f"{said} ({confidence:.2f} sure)"


def _is_equal(said: Gold, gold: Gold) -> tuple[int, int]:
    return int(said == gold), 1


@dataclass(frozen=True)
class Scoring(Generic[ExampleT_contra, AnswerT]):
    """How answers of a kind are compared with right ones.

    Attributes:
        measure: The name of the measure, for reports.
        gold: Takes the right answer out of an example.
        said: Brings an answer into the form of the right one; None where it has no such form.
        is_gold: Whether a right answer is of this kind.
        read: Reads a right answer from a row of JSON. Raises GoldError, or pydantic's
            ValidationError for what is wrong inside of it.
        count: Compares what was said with the right answer: how many were right, of how many.
        is_one_word: Whether the answer is a single word, by which confusions are counted.
    """

    measure: str
    gold: Callable[[ExampleT_contra], Gold | None]
    said: Callable[[AnswerT], Gold | None]
    is_gold: Callable[[Gold], bool]
    read: Callable[[object], Gold]
    count: Callable[[Any, Any], tuple[int, int]] = _is_equal
    is_one_word: bool = False


@dataclass(frozen=True)
class KindSpec(Generic[TaskT_contra, ExampleT_contra, AnswerT]):
    """A kind of task.

    Attributes:
        answer: The class of its answers on the wire.
        in_words: Writes an answer as one line for people.
        example_key: The key of an example that holds the right answer; None where none is needed.
        scoring: How answers are compared; None where they cannot be, for the reason in `unscored`.
        unscored: Why its answers are neither right nor wrong.
        needs: The keys that a task of this kind must have, and others must not.
        head: How a model that makes vectors answers it; None where only one that writes can.
        can_be_written: Whether a model that writes can answer it.
        of_rule: Makes an answer of what a rule found; None where nothing was found. None in its
            place where rules cannot answer.
        allows_rules: Whether a cascade may have a rule for it.
        labels_of: The labels that an example names.
        task_problems: Says what is wrong with a task, beyond the keys it needs.
        example_problem: Says what keeps an example, which has its answer, from serving a task.
    """

    answer: type[AnswerT]
    in_words: Callable[[AnswerT], str]
    example_key: str | None = None
    scoring: Scoring[ExampleT_contra, AnswerT] | None = None
    unscored: str = ""
    needs: tuple[str, ...] = ()
    head: HeadForm | None = None
    can_be_written: bool = True
    of_rule: Callable[[RuleMatches], AnswerT | None] | None = None
    allows_rules: bool = False
    labels_of: Callable[[ExampleT_contra], tuple[str, ...]] = lambda _example: ()
    task_problems: Callable[[TaskT_contra], Iterator[tuple[Place, str]]] = lambda _task: iter(())
    example_problem: Callable[[ExampleT_contra, TaskT_contra], str | None] = (
        lambda _example, _task: None
    )

    @property
    def can_be_pooled(self) -> bool:
        """Whether one vector for the whole text is enough to answer it."""
        return self.head is not None and self.head is not HeadForm.WORDS

    @property
    def is_one_label(self) -> bool:
        """Whether the answer is one label, with the probability of each."""
        return issubclass(self.answer, LabelAnswer)

    @property
    def keeps_spans(self) -> bool:
        """Whether a later step adds its spans to those of an earlier one."""
        return issubclass(self.answer, SpansAnswer)

    def gold_of(self, example: ExampleT_contra) -> Gold | None:
        """Take the right answer out of an example; None where there is none to compare with."""
        return self.scoring.gold(example) if self.scoring else None

    def said_by(self, answer: Answer | None) -> Gold | None:
        """Bring an answer into the form of the right one; None for one of another kind."""
        if self.scoring is None or not isinstance(answer, self.answer):
            return None
        return self.scoring.said(answer)

    def in_a_word(self, gold: Gold | None) -> str:
        """Write an answer, in the form of the right one, in one word; else nothing."""
        is_word = self.scoring is not None and self.scoring.is_one_word and gold is not None
        return str(gold) if is_word else ""
