"""What a kind of task has to say of itself. Pure: the words for a large model, and no model."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

from pydantic import Field, JsonValue

from smallfirst.answers import AnyAnswer, LabelAnswer, Span, SpansAnswer
from smallfirst.jobs import MAX_TEXT_CHARS
from smallfirst.kinds.completions import Completion, InvalidAnswer
from smallfirst.kinds.entries import Entry, Place
from smallfirst.kinds.schemas import JsonSchema

#: The right answer of one job, as answers are compared with it: what has no order is a set.
Gold = JsonValue | frozenset[Any]
#: A part of an answer that is right or wrong for itself: its label, and what bears the label where
#: that is less than the whole text.
Part = tuple[str, Hashable]

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


def _one_part(gold: Gold) -> frozenset[Part]:
    return frozenset({(str(gold), None)})


def _as_it_is(gold: Any) -> JsonValue:
    written: JsonValue = gold
    return written


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
        parts: Takes apart an answer, in the form of the right one, for figures by label.
        as_json: Writes an answer, in the form of the right one, as a row has it.
    """

    measure: str
    gold: Callable[[ExampleT_contra], Gold | None]
    said: Callable[[AnswerT], Gold | None]
    is_gold: Callable[[Gold], bool]
    read: Callable[[object], Gold]
    count: Callable[[Any, Any], tuple[int, int]] = _is_equal
    is_one_word: bool = False
    parts: Callable[[Any], frozenset[Part]] = _one_part
    as_json: Callable[[Any], JsonValue] = _as_it_is


@dataclass(frozen=True)
class Prompting(Generic[TaskT_contra, ExampleT_contra, AnswerT]):
    """How a large model is asked a task of a kind, and how its answer is read.

    Attributes:
        order: What the model is told to do.
        cue: What is asked again below the text, where a model heeds it most.
        max_tokens: The longest answer, where the task does not say.
        write: Writes an example's right answer as the model is to write it; None where it has none.
        read: Reads a whole answer to a question about a text; raises InvalidAnswer. None where
            labels are scored instead (`KindSpec.is_one_label`).
        vote: Makes one answer of several, at least one, to the same question. Its second argument
            is how many were asked for: one that was no answer is a vote for nothing.
        describe: Says, a line each, what the keys say that a task has for its kind alone.
        schema: The JSON Schema of the answer; None for free text.
        is_json: Whether `write` writes JSON.
        key: Under which key the answer stands where only objects can be asked for; None where it
            is an object, or free text.
        may_be_cut: Whether an answer that ran into its bound is one all the same.
    """

    order: str
    cue: str
    max_tokens: int
    write: Callable[[TaskT_contra, ExampleT_contra], str | None]
    read: Callable[[TaskT_contra, str, Completion], AnswerT] | None
    vote: Callable[[Sequence[AnswerT], int], AnswerT]
    describe: Callable[[TaskT_contra], list[str]] = lambda _task: []
    schema: Callable[[TaskT_contra], JsonSchema] | None = None
    is_json: bool = True
    key: str | None = None
    may_be_cut: bool = False

    def read_writing(self, task: TaskT_contra, text: str, writing: Completion) -> AnswerT:
        """Read one answer.

        Raises:
            InvalidAnswer: When it is none, though its form was constrained: cut off, or untrue to
                the text.
        """
        assert self.read is not None, "labels are scored, not written"
        if not writing.is_whole and not self.may_be_cut:
            raise InvalidAnswer("the model's answer was longer than it may be")
        return self.read(task, text, writing)


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
        prompting: How a model that writes is asked; None where none can answer it.
        of_rule: Makes an answer of what a rule found; None where nothing was found. None in its
            place where rules cannot answer.
        allows_rules: Whether a cascade may have a rule for it.
        labels_of: The labels that an example names.
        task_problems: Says what is wrong with a task, beyond the keys it needs.
        example_problem: Says what keeps an example, which has its answer, from serving a task,
            beyond labels that are not the task's.
    """

    answer: type[AnswerT]
    in_words: Callable[[AnswerT], str]
    example_key: str | None = None
    scoring: Scoring[ExampleT_contra, AnswerT] | None = None
    unscored: str = ""
    needs: tuple[str, ...] = ()
    head: HeadForm | None = None
    prompting: Prompting[TaskT_contra, ExampleT_contra, AnswerT] | None = None
    of_rule: Callable[[RuleMatches], AnswerT | None] | None = None
    allows_rules: bool = False
    labels_of: Callable[[ExampleT_contra], tuple[str, ...]] = lambda _example: ()
    task_problems: Callable[[TaskT_contra], Iterator[tuple[Place, str]]] = lambda _task: iter(())
    example_problem: Callable[[ExampleT_contra, TaskT_contra], str | None] = (
        lambda _example, _task: None
    )

    @property
    def can_be_written(self) -> bool:
        """Whether a model that writes can answer it."""
        return self.prompting is not None

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

    def said_by(self, answer: AnyAnswer | None) -> Gold | None:
        """Bring an answer into the form of the right one; None for one of another kind."""
        if self.scoring is None or not isinstance(answer, self.answer):
            return None
        return self.scoring.said(answer)

    def parts_of(self, gold: Gold | None) -> frozenset[Part]:
        """Take apart an answer in the form of the right one; nothing where there is none."""
        return frozenset() if self.scoring is None or gold is None else self.scoring.parts(gold)

    def as_json(self, gold: Gold | None) -> JsonValue:
        """Write an answer, in the form of the right one, as a row has it."""
        return None if self.scoring is None or gold is None else self.scoring.as_json(gold)

    def in_a_word(self, gold: Gold | None) -> str:
        """Write an answer, in the form of the right one, in one word; else nothing."""
        is_word = self.scoring is not None and self.scoring.is_one_word and gold is not None
        return str(gold) if is_word else ""
