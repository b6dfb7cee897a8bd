"""From a job's result to a labelled row: the answer, and who gave it. Pure."""

from collections.abc import Mapping
from typing import Any

from smallfirst.answers import AnyAnswer, UnknownAnswer
from smallfirst.jobs import Attempt, Outcome, Result, Tier
from smallfirst.kinds import KINDS, Kind
from smallfirst.provenance.record import PROVENANCE_KEY, Provenance, Source
from smallfirst.results import surest

#: What kind of answer a tier's is; any other is the cascade's.
_SOURCES: Mapping[str, Source] = {Tier.LLM: Source.LLM, Tier.HUMAN: Source.HUMAN}


def answer_of(result: Result) -> tuple[AnyAnswer, Attempt] | None:
    """Find the answer that labels a row: the one that stands, else the surest that was given.

    Returns:
        It with the attempt that gave it; None where nobody said anything.
    """
    if result.answer is not None and not isinstance(result.answer, UnknownAnswer):
        given = next((each for each in reversed(result.trail) if each.tier == result.tier), None)
        return (result.answer, given) if given is not None else None
    place = surest(result.trail)
    if place is None:
        return None
    attempt = result.trail[place]
    assert attempt.answer is not None, "the surest has one"
    return attempt.answer, attempt


def labelled_row(kind: Kind, text: str, result: Result) -> dict[str, Any] | None:
    """Write a row with the answer that a job got; None where it got none of its kind.

    Args:
        kind: Of the task.
        text: Of the job.
        result: How it ended; its id is the row's.
    """
    found, spec = answer_of(result), KINDS[kind]
    if found is None or spec.example_key is None:
        return None
    answer, attempt = found
    said = spec.said_by(answer)
    if said is None:
        return None
    return {
        "id": result.id,
        "text": text,
        spec.example_key: spec.as_json(said),
        PROVENANCE_KEY: provenance_of(result, answer, attempt).as_json(),
    }


def provenance_of(result: Result, answer: AnyAnswer, attempt: Attempt) -> Provenance:
    """Say who gave an answer, and whether it stood."""
    sure = getattr(answer, "confidence", None)
    return Provenance(
        source=_SOURCES.get(attempt.tier, Source.CASCADE),
        tier=str(attempt.tier),
        model=attempt.model or None,
        revision=attempt.revision or None,
        confidence=sure if sure is not None else attempt.confidence,
        stood=result.is_answered and not result.unsure and attempt.outcome is Outcome.ACCEPTED,
    )
