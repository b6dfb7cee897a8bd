"""Outcomes: what an attempt came to, and how its entry ends. Pure.

A worker knows what the answer to its entry must reach, and nothing of the cascade: what does not
stand goes back to the router, trail and all.
"""

from smallfirst import results
from smallfirst.acceptance import Acceptance, label_of
from smallfirst.answers import Answer, AnyAnswer, merge_spans, spans_of, with_likeliest, with_spans
from smallfirst.jobs import Attempt, Outcome, Problem, Status, Tier
from smallfirst.ledger.checks import accepted
from smallfirst.ledger.held_jobs import HeldJob
from smallfirst.ledger.routing_slips import RoutingSlip
from smallfirst.ledger.settlements import Basis, Finish, Move
from smallfirst_workers.engines import EngineResult
from smallfirst_workers.problems import INVALID


def attempt_of(
    held: HeldJob,
    part: EngineResult,
    *,
    tier: Tier,
    revision: str,
    price_per_hour: float,
    started_ms: int,
) -> Attempt:
    """Record a step tried: accepted, escalated, or failed.

    Where the threshold is calibrated, the answer is as sure as its temperature makes it. It is kept
    with as many probabilities as its job asks for.
    """
    asked, [answer], [charge] = held.slip.asked, part.answers, part.charges
    given = None if isinstance(answer, Problem) else _given(held, answer)
    return Attempt(
        step=asked.step,
        tier=tier,
        model=asked.name,
        revision=revision,
        pool=asked.pool,
        outcome=_outcome(answer, given, asked.acceptance, revision),
        confidence=given.confidence if given else None,
        threshold=asked.acceptance.required(label_of(given) if given else None),
        reason=_reason(answer, given, asked.acceptance, revision),
        seconds=part.seconds,
        waited_seconds=max(0.0, (started_ms - held.slip.parked_ms) / 1000),
        tokens=part.tokens[0],
        tokens_written=part.written[0] if part.written else 0,
        windows=part.windows[0],
        cost=part.seconds * price_per_hour / 3600 + charge,
        joules=part.joules,
        answer=given,
    )


def _given(held: HeldJob, answer: Answer) -> Answer:
    given = held.slip.asked.acceptance.tempered(answer)
    return given if held.job.whole_distribution else with_likeliest(given)


def _outcome(
    said: Answer | Problem, given: Answer | None, acceptance: Acceptance, revision: str
) -> Outcome:
    if isinstance(said, Problem) and said.code != INVALID:
        return Outcome.FAILED
    return acceptance.outcome(given, revision)


def _reason(
    said: Answer | Problem, given: Answer | None, acceptance: Acceptance, revision: str
) -> str | None:
    if isinstance(said, Problem):
        return said.message
    return acceptance.reason(given or said, revision)


def settlement_of(
    held: HeldJob, attempt: Attempt, *, escalations: str, now_ms: int
) -> Finish | Move:
    """End an entry: with the job's result where the answer stands, else back to the router."""
    job, slip = held.job, held.slip
    trail = (*slip.trail, attempt)
    if attempt.outcome is Outcome.ACCEPTED and attempt.answer is not None:
        times = {"submitted_ms": slip.submitted_ms, "now_ms": now_ms}
        answer, order = _with_kept(attempt.answer, slip), slip.asked.audit
        result = results.answered(job, answer, trail, **times)
        return Finish(
            entry=held.entry.entry,
            producer=slip.producer,
            result=result,
            reply_to=job.reply_to,
            spent=(attempt,),
            accepted=accepted(held, trail, answer, order, now_ms) if order else None,
            basis=Basis.of(held),
        )
    return Move(
        entry=held.entry.entry,
        job_id=job.id,
        job=held.raw,
        slip=slip.model_copy(update={"trail": trail}),
        to=escalations,
        spent=(attempt,),
    )


def expire(held: HeldJob, *, now_ms: int, attempt: Attempt | None = None) -> Finish:
    """End a job whose time is up: before its pass began, or in the midst of an attempt."""
    trail = (*held.slip.trail, *((attempt,) if attempt else ()))
    result = results.unanswered(
        held.job,
        Status.EXPIRED,
        results.expired(trail),
        submitted_ms=held.slip.submitted_ms,
        now_ms=now_ms,
        trail=trail,
    )
    return Finish(
        entry=held.entry.entry,
        producer=held.slip.producer,
        result=result,
        reply_to=held.job.reply_to,
        spent=(attempt,) if attempt else (),
        basis=Basis.of(held),
    )


def _with_kept(answer: AnyAnswer, slip: RoutingSlip) -> AnyAnswer:
    """Add the spans that an earlier step was sure of."""
    kept = slip.kept_spans
    return with_spans(answer, merge_spans(kept, spans_of(answer))) if kept else answer
