"""Pairs: how a live job ended and how its copy did, counted in few cells. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pydantic import Field

from smallfirst.answers import AnyAnswer
from smallfirst.jobs import UNKNOWN_TASK, Attempt, Result, Status, Tier
from smallfirst.kinds import KINDS
from smallfirst.kinds.scoring import Score
from smallfirst.wire import Wire


class Ending(StrEnum):
    """How a cascade left a job."""

    #: The answer of a rule or a model stands.
    ANSWERED = "answered"
    #: It was, or is to be, put before a person.
    PERSON = "person"
    #: No step was sure, and nobody was left to ask.
    ABSTAINED = "abstained"
    #: Not one step worked.
    FAILED = "failed"
    #: Nothing had answered when the copy's time was up.
    LATE = "late"


_ENDINGS: Final[Mapping[Status, Ending]] = {
    Status.ANSWERED: Ending.ANSWERED,
    Status.ABSTAINED: Ending.ABSTAINED,
    Status.FAILED: Ending.FAILED,
}


class Judged(StrEnum):
    """What a cascade's answer is, by what a person said."""

    RIGHT = "right"
    WRONG = "wrong"
    #: No answer stands; of the live cascade: a person was asked.
    NONE = "none"


class ShadowAnswer(Wire):
    """What a candidate said of a job of which a person's answer may be known some day."""

    candidate: str = Field(description="The name of the candidate in the catalogue.")
    series: str = Field(description="The hash of both cascades.")
    text_key: str = Field(description="The hash of the job's text, of equal words the same.")
    answer: AnyAnswer | None = Field(
        default=None, description="The answer that would stand; none where none would."
    )


class Judgement(Wire):
    """What a person said of a job that a candidate may have been asked about."""

    live: Judged = Field(description="What the live cascade is by it; none: a person was asked.")
    answer: AnyAnswer = Field(description="The person's answer.")


@dataclass(frozen=True)
class Pair:
    """A live job and its copy.

    Attributes:
        live: How the live cascade left it.
        candidate: How the candidate did.
        is_alike: Whether both answers are the same; None where not both stand.
        live_cost: Of the live cascade's attempts, in the catalogue's currency.
        candidate_cost: Of the candidate's.
    """

    live: Ending
    candidate: Ending
    is_alike: bool | None
    live_cost: float
    candidate_cost: float

    @property
    def amounts(self) -> dict[str, float]:
        """What it adds to the counts, by field."""
        found: dict[str, float] = {
            f"{self.live}:{self.candidate}": 1,
            "live_cost": self.live_cost,
            "candidate_cost": self.candidate_cost,
        }
        if self.is_alike is not None:
            found["alike" if self.is_alike else "unlike"] = 1
        return found


def ending_of(result: Result) -> Ending | None:
    """How a result leaves its job; None where that says nothing of the cascade.

    A task that has left the catalogue meanwhile was not asked; as where a candidate is stopped.
    """
    if result.problem is not None and result.problem.code == UNKNOWN_TASK:
        return None
    if result.status is Status.ANSWERED and result.tier is Tier.HUMAN:
        return Ending.PERSON
    if result.status is Status.ANSWERED and result.unsure:
        return Ending.ABSTAINED
    return _ENDINGS.get(result.status)


def pair_of(live: Result | Sequence[Attempt], copy: Result) -> Pair | None:
    """Put a job and its copy together; None where one of them says nothing of its cascade.

    What was cancelled says nothing; a copy whose time was up is too late.

    Args:
        live: Its result; or, while it waits for a person, what was tried before.
        copy: The copy's result.
    """
    said = ending_of(live) if isinstance(live, Result) else Ending.PERSON
    candidate = Ending.LATE if copy.status is Status.EXPIRED else ending_of(copy)
    if said is None or candidate is None:
        return None
    alike = None
    if isinstance(live, Result) and said is candidate is Ending.ANSWERED:
        alike = is_alike(live.answer, copy.answer)
    trail = live.trail if isinstance(live, Result) else live
    return Pair(said, candidate, alike, cost_of(trail), cost_of(copy.trail))


def standing(copy: Result) -> AnyAnswer | None:
    """The answer of a candidate that would stand; None where none would."""
    return copy.answer if ending_of(copy) is Ending.ANSWERED else None


def is_alike(answer: AnyAnswer | None, other: AnyAnswer | None) -> bool:
    """Whether an answer says what another says, all of it, as right answers are compared."""
    for spec in KINDS.values():
        if (gold := spec.said_by(other)) is not None:
            score = Score()
            score.add(answer, gold)
            return score.num_scored == 1 and score.right == score.total
    return False


def cell_of(judgement: Judgement, said: AnyAnswer | None) -> str:
    """Name what both cascades are by a person's answer, as it is counted.

    Args:
        judgement: The person's.
        said: The candidate's answer; None where none would stand.
    """
    candidate = Judged.NONE
    if said is not None:
        candidate = Judged.RIGHT if is_alike(said, judgement.answer) else Judged.WRONG
    return f"{judgement.live}:{candidate}"


def cost_of(trail: Sequence[Attempt]) -> float:
    """What attempts of machines cost, in the catalogue's currency."""
    return sum(each.cost or 0.0 for each in trail if each.tier is not Tier.HUMAN)
