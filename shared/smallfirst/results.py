"""How a job ends: the one place where a `Result` is put together.

Pure functions of what is known about the job; who writes the result is the ledger's business.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from smallfirst.answers import (
    AnyAnswer,
    Span,
    UnknownAnswer,
    merge_spans,
    spans_of,
    with_spans,
    with_utf16,
)
from smallfirst.jobs import Attempt, Job, Outcome, Problem, Result, Status, Tier

#: What a producer reads when its job's time was up.
EXPIRED = Problem(code="expired", message="the deadline passed before a model saw the job")
CANCELLED = Problem(code="cancelled", message="cancelled by the producer")
#: What a producer reads whose job waited for a person in vain.
UNREVIEWED = Problem(
    code="unreviewed", message="no step was sure enough, and no person answered in time"
)
#: The same where some of those who were to agree have answered.
TOO_FEW = Problem(
    code=UNREVIEWED.code,
    message="no step was sure enough, and too few people answered alike in time",
)

#: The last moment that a date can tell: the end of the year 9999.
LAST_MS = 253_402_300_799_999


def at(ms: int) -> datetime:
    """Turn a moment of Redis's clock, in milliseconds since 1970, into a date with its zone."""
    return datetime.fromtimestamp(min(max(ms, 0), LAST_MS) / 1000, UTC)


def expires_ms(job: Job, submitted_ms: int, job_ttl: timedelta) -> int:
    """When nobody wants the answer any more; every job has such a moment."""
    life = min(job.deadline, job_ttl) if job.deadline else job_ttl
    return submitted_ms + round(life.total_seconds() * 1000)


def expired(trail: Sequence[Attempt]) -> Problem:
    """Why a job's time was up, after these attempts."""
    if not trail:
        return EXPIRED
    message = "the deadline passed before an answer stood; the trail has what was tried"
    return Problem(code=EXPIRED.code, message=message)


def answered(
    job: Job, answer: AnyAnswer, trail: Sequence[Attempt], *, submitted_ms: int, now_ms: int
) -> Result:
    """The last attempt's answer stands, and so is written down once: not in the trail again."""
    answer = with_utf16(answer, job.text)
    late = job.deadline is not None and at(now_ms) > at(submitted_ms) + job.deadline
    result = _ended(job, Status.ANSWERED, submitted_ms=submitted_ms, now_ms=now_ms)
    last = trail[-1].model_copy(update={"answer": None})
    return result.model_copy(
        update={"answer": answer, "tier": last.tier, "trail": (*trail[:-1], last), "late": late}
    )


def unanswered(
    job: Job,
    status: Status,
    problem: Problem,
    *,
    submitted_ms: int,
    now_ms: int,
    trail: Sequence[Attempt] = (),
) -> Result:
    """No answer stands, and why."""
    result = _ended(job, status, submitted_ms=submitted_ms, now_ms=now_ms)
    return result.model_copy(update={"problem": problem, "trail": tuple(trail)})


def run_out(
    job: Job,
    trail: Sequence[Attempt],
    *,
    submitted_ms: int,
    now_ms: int,
    is_stopped: bool = False,
) -> Result:
    """The cascade has no step left: abstain, or fail where not one step worked.

    Where an audit has stopped the task's machines, the problem says so.
    """
    status, problem = _why_stopped(trail) if is_stopped else _why_run_out(trail)
    if status is Status.ABSTAINED and trail and trail[-1].outcome is Outcome.ESCALATED:
        trail = (*trail[:-1], trail[-1].model_copy(update={"outcome": Outcome.ABSTAINED}))
    return unanswered(job, status, problem, submitted_ms=submitted_ms, now_ms=now_ms, trail=trail)


def unreviewed(job: Job, trail: Sequence[Attempt], *, submitted_ms: int, now_ms: int) -> Result:
    """Nobody answered in time, or too few people: abstain. The trail's last attempts say so."""
    problem = TOO_FEW if any(map(is_a_persons, trail)) else UNREVIEWED
    times = {"submitted_ms": submitted_ms, "now_ms": now_ms}
    return unanswered(job, Status.ABSTAINED, problem, trail=trail, **times)


