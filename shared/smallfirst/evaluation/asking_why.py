"""Asking steps once more about rows that they were wrong about: why they said what they said.

The rows are few, and only those steps are asked that tell at little cost. What was measured before
is as it was: nobody's reading became dearer by it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from smallfirst.answers import LabelAnswer, LabelsAnswer, Reasons
from smallfirst.client import Client
from smallfirst.evaluation.rows import Row
from smallfirst.evaluation.scores import Scores
from smallfirst.evaluation.single_step_catalogue import name_of_step
from smallfirst.jobs import Job, Result, Tier
from smallfirst.local import LocalFleet

#: Tiers that name words. A large model costs as much again as its answer did, and names none.
_TELLING: Final = frozenset({Tier.RULE, Tier.LINEAR, Tier.SLM})


class AnswerPlace(NamedTuple):
    """Which answer: what one step said of one row, by their numbers from 0."""

    row: int
    step: int


#: Names what of the scores is to be explained.
ChooseAnswers = Callable[[Scores], Sequence[AnswerPlace]]


#: Where nobody asked.
NO_REASONS: Final[Mapping[AnswerPlace, Reasons]] = MappingProxyType({})


def nothing(_scores: Scores) -> Sequence[AnswerPlace]:
    """Have nothing explained."""
    return ()


def ask_why(
    fleet: LocalFleet, rows: Sequence[Row], scores: Scores, chosen: Sequence[AnswerPlace]
) -> Mapping[AnswerPlace, Reasons]:
    """Ask the fleet that gave the answers for its reasons.

    Returns:
        Of those that tell; a step that tells nothing, or fails this time, is left out.
    """
    told = telling(scores, chosen)
    jobs = [_job(each, rows[each.row].example.text) for each in told]
    if not jobs:
        return NO_REASONS
    with Client(fleet.redis_url) as client:
        return dict(_told(fleet, told, client.map(jobs)))


def telling(scores: Scores, chosen: Sequence[AnswerPlace]) -> list[AnswerPlace]:
    """Choose the answers of steps that tell at little cost why."""
    return [each for each in chosen if scores.steps[each.step].tier in _TELLING]


def _told(
    fleet: LocalFleet, asked: Sequence[AnswerPlace], results: Iterator[Result]
) -> Iterator[tuple[AnswerPlace, Reasons]]:
    for each, result in zip(asked, results, strict=True):
        fleet.check()
        if reasons := reasons_in(result):
            yield each, reasons


def _job(place: AnswerPlace, text: str) -> Job:
    job_id = f"why.{place.step}.{place.row}"
    return Job(id=job_id, task=name_of_step(place.step), text=text, explain=True)


def reasons_in(result: Result) -> Reasons | None:
    """Why a result says what it says; None where it does not tell."""
    answer = result.answer
    if not isinstance(answer, LabelAnswer | LabelsAnswer) or answer.explanation is None:
        return None
    return Reasons(answer.evidence, answer.explanation)
