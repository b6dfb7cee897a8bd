"""Judging: whether an answer stands, and how its entry ends. Pure.

A worker knows the threshold its entry names and nothing of the cascade: what does not stand goes
back to the router, trail and all.
"""

from dataclasses import dataclass

from smallfirst import results
from smallfirst.answers import merge_spans, tempered_answer
from smallfirst.jobs import (
    Answer,
    Attempt,
    Job,
    LabelAnswer,
    Outcome,
    Problem,
    Result,
    SpansAnswer,
    Status,
    Tier,
)
from smallfirst.ledger.entries import StreamEntry
from smallfirst.ledger.routing_slips import RoutingSlip
from smallfirst.ledger.settlements import Ending, Settlement, Spent
from smallfirst_workers.engines import EngineResult
from smallfirst_workers.problems import INVALID, NOT_LOADED

#: Why the answer of a model does not stand that is not the one that was calibrated.
OTHER_REVISION = "calibrated for another revision"


@dataclass(frozen=True)
class Item:
    """One job in a worker's hands."""

    entry: StreamEntry
    job: Job
    slip: RoutingSlip

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
    return Item(entry, job, RoutingSlip.model_validate_json(entry.fields[b"slip"]))


def share_out(done: EngineResult, price_per_hour: float) -> list[Share]:
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
    """Record a step tried: accepted, escalated, or failed.

    Where the threshold is calibrated, the answer is as sure as its temperature makes it.
    """
    slip = item.slip
    problem = answer if isinstance(answer, Problem) else None
    given = None if isinstance(answer, Problem) else _tempered(answer, slip)
    is_void = is_of_other_revision(slip, revision)
    return Attempt(
        step=slip.step,
        tier=tier,
        model=slip.model,
        revision=revision,
        pool=slip.pool,
        outcome=Outcome.ESCALATED if is_void and given else _outcome(answer, given, slip),
        confidence=given.confidence if given else None,
        threshold=_threshold(given, slip),
        reason=problem.message if problem else OTHER_REVISION if is_void else None,
        seconds=share.seconds,
        waited_seconds=max(0.0, (started_ms - slip.parked_ms) / 1000),
        tokens=share.tokens,
        cost=share.cost,
        answer=given,
    )


def judge(item: Item, attempt: Attempt, *, escalations: str, now_ms: int) -> Settlement:
    """End an entry: with the job's result where the answer stands, else back to the router."""
    job, slip = item.job, item.slip
    spent = Spent(job.task, slip.step, attempt.outcome, attempt.seconds, attempt.cost)
    if attempt.outcome is Outcome.ACCEPTED and attempt.answer is not None:
        answer = _with_kept(attempt.answer, slip)
        result = results.answered(
            job, answer, (*slip.trail, attempt), submitted_ms=slip.submitted_ms, now_ms=now_ms
        )
        return _result(item, result, spent)
    back = slip.model_copy(update={"trail": (*slip.trail, attempt)})
    return Settlement(
        verb="move",
        entry=item.entry.entry,
        job_id=job.id,
        body=item.raw,
        slip=back.to_json(),
        to=escalations,
        spent=spent,
    )


def expire(item: Item, *, now_ms: int, attempt: Attempt | None = None) -> Settlement:
    """End a job whose time is up: before its pass began, or in the midst of an attempt."""
    tried = (attempt,) if attempt else ()
    result = results.unanswered(
        item.job,
        Status.EXPIRED,
        results.EXPIRED,
        submitted_ms=item.slip.submitted_ms,
        now_ms=now_ms,
        trail=(*item.slip.trail, *tried),
    )
    return _result(item, result, None)


def is_of_other_revision(slip: RoutingSlip, revision: str) -> bool:
    """Whether the threshold was calibrated for another version of the model than this one."""
    return slip.terms is not None and slip.terms.revision != revision


def is_not_loaded_yet(slip: RoutingSlip, answer: Answer | Problem, catalogue: str) -> bool:
    """Whether a job came by a catalogue that its worker has yet to take up.

    A worker that has seen the same revision, and lacks the task all the same, has refused it.
    """
    is_unknown = isinstance(answer, Problem) and answer.code == NOT_LOADED.code
    return is_unknown and slip.catalogue != catalogue


def _tempered(answer: Answer, slip: RoutingSlip) -> Answer:
    if slip.terms is None or not isinstance(answer, LabelAnswer):
        return answer
    return tempered_answer(answer, slip.terms.temperature)


def _outcome(said: Answer | Problem, given: Answer | None, slip: RoutingSlip) -> Outcome:
    if isinstance(said, Problem) and said.code != INVALID:
        return Outcome.FAILED
    threshold = _threshold(given, slip)
    is_sure = given is not None and threshold is not None and given.confidence >= threshold
    return Outcome.ACCEPTED if is_sure else Outcome.ESCALATED


def _threshold(answer: Answer | None, slip: RoutingSlip) -> float | None:
    """The confidence this answer must reach; None where nothing would do."""
    by_label = slip.terms.accept_by_label if slip.terms else None
    if by_label is None or not isinstance(answer, LabelAnswer):
        return slip.accept
    return by_label.get(answer.label)


def _with_kept(answer: Answer, slip: RoutingSlip) -> Answer:
    """Add the spans that an earlier step was sure of."""
    if not isinstance(answer, SpansAnswer) or not slip.kept:
        return answer
    return answer.model_copy(update={"spans": merge_spans(slip.kept, answer.spans)})


def _result(item: Item, result: Result, spent: Spent | None) -> Settlement:
    return Settlement(
        verb="result",
        entry=item.entry.entry,
        job_id=item.job.id,
        reply_to=item.job.reply_to or "",
        body=result.to_json(),
        spent=spent,
        ending=Ending(item.job.task, result.status),
    )
