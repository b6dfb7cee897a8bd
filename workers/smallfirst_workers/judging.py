"""Judging: whether an answer stands, and how its entry ends. Pure.

A worker knows the threshold its entry names and nothing of the cascade: what does not stand goes
back to the router, trail and all.
"""

from dataclasses import dataclass

from smallfirst import endings
from smallfirst.jobs import Answer, Attempt, Job, Outcome, Problem, SpansAnswer, Status, Tier
from smallfirst.ledger import Settlement, Spent, StreamEntry
from smallfirst.legs import Leg
from smallfirst.spans import merge_spans
from smallfirst_workers.engines import Pass


@dataclass(frozen=True)
class Item:
    """One job in a worker's hands."""

    entry: StreamEntry
    job: Job
    leg: Leg

    @property
    def raw(self) -> bytes:
        """The job as its producer wrote it."""
        return self.entry.fields[b"job"]


@dataclass(frozen=True)
class Share:
    """One job's share of a pass: what it read, how long it took, what that cost."""

    tokens: int
    seconds: float
    cost: float


def read_item(entry: StreamEntry) -> Item:
    """Read what the router parked."""
    job = Job.model_validate_json(entry.fields[b"job"])
    return Item(entry, job, Leg.model_validate_json(entry.fields[b"leg"]))


def share_out(done: Pass, price_per_hour: float) -> list[Share]:
    """Share a pass's seconds over its jobs by the tokens each had read, and add its charges."""
    whole = sum(done.tokens)
    counts = done.tokens if whole else [1] * len(done.tokens)
    charges = done.charges or [0.0] * len(counts)
    shares = []
    for tokens, count, charge in zip(done.tokens, counts, charges, strict=True):
        part = done.seconds * count / sum(counts)
        shares.append(Share(tokens, part, part * price_per_hour / 3600 + charge))
    return shares


def attempt_of(
    item: Item,
    answer: Answer | Problem,
    share: Share,
    *,
    tier: Tier,
    revision: str,
    started_ms: int,
) -> Attempt:
    """Record a step tried: accepted, escalated, or failed."""
    leg = item.leg
    problem = answer if isinstance(answer, Problem) else None
    given = None if isinstance(answer, Problem) else answer
    return Attempt(
        step=leg.step,
        tier=tier,
        model=leg.model,
        revision=revision,
        pool=leg.pool,
        outcome=_outcome(answer, leg.accept),
        confidence=given.confidence if given else None,
        threshold=leg.accept,
        reason=problem.message if problem else None,
        seconds=share.seconds,
        waited_seconds=max(0.0, (started_ms - leg.parked_ms) / 1000),
        tokens=share.tokens,
        cost=share.cost,
        answer=given,
    )


def judge(item: Item, attempt: Attempt, *, escalations: str, now_ms: int) -> Settlement:
    """End an entry: with the job's result where the answer stands, else back to the router."""
    job, leg = item.job, item.leg
    spent = Spent(job.task, leg.step, attempt.outcome, attempt.seconds, attempt.cost)
    if attempt.outcome is Outcome.ACCEPTED and attempt.answer is not None:
        answer = _with_kept(attempt.answer, leg)
        result = endings.answered(
            job, answer, (*leg.trail, attempt), submitted_ms=leg.submitted_ms, now_ms=now_ms
        )
        return _result(item, result.to_json(), spent)
    back = leg.model_copy(update={"trail": (*leg.trail, attempt)})
    return Settlement(
        verb="move",
        entry=item.entry.entry,
        job_id=job.id,
        body=item.raw,
        leg=back.to_json(),
        to=escalations,
        spent=spent,
    )


def expire(item: Item, *, now_ms: int, attempt: Attempt | None = None) -> Settlement:
    """End a job whose time is up: before its pass began, or in the midst of an attempt."""
    tried = (attempt,) if attempt else ()
    result = endings.unanswered(
        item.job,
        Status.EXPIRED,
        endings.EXPIRED,
        submitted_ms=item.leg.submitted_ms,
        now_ms=now_ms,
        trail=(*item.leg.trail, *tried),
    )
    return _result(item, result.to_json(), None)


def _outcome(answer: Answer | Problem, accept: float) -> Outcome:
    if isinstance(answer, Problem):
        return Outcome.FAILED
    return Outcome.ACCEPTED if answer.confidence >= accept else Outcome.ESCALATED


def _with_kept(answer: Answer, leg: Leg) -> Answer:
    """Add the spans that an earlier step was sure of."""
    if not isinstance(answer, SpansAnswer) or not leg.kept:
        return answer
    return answer.model_copy(update={"spans": merge_spans(leg.kept, answer.spans)})


def _result(item: Item, body: str, spent: Spent | None) -> Settlement:
    return Settlement(
        verb="result",
        entry=item.entry.entry,
        job_id=item.job.id,
        reply_to=item.job.reply_to or "",
        body=body,
        spent=spent,
    )