def best_of(
    job: Job,
    trail: Sequence[Attempt],
    kept_spans: Sequence[Span] = (),
    *,
    submitted_ms: int,
    now_ms: int,
) -> Result:
    """Too few people answered in time: give the surest answer there is, marked as unsure.

    Where several people are asked, that of one who did answer; of two who differ the later one's.
    Else a machine's; abstain where none has one. A rule's answer is certain of what it found and
    says nothing of the rest; so it counts only where no model answered.
    """
    place = surest(trail)
    if place is None:
        return unreviewed(job, trail, submitted_ms=submitted_ms, now_ms=now_ms)
    attempt = trail[place]
    assert attempt.answer is not None
    # A person saw what steps before had found, and left out what is not there.
    kept = () if is_a_persons(attempt) else kept_spans
    spans = merge_spans(kept, spans_of(attempt.answer))
    answer = with_utf16(with_spans(attempt.answer, spans), job.text)
    told = [*trail]
    told[place] = attempt.model_copy(update={"answer": None})
    result = _ended(job, Status.ANSWERED, submitted_ms=submitted_ms, now_ms=now_ms)
    found = {"answer": answer, "tier": attempt.tier, "trail": tuple(told), "unsure": True}
    return result.model_copy(update=found)


def is_a_persons(attempt: Attempt) -> bool:
    """Whether a person answered."""
    return attempt.tier == Tier.HUMAN and attempt.answer is not None


def surest(trail: Sequence[Attempt]) -> int | None:
    """The place of the attempt whose answer is the surest; the later of two; None for none."""
    given = [
        (is_a_persons(attempt), attempt.tier != Tier.RULE, attempt.confidence or 0.0, place)
        for place, attempt in enumerate(trail)
        if attempt.outcome != Outcome.FAILED
        and attempt.answer is not None
        and not isinstance(attempt.answer, UnknownAnswer)
    ]
    return max(given)[-1] if given else None


def _why_stopped(trail: Sequence[Attempt]) -> tuple[Status, Problem]:
    message = (
        "an audit found more errors than are promised, so no machine answers this task until it is"
        " calibrated anew, and no person is left to ask"
    )
    return Status.ABSTAINED, Problem(code="unsure" if trail else "no_step", message=message)


def _why_run_out(trail: Sequence[Attempt]) -> tuple[Status, Problem]:
    if not trail:
        message = "no step of the cascade is within the job's tiers"
        return Status.ABSTAINED, Problem(code="no_step", message=message)
    if all(attempt.outcome is Outcome.FAILED for attempt in trail):
        message = trail[-1].reason or "every step failed"
        return Status.FAILED, Problem(code="model_error", message=message)
    message = "no step was sure enough, and nobody is left to ask"
    return Status.ABSTAINED, Problem(code="unsure", message=message)


def without_job(
    job_id: str,
    status: Status,
    problem: Problem,
    *,
    submitted_ms: int,
    now_ms: int,
    task: str | None = None,
) -> Result:
    """The ending of a job that cannot be read, or that is known by its id alone."""
    return Result(
        id=job_id,
        task=task,
        status=status,
        problem=problem,
        submitted_at=at(submitted_ms),
        finished_at=at(now_ms),
    )


def _ended(job: Job, status: Status, *, submitted_ms: int, now_ms: int) -> Result:
    return Result(
        id=job.id,
        task=job.task,
        status=status,
        submitted_at=at(submitted_ms),
        finished_at=at(now_ms),
        fingerprint=job.fingerprint,
        metadata=dict(job.metadata),
        traceparent=job.traceparent,
    )


def is_allowed(tier: Tier, first: Tier | None, last: Tier | None) -> bool:
    """Whether a job's options let a step of this tier answer."""
    lowest = first.rank if first else 0
    highest = last.rank if last else Tier.HUMAN.rank
    return lowest <= tier.rank <= highest
