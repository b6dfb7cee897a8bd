"""Triage: reads jobs, refuses, answers by rule, or parks on a backlog. It alone says where next."""

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

import structlog

from smallfirst import results
from smallfirst.jobs import Attempt, Job, Outcome, Problem, Result, Status
from smallfirst.ledger.entries import StreamEntry
from smallfirst.ledger.keys import ROUTER_GROUP, Keys
from smallfirst.ledger.ledger import Ledger
from smallfirst.ledger.routing_slips import RoutingSlip
from smallfirst.ledger.settlements import Ending, Settled, Settlement, Spent, dead_letter
from smallfirst.ledger.unreadable import READING_ERRORS, unreadable
from smallfirst.settings import RouterSettings
from smallfirst.telemetry.tracing import Attributes, Mark, Tracing
from smallfirst_router.cascade import (
    Accept,
    Ask,
    PlannedStep,
    TaskPlan,
    next_move,
    rule_outcome,
)
from smallfirst_router.metrics import RouterMetrics
from smallfirst_router.submissions import Cancellation, Refusal, read_submission

log = structlog.get_logger()


@dataclass(frozen=True)
class Case:
    """One job under triage: as submitted, or as it came back from a step."""

    entry: StreamEntry
    job: Job
    raw: bytes
    submitted_ms: int
    expires_ms: int
    slip: RoutingSlip | None = None


class Triage:
    """Decides on entries of the jobs and the escalations stream, and settles them."""

    def __init__(
        self,
        ledger: Ledger,
        keys: Keys,
        settings: RouterSettings,
        metrics: RouterMetrics,
        tracing: Tracing,
    ) -> None:
        self._ledger = ledger
        self._keys = keys
        self._settings = settings
        self._metrics = metrics
        self._tracing = tracing
        self._job_ttl = timedelta(seconds=settings.job_ttl_seconds)
        self.plans: Mapping[str, TaskPlan] = {}
        self.catalogue = ""

    def settle(self, entries: Iterable[StreamEntry]) -> Settled:
        """Decide on each entry, and carry the decisions out in one transaction a stream."""
        now_ms = self._ledger.now_ms()
        by_stream: dict[str, list[Settlement]] = defaultdict(list)
        for entry in entries:
            by_stream[entry.stream].append(self._decide(entry, now_ms))
        settled = Settled()
        for stream, settlements in by_stream.items():
            settled += self._ledger.settle(stream, ROUTER_GROUP, settlements)
            # Not before: what Redis could not be told is read and decided again.
            self._metrics.count_decisions(settlements)
        return settled

    def _decide(self, entry: StreamEntry, now_ms: int) -> Settlement:
        if entry.stream == self._keys.escalations:
            return self._decide_again(entry, now_ms)
        submission = read_submission(entry.fields, self._settings.max_job_bytes)
        if isinstance(submission, Refusal):
            return self._refuse(entry, submission, now_ms)
        if isinstance(submission, Cancellation):
            return self._cancel(entry, submission, now_ms)
        written_ms = entry.written_ms(now_ms)
        expires_ms = results.expires_ms(submission, written_ms, self._job_ttl)
        raw = entry.fields[b"job"]
        return self._admit(Case(entry, submission, raw, written_ms, expires_ms), now_ms)

    def _decide_again(self, entry: StreamEntry, now_ms: int) -> Settlement:
        try:
            case = _returned(entry)
        except READING_ERRORS:
            return unreadable(entry, now_ms)
        return self._next(case, now_ms)

    def _admit(self, case: Case, now_ms: int) -> Settlement:
        plan = self.plans.get(case.job.task)
        problem = _unfit(case.job, plan)
        if problem is None:
            return self._next(case, now_ms)
        job = case.job
        refusal = Refusal(problem, case.raw, job.id, job.reply_to or "", job.task)
        return self._refuse(case.entry, refusal, now_ms)

    def _next(self, case: Case, now_ms: int) -> Settlement:
        job, slip = case.job, case.slip
        parent = slip.traceparent if slip else job.traceparent
        mark = self._tracing.begin("triage", parent=parent, attributes=_attributes(job))
        settlement = self._move(case, mark, now_ms)
        ending = settlement.ending
        mark.end({"smallfirst.status": str(ending.status)} if ending else None)
        return settlement

    def _move(self, case: Case, mark: Mark, now_ms: int) -> Settlement:
        job, slip = case.job, case.slip
        trail = slip.trail if slip else ()
        times = {"submitted_ms": case.submitted_ms, "now_ms": now_ms}
        if now_ms >= case.expires_ms:
            result = results.unanswered(job, Status.EXPIRED, results.EXPIRED, trail=trail, **times)
            return _end(case, result)
        plan = self.plans.get(job.task)
        if plan is None:
            return _end(case, results.run_out(job, trail, **times))
        step = _next_step(slip)
        kept = slip.kept if slip else ()
        move = next_move(job, plan, _ask_rule, step=step, trail=trail, kept=kept)
        for attempt in move.trail[len(trail) :]:
            parent, seconds = mark.traceparent, attempt.seconds
            self._tracing.step(job.task, attempt, parent=parent, link=None, seconds=seconds)
        if isinstance(move, Ask):
            return self._park(case, move, mark, now_ms)
        if isinstance(move, Accept):
            return _end(case, results.answered(job, move.answer, move.trail, **times))
        return _end(case, results.run_out(job, move.trail, **times))

    def _park(self, case: Case, ask: Ask, mark: Mark, now_ms: int) -> Settlement:
        job, step = case.job, ask.step
        pool = step.pool or ""
        slip = RoutingSlip(
            task=job.task,
            step=step.number,
            model=step.model,
            pool=pool,
            accept=step.accept,
            terms=step.terms,
            options=step.options,
            catalogue=self.catalogue,
            submitted_ms=case.submitted_ms,
            parked_ms=now_ms,
            expires_ms=case.expires_ms,
            num_chars=len(job.text),
            explain=job.explain,
            traceparent=case.slip.traceparent if case.slip else mark.traceparent,
            trail=ask.trail,
            kept=ask.kept,
        )
        return Settlement(
            verb="move",
            entry=case.entry.entry,
            job_id=job.id,
            fingerprint=_on_first_sight(case),
            reply_to=job.reply_to or "",
            body=case.raw,
            slip=slip.to_json(),
            to=self._keys.backlog(pool, job.priority),
        )

    def _refuse(self, entry: StreamEntry, refusal: Refusal, now_ms: int) -> Settlement:
        log.info("job.refused", job_id=refusal.job_id, reason=refusal.problem.code)
        problem = refusal.problem
        letter = dead_letter(
            refusal.raw,
            problem.code,
            detail=problem.message,
            job_id=refusal.job_id or None,
            task=refusal.task,
            is_refusal=True,
        )
        body = ""
        if refusal.job_id:
            body = results.without_job(
                refusal.job_id,
                Status.REFUSED,
                problem,
                submitted_ms=entry.written_ms(now_ms),
                now_ms=now_ms,
                task=refusal.task,
            ).to_json()
        return Settlement(
            verb="refuse",
            entry=entry.entry,
            job_id=refusal.job_id,
            reply_to=refusal.reply_to,
            body=body,
            slip=letter,
            raw=refusal.raw[: self._settings.max_job_bytes],
        )

    def _cancel(self, entry: StreamEntry, cancellation: Cancellation, now_ms: int) -> Settlement:
        job_id = cancellation.job_id
        origin = self._ledger.origin_of(job_id) or entry.entry
        submitted_ms = int(origin.partition("-")[0])
        result = results.without_job(
            job_id, Status.CANCELLED, results.CANCELLED, submitted_ms=submitted_ms, now_ms=now_ms
        )
        body = result.to_json()
        return Settlement(verb="cancel", entry=entry.entry, job_id=job_id, body=body)


