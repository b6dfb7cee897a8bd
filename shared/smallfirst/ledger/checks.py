"""Checks: accepted answers of machines that people look at blind; how each gets there and ends.

A check waits for people as a job does, on a backlog of its task's own, so that it is leased, fenced
and taken back by the same scripts. What the machine said stands beside it and is shown to nobody.
It ends as one record without a text, and changes no result.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import Field, JsonValue

from smallfirst.acceptance import Acceptance
from smallfirst.answers import AnyAnswer
from smallfirst.audit.drawing import (
    EVEN,
    RATES,
    AuditOrder,
    draw_of,
    highest_chance,
    stratum_of,
)
from smallfirst.jobs import DEFAULT_PRODUCER, Attempt
from smallfirst.ledger.held_jobs import HeldJob
from smallfirst.ledger.routing_slips import Moment, RoutingSlip, StepRequest
from smallfirst.people import PERSON, checks_of, people_of
from smallfirst.wire import Wire

#: The fields of a check's entry beside the job's own.
CHECK_FIELD: Final = b"check"
CHANCE_FIELD: Final = b"chance"


class Check(Wire):
    """What stands beside a text that is checked blind."""

    series: str = Field(default="", description="The hash of the promise that it is counted for.")
    step: int = Field(default=0, ge=0, description="The place of the step that answered.")
    stratum: int = Field(default=0, ge=0, description="The stratum of the answer's confidence.")
    share: float = Field(default=1.0, gt=0.0, le=1.0, description="The share that is checked.")
    alarm_ms: int | None = Field(
        default=None,
        ge=0,
        description="The time since which an alarm raised the share, in ms of Redis's clock; none:"
        " no alarm did.",
    )
    model: str = Field(default="", description="The name of the model that answered.")
    revision: str = Field(default="", description="The revision that answered.")
    answer: AnyAnswer | None = Field(default=None, description="The answer that was accepted.")
    before: AnyAnswer | None = Field(
        default=None,
        description="The answer of the last step that was asked before; none where none was, or"
        " from an older version.",
    )
    golden: JsonValue = Field(
        default=None, description="The golden row that it is, and no machine's answer."
    )


class BlindAnswer(Wire):
    """What one of several people answered to a check, as far as it is counted."""

    person: str = Field(description="The pseudonym of the person.")
    is_wrong: bool = Field(
        description="Whether the answer differs: from the machine's, or the golden row's."
    )
    seconds: float = Field(ge=0.0, description="The seconds spent on it.")


class CheckRecord(Wire):
    """How one check ended: what is counted, and no text."""

    series: str = Field(description="The hash of the promise that it is counted for.")
    step: int = Field(description="The place of the step that answered.")
    stratum: int = Field(description="The stratum of the answer's confidence.")
    model: str = Field(default="", description="The name of the model that answered.")
    revision: str = Field(default="", description="The revision that answered.")
    share: float = Field(description="The share of accepted answers that was checked.")
    chance: float = Field(description="The chance with which this one was drawn.")
    alarm_ms: int | None = Field(
        default=None,
        description="The time since which an alarm raised the share, in ms of Redis's clock; none:"
        " no alarm did.",
    )
    is_wrong: bool = Field(
        description="Whether people's answer differs: from the machine's, or the golden row's."
    )
    golden: str = Field(default="", description="The key of the golden row; empty for none.")
    person: str = Field(description="The pseudonym of the person.")
    decided_ms: Moment = Field(description="The time of the decision, on Redis's clock.")
    seconds: float = Field(ge=0.0, description="The seconds spent on it.")
    num_words: int = Field(ge=0, description="The number of words of the text.")
    check: str = Field(default="", description="The entry of the check; empty from older desks.")
    second_look: bool = Field(
        default=False,
        description="Whether a second person was to look where the first found it wrong.",
    )
    is_open: bool = Field(
        default=False,
        description="Whether it has not ended: another person is asked, and this is what the first"
        " found.",
    )
    answers: tuple[BlindAnswer, ...] = Field(
        default=(), description="What each person answered, in order; nothing from older desks."
    )

    @property
    def by_person(self) -> tuple[BlindAnswer, ...]:
        """What each person answered; of an older desk's record, the one who did."""
        if self.answers:
            return self.answers
        return (BlindAnswer(person=self.person, is_wrong=self.is_wrong, seconds=self.seconds),)


@dataclass(frozen=True)
class Accepted:
    """An accepted answer as settle.lua counts it, with the check that may come of it.

    Attributes:
        counted: Task, series, cell, rate, the highest rate, share, the even part, the draw, and the
            seconds to keep.
        job: The job as its producer wrote it; empty where it cannot be drawn.
        slip: What a person's lease needs to know.
        check: What stands beside it.
        until_ms: When it is dropped.
    """

    counted: str
    job: bytes = b""
    slip: RoutingSlip | None = None
    check: Check | None = None
    until_ms: int = 0


def accepted(
    held: HeldJob, trail: Sequence[Attempt], answer: AnyAnswer, order: AuditOrder, now_ms: int
) -> Accepted:
    """Count an accepted answer, the last of its trail, and bring along its check, if any."""
    *earlier, attempt = trail
    stratum, task = stratum_of(attempt.confidence), held.slip.task
    draw = draw_of(held.slip.producer, held.job.id, held.slip.submitted_ms)
    counted = (
        f"{task} {order.series} {attempt.step}:{stratum} {RATES[stratum]} {RATES[-1]}"
        f" {order.share!r} {EVEN} {draw!r} {order.keep_seconds}"
    )
    if draw >= highest_chance(order.share, stratum):
        return Accepted(counted)
    check = Check(
        series=order.series,
        step=attempt.step,
        stratum=stratum,
        share=order.share,
        alarm_ms=order.alarm_ms,
        model=attempt.model,
        revision=attempt.revision,
        answer=answer,
        before=next((each.answer for each in reversed(earlier) if each.answer), None),
    )
    until_ms = now_ms + order.keep_seconds * 1000
    slip = slip_of_check(
        task, len(held.job.text), step=attempt.step, now_ms=now_ms, until_ms=until_ms
    ).model_copy(update={"producer": held.slip.producer})
    return Accepted(counted, held.raw, slip, check, until_ms)


def slip_of_check(
    task: str, num_chars: int, *, step: int, now_ms: int, until_ms: int
) -> RoutingSlip:
    """What a lease needs to know of a check: its times, and nothing of what any machine said."""
    place = people_of(checks_of(task))
    request = StepRequest(
        step=step, model=PERSON, pool=place, acceptance=Acceptance(), until_ms=until_ms
    )
    return RoutingSlip(
        producer=DEFAULT_PRODUCER,
        task=task,
        submitted_ms=now_ms,
        expires_ms=until_ms,
        parked_ms=now_ms,
        num_chars=num_chars,
        request=request,
    )
