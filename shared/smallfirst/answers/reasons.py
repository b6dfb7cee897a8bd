"""What an answer says of its reasons, where its job asks for them, whatever tier gives it."""

from typing import Final, NamedTuple, TypeVar

from smallfirst.answers.forms import Evidence, Explanation, LabelAnswer, LabelsAnswer

#: How many stretches an answer names. Fewer than a screen has lines; enough to see a reason, and a
#: bound on a result's bytes.
MAX_EVIDENCE: Final = 8

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
