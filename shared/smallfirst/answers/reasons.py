"""What an answer says of its reasons, where its job asks for them, whatever tier gives it."""

from collections.abc import Sequence
from typing import Final, NamedTuple, TypeVar

from smallfirst.answers.changing import rounded
from smallfirst.answers.forms import (
    Evidence,
    Explanation,
    LabelAnswer,
    LabelsAnswer,
    LikeExample,
)

#: How many stretches an answer names. Fewer than a screen has lines; enough to see a reason, and a
#: bound on a result's bytes.
MAX_EVIDENCE: Final = 8
#: How many examples an answer names.
MOST_ALIKE: Final = 3
#: How many labels are told of an example: one of a hundred labels must not make a large result.
MOST_LABELS: Final = 5

LabelsT = TypeVar("LabelsT", LabelAnswer, LabelsAnswer, LabelAnswer | LabelsAnswer)


class Reasons(NamedTuple):
    """Which words drove an answer.

    Attributes:
        evidence: At most `MAX_EVIDENCE` stretches of the text, in its order.
        explanation: How they were found.
    """

    evidence: tuple[Evidence, ...]
    explanation: Explanation


def with_reasons(answer: LabelsT, reasons: Reasons) -> LabelsT:
    """The same answer, and why."""
    return answer.model_copy(update=reasons._asdict())


def like_example(number: int, labels: Sequence[str], key: str, likeness: float) -> LikeExample:
    """An example that a text is like, by the cosine of both; of many labels the first ones."""
    told = tuple(labels[:MOST_LABELS])
    return LikeExample(number=number, labels=told, key=key, likeness=rounded(likeness))