def _attributes(job: Job) -> Attributes:
    return {"smallfirst.job": job.id, "smallfirst.task": job.task}


def _returned(entry: StreamEntry) -> Case:
    """Read a job that a worker handed back."""
    slip = RoutingSlip.model_validate_json(entry.fields[b"slip"])
    raw = entry.fields[b"job"]
    job = Job.model_validate_json(raw)
    return Case(entry, job, raw, slip.submitted_ms, slip.expires_ms, slip)


def _unfit(job: Job, plan: TaskPlan | None) -> Problem | None:
    """Say why the catalogue cannot serve a well-formed job; None where it can."""
    if plan is None:
        return Problem(code="unknown_task", message=f"task: the catalogue has no task {job.task!r}")
    if len(job.text) > plan.max_chars:
        message = f"text: has {len(job.text)} characters; task {plan.name!r} takes {plan.max_chars}"
        return Problem(code="too_long", message=message)
    return None


def _ask_rule(step: PlannedStep, text: str) -> Attempt:
    """Ask a rule, and time it: rules cost the router's seconds."""
    assert step.rule is not None
    start = time.perf_counter()
    answer = step.rule.answer(text)
    seconds = time.perf_counter() - start
    return Attempt(
        step=step.number,
        tier=step.tier,
        model=step.model,
        revision=step.rule.revision,
        outcome=rule_outcome(answer, step.rule_accepts),
        confidence=answer.confidence if answer else None,
        seconds=seconds,
        answer=answer,
    )


def _next_step(slip: RoutingSlip | None) -> int:
    if slip is None:
        return 0
    return slip.step if slip.is_unasked else slip.step + 1


def _on_first_sight(case: Case) -> str:
    """The fingerprint by which duplicates are known; who comes back was registered before."""
    return "" if case.slip else case.job.fingerprint


def _end(case: Case, result: Result) -> Settlement:
    return Settlement(
        verb="result",
        entry=case.entry.entry,
        job_id=case.job.id,
        fingerprint=_on_first_sight(case),
        reply_to=case.job.reply_to or "",
        body=result.to_json(),
        raw=b"" if case.slip else case.raw,
        spent=_spent_on_rules(case.job.task, result),
        ending=Ending(case.job.task, result.status),
    )


def _spent_on_rules(task: str, result: Result) -> Spent | None:
    """What the answering rule took. A model's attempt is booked by its worker."""
    last = result.trail[-1] if result.trail else None
    if last is None or last.pool is not None or last.outcome is Outcome.FAILED:
        return None
    return Spent(task, last.step, last.outcome, last.seconds, last.cost)
