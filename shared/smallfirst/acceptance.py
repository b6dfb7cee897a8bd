"""Acceptance: what an answer must reach to stand. Pure.

One object says it all the way: calibration finds it, the catalogue keeps it, the router sends it
with the job, the worker judges by it, and evaluation counts by it. So none can decide otherwise.
"""

from enum import StrEnum
from typing import Final, Literal

from pydantic import Field

from smallfirst.answers import (
    Answer,
    Label,
    LabelAnswer,
    Probability,
    found_something,
    tempered_answer,
)
from smallfirst.jobs import Outcome
from smallfirst.wire import Wire

#: In place of a threshold: no answer stands, and the step is passed over.
NEVER: Final = "never"


#: Why the answer of a model does not stand that is not the one that was calibrated.
OTHER_REVISION: Final = "calibrated for another revision"
#: Why the answer to a text does not stand that is unlike what its task knows.
FOREIGN: Final = "the text is foreign to the task's examples"
#: Why an answer does not stand that would have, had the task's jobs not drifted.
RAISED: Final = "the task's jobs have drifted, and less sure answers do not stand while they do"


class Thresholds(Wire):
    """The confidences that answers must reach."""

    threshold: Probability | Literal["never"] = Field(
        description="The confidence an answer must reach; `never`: none stands."
    )
    by_label: dict[Label, Probability] | None = Field(
        default=None,
        description="The thresholds in place of `threshold`, by the label answered; an answer of a"
        " label that is not here never stands.",
    )


class Acceptance(Wire):
    """What the answer of a model must reach. The default accepts every answer of any revision."""

    threshold: Probability | Literal["never"] = Field(
        default=0.0,
        description="The confidence an answer must reach; `never`: the step is passed over.",
    )
    by_label: dict[Label, Probability] | None = Field(
        default=None,
        description="The thresholds in place of `threshold`, by the label answered; an answer of a"
        " label that is not here never stands.",
    )
    temperature: float = Field(
        default=1.0,
        gt=0.0,
        le=100.0,
        description="The temperature applied to a label's distribution before it is compared.",
    )
    revision: str | None = Field(
        default=None,
        description="The revision that was calibrated; the answer of another one does not stand."
        " Left out: any revision will do.",
    )
    foreign: Probability | None = Field(
        default=None,
        description="The most that a text may be foreign to the task's examples (see the answer's"
        " `foreign`). Left out: no text is too foreign.",
    )
    raised: Thresholds | None = Field(
        default=None,
        description="The thresholds in place of all others while the task's jobs have drifted. Left"
        " out: none are in force.",
    )

    @property
    def is_never(self) -> bool:
        """Whether no answer could stand, so that nobody needs to be asked."""
        return self.threshold == NEVER

    def is_void(self, revision: str) -> bool:
        """Whether it was calibrated for another revision than the one that answers."""
        return self.revision is not None and self.revision != revision

    def is_too_foreign(self, foreign: float | None) -> bool:
        """Whether a text is too foreign to the task's examples for any of its labels.

        An answer that does not say how foreign its text is comes from a worker whose catalogue did
        not ask for it yet; it does not stand either.
        """
        return self.foreign is not None and (foreign is None or foreign > self.foreign)

    def required(self, label: str | None) -> float | None:
        """The confidence that an answer of this label must reach; None where none would do."""
        return _required(self.raised or self, label)

    def stands(self, confidence: float, label: str | None, revision: str) -> bool:
        """Whether an answer of this confidence and label stands, given by this revision."""
        required = self.required(label)
        return required is not None and confidence >= required and not self.is_void(revision)

    def tempered(self, answer: Answer) -> Answer:
        """The same answer, as sure as the temperature makes it."""
        if not isinstance(answer, LabelAnswer):
            return answer
        return tempered_answer(answer, self.temperature)

    def outcome(self, answer: Answer | None, revision: str) -> Outcome:
        """Decide on an answer that is tempered already; None is that of a model without one."""
        if answer is None:
            return Outcome.ESCALATED
        is_sure = self.stands(answer.confidence, label_of(answer), revision)
        is_accepted = is_sure and not self.is_too_foreign(foreign_of(answer))
        return Outcome.ACCEPTED if is_accepted else Outcome.ESCALATED

    def reason(self, answer: Answer, revision: str) -> str | None:
        """Say what other than its confidence keeps an answer from standing.

        Args:
            answer: Tempered already.
            revision: That gave it.
        """
        if self.is_void(revision):
            return OTHER_REVISION
        if self.is_too_foreign(foreign_of(answer)):
            return FOREIGN
        return RAISED if self._is_held_back(answer.confidence, label_of(answer)) else None

    def _is_held_back(self, confidence: float, label: str | None) -> bool:
        """Whether an answer would stand if no threshold were raised, and does not."""
        promised, raised = _required(self, label), self.required(label)
        is_promised = promised is not None and confidence >= promised
        return is_promised and not (raised is not None and confidence >= raised)


def _required(thresholds: Thresholds | Acceptance, label: str | None) -> float | None:
    if thresholds.threshold == NEVER:
        return None
    if thresholds.by_label is None or label is None:
        return thresholds.threshold
    return thresholds.by_label.get(label)


class RuleAcceptance(StrEnum):
    """When the answer of a rule stands: it is certain, or there is none."""

    MATCH = "match"
    ALWAYS = "always"
    NEVER = "never"

    def outcome(self, answer: Answer | None) -> Outcome:
        """Decide on an answer; without one the next step is asked."""
        if answer is None or self is RuleAcceptance.NEVER:
            return Outcome.ESCALATED
        is_match = found_something(answer)
        return Outcome.ACCEPTED if is_match or self is RuleAcceptance.ALWAYS else Outcome.ESCALATED


def label_of(answer: Answer) -> str | None:
    """The label by which an answer is judged, where it has exactly one."""
    return answer.label if isinstance(answer, LabelAnswer) else None


def foreign_of(answer: Answer) -> float | None:
    """How foreign an answer says that its text is to the task's examples, if it says so."""
    return answer.foreign if isinstance(answer, LabelAnswer) else None
