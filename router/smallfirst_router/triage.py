"""Triage: refuses jobs, answers what it can, or parks on a backlog. It alone says where next.

It decides for a second at most, and settles what it has decided: what waits behind a
long document keeps its leases, since the router goes round between two parts.
"""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial

import structlog

from smallfirst import results
from smallfirst.catalogue import Backlog
from smallfirst.jobs import UNKNOWN_TASK, Attempt, Job, Problem, Result, Status
from smallfirst.ledger.checks import Accepted, accepted
from smallfirst.ledger.entries import StreamEntry
from smallfirst.ledger.held_jobs import HeldJob, read_held_job, submitted_job
from smallfirst.ledger.keys import ROUTER_GROUP, WAITING_PREFIX, Keys
from smallfirst.ledger.ledger import Ledger
from smallfirst.ledger.routing_slips import RoutingSlip, StepRequest
from smallfirst.ledger.seen import SeenJobs
from smallfirst.ledger.settlements import (
    Basis,
    Cancel,
    Finish,
    Move,
    Refuse,
    Settlement,
    Wait,
    dead_letter,
)
from smallfirst.ledger.slices import slice_of
from smallfirst.ledger.text_sizes import estimated_tokens, text_key
from smallfirst.ledger.unreadable import READING_ERRORS, unreadable
from smallfirst.settings import RouterSettings
from smallfirst.shadow.copies import SHADOW
from smallfirst.telemetry.tracing import Attributes, Mark, Tracing
from smallfirst.wording import did_you_mean
from smallfirst_router.asked_ahead import Ahead, Timed, ask_ahead, key_of, windows
from smallfirst_router.cascade import (
    Accept,
    Ask,
    Local,
    Plan,
    PlannedStep,
    TaskPlan,
    next_move,
    pools_ahead,
)
from smallfirst_router.metrics import RouterMetrics
from smallfirst_router.router_time import RouterTime
from smallfirst_router.shadowing import Shadowing
from smallfirst_router.submissions import Cancellation, Refusal, read_submission, too_large

log = structlog.get_logger()

#: The longest that triage decides before it settles; one entry is always decided.
BUDGET = timedelta(seconds=1)


class Triage:
    """Decides on submissions and on escalations, and settles them."""

    def __init__(
        self,
        ledger: Ledger,
        keys: Keys,
        settings: RouterSettings,
        metrics: RouterMetrics,
        tracing: Tracing,
        router_time: RouterTime | None = None,
        seen: SeenJobs | None = None,
    ) -> None:
        self._ledger = ledger
        self._router_time = router_time
        self._seen = seen
        self._keys = keys
        self._escalations = keys.escalations
        self._settings = settings
        self._metrics = metrics
        self._tracing = tracing
        self._job_ttl = timedelta(seconds=settings.job_ttl_seconds)
        # What is not decided yet is renewed between two parts, in good time.
        self._budget = min(BUDGET, timedelta(seconds=settings.lease_seconds) / 3)
        #: By producer and id.
        self._origins: dict[tuple[str, str], str] = {}
        self._plan = Plan()
        #: What is known by now of the jobs that are decided on.
        self._ahead: Ahead = {}
        self._rooms: dict[str, int] = {}
        self._waiting: dict[str, int] = {}
        self.shadowing = Shadowing(ledger.shadows, keys)

    def serve(self, plan: Plan) -> None:
        """Decide by this plan from now on."""
        self._plan = plan
        self.shadowing.serve(plan)

    def have_room(self, rooms: Mapping[str, int], waiting: Mapping[str, int]) -> None:
        """Park no more than so many new jobs on each backlog from now on; the rest wait.

        Args:
            rooms: How many more jobs each backlog may take; no bound where it does not say.
            waiting: How many wait already for one to have room, and come before what is read now.
        """
        self._rooms, self._waiting = dict(rooms), dict(waiting)

    def settle(self, entries: Sequence[StreamEntry]) -> int:
        """Decide on entries, in order, until the time is over, and carry out what was decided.

        Returns:
            How many were decided on; they are settled.
        """
        if not entries:
            return 0
        now_ms = self._ledger.now_ms()
        self.shadowing.forget_drawn()
        seen = self._ledger.first_seen.note(entries, now_ms)
        self._origins = self._ledger.submissions.origins_of(self._named_to_cancel(entries))
        decided = self._decide_part(seen, now_ms)
        refusals = self._ledger.settle_streams(decided, ROUTER_GROUP)
        for stream in decided.keys() - refusals.keys():
            # Not before: what Redis could not be told is read and decided again.
            self._metrics.count_decisions(decided[stream])
            self._count_asked(decided[stream])
            if self._seen is not None:
                self._seen.count(decided[stream])
        for refusal in refusals.values():
            raise refusal
        self.shadowing.copy_drawn(now_ms)
        num_decided = sum(map(len, decided.values()))
        waits = {
            (stream, each.entry)
            for stream, settlements in decided.items()
            for each in settlements
            if isinstance(each, Wait)
        }
        ended = [each for each in seen[:num_decided] if (each.stream, each.entry) not in waits]
        self._ledger.first_seen.forget(ended)
        return num_decided

    def _count_asked(self, settlements: Sequence[Settlement]) -> None:
        """Count the seconds that are booked with jobs, which the router's own books leave out."""
        if self._router_time is not None:
            ended = (each for each in settlements if isinstance(each, Finish | Move))
            self._router_time.count_asked(sum(a.seconds for each in ended for a in each.spent))

    def _named_to_cancel(self, entries: Sequence[StreamEntry]) -> list[tuple[str, str]]:
        """The producers and ids that entries ask to cancel, where a job may have them."""
        asked = [entry for entry in entries if b"cancel" in entry.fields]
        found = [
            (self._keys.producer_of(entry.stream), read_submission(entry.fields, 0))
            for entry in asked
        ]
        return [
            (producer, one.job_id)
            for producer, one in found
            if producer is not None and isinstance(one, Cancellation)
        ]

    def _decide_part(
        self, entries: Sequence[StreamEntry], now_ms: int
    ) -> dict[str, list[Settlement]]:
        """Decide until the time is over; return what was decided, by stream."""
        until = time.monotonic() + self._budget.total_seconds()
        decided: dict[str, list[Settlement]] = defaultdict(list)
        for window in windows(entries):
            found = [self._read(entry, now_ms) for entry in window]
            held = [each for each in found if isinstance(each, HeldJob)]
            wanted = (each for each in held if now_ms < each.slip.expires_ms)
            self._ahead = ask_ahead(wanted, self._plan.tasks)
            for entry, each in zip(window, found, strict=True):
                settlement = self._decide(each, now_ms) if isinstance(each, HeldJob) else each
                decided[entry.stream].append(settlement)
                if time.monotonic() >= until:
                    return decided
        return decided

    def _read(self, entry: StreamEntry, now_ms: int) -> HeldJob | Settlement:
        """Read what an entry holds; where it is no job, it is decided on with that."""
        if entry.stream == self._escalations:
            try:
                return read_held_job(entry)
            except READING_ERRORS:
                return unreadable(entry, now_ms)
        producer, max_bytes = self._keys.producer_of(entry.stream), self._settings.max_job_bytes
        assert producer is not None
        if entry.excerpt is not None:
            return self._refuse(entry, producer, too_large(entry.excerpt, max_bytes), now_ms)
        submission = read_submission(entry.fields, max_bytes)
        if isinstance(submission, Refusal):
            return self._refuse(entry, producer, submission, now_ms)
        if isinstance(submission, Cancellation):
            return self._cancel(entry, producer, submission, now_ms)
        job_ttl = self._job_ttl
        return submitted_job(entry, submission, producer, job_ttl=job_ttl, now_ms=now_ms)

    def _decide(self, held: HeldJob, now_ms: int) -> Settlement:
        if held.entry.stream == self._escalations:
            return self._next(held, now_ms)
        job = held.job
        problem = self._misplaced(job) or _unfit(job, self._plan.tasks)
        if problem is None:
            settlement = self._next(held, now_ms)
            if not isinstance(settlement, Wait):
                self.shadowing.draw(held)
            return settlement
        refusal = Refusal(problem, held.raw, job.id, job.reply_to or "", job.task)
        return self._refuse(held.entry, held.slip.producer, refusal, now_ms)

    def _misplaced(self, job: Job) -> Problem | None:
        """Say why a job is in the wrong slice, where nobody would find its result; else None."""
        told, num_slices = self._keys.slice, self._settings.slices
        right = slice_of(job.id, num_slices)
        if right == told:
            return None
        message = f"id: a job of this id is in slice {right} of {num_slices}, not in slice {told}"
        return Problem(code="wrong_slice", message=message)

    def _next(self, held: HeldJob, now_ms: int) -> Settlement:
        attributes, parent = _attributes(held), held.slip.traceparent
        mark = self._tracing.begin("triage", parent=parent, attributes=attributes)
        settlement = self._move(held, mark, now_ms)
        mark.end(_ended(settlement))
        return settlement

    def _move(self, held: HeldJob, mark: Mark, now_ms: int) -> Finish | Move | Wait:
        job, slip = held.job, held.slip
        times = {"submitted_ms": slip.submitted_ms, "now_ms": now_ms}
        if now_ms >= slip.expires_ms:
            result = results.unanswered(
                job, Status.EXPIRED, results.expired(slip.trail), trail=slip.trail, **times
            )
            return _end(held, result, Basis.of(held))
        plan = self._plan.tasks.get(job.task)
        if plan is None:
            return _end_without_task(held, now_ms)
        move = next_move(
            job,
            plan,
            partial(self._ask_here, held.entry),
            step=slip.next_step,
            trail=slip.trail,
            kept_spans=slip.kept_spans,
        )
        self._trace_here(job, move.trail[len(slip.trail) :], mark)
        if isinstance(move, Ask):
            return self._wait(held, plan, move) or self._park(held, move, mark, now_ms)
        basis = Basis(job.text, self._plan.revision, plan.promise)
        if isinstance(move, Accept):
            result = results.answered(job, move.answer, move.trail, **times)
            ended = _end(held, result, basis, move.trail)
            return replace(ended, accepted=_counted(held, move, plan, now_ms))
        run_out = results.run_out(job, move.trail, is_stopped=plan.is_stopped, **times)
        return _end(held, run_out, basis, move.trail)

    def _ask_here(self, entry: StreamEntry, step: PlannedStep, job: Job) -> Attempt:
        """Ask a rule or a linear model, and time it: they cost the router's seconds."""
        asked = step.destination
        assert not isinstance(asked, Backlog)
        said, seconds = self._ahead.get(key_of(step.number, entry)) or _timed(asked, job)
        return Attempt(
            step=step.number,
            tier=step.tier,
            model=step.name,
            revision=asked.revision,
            outcome=said.outcome,
            confidence=said.answer.confidence if said.answer else None,
            threshold=said.threshold,
            reason=said.reason,
            seconds=seconds,
            cost=seconds * self._plan.price_per_hour / 3600,
            answer=said.answer,
        )

    def _trace_here(self, job: Job, tried: Sequence[Attempt], mark: Mark) -> None:
        for attempt in tried:
            parent, seconds = mark.traceparent, attempt.seconds
            self._tracing.step(job.task, attempt, parent=parent, link=None, seconds=seconds)

    def _wait(self, held: HeldJob, plan: TaskPlan, ask: Ask) -> Wait | None:
        """Have a new job wait while a backlog that it may come to is full; None where none is.

        What came back from a step goes on: it is among the jobs in flight that the bounds let in.
        So do copies for a candidate in shadow, which have a bound of their own.
        """
        job, ahead = held.job, pools_ahead(held.job, plan, ask.step.number)
        if not held.is_first_seen or held.slip.producer == SHADOW:
            return None
        backlogs = (self._keys.backlog(pool, job.priority) for pool in ahead)
        full = next((each for each in backlogs if self._is_full(each, held.entry)), None)
        if full is None:
            return None
        return Wait(
            entry=held.entry.entry,
            producer=held.slip.producer,
            job_id=job.id,
            to=self._keys.waiting_for(full),
            expires_ms=held.slip.expires_ms,
            fingerprint=job.fingerprint,
            reply_to=job.reply_to,
        )

    def _is_full(self, backlog: str, entry: StreamEntry) -> bool:
        """Whether a backlog has no room for one more; who has waited for it comes before others."""
        has_waited = entry.holder.startswith(WAITING_PREFIX)
        num_before = 0 if has_waited else self._waiting.get(backlog, 0)
        return backlog in self._rooms and self._rooms[backlog] - num_before <= 0

    def _park(self, held: HeldJob, ask: Ask, mark: Mark, now_ms: int) -> Move:
        job = held.job
        backlog = self._keys.backlog(ask.backlog.pool, job.priority)
        if backlog in self._rooms:
            self._rooms[backlog] -= 1
        return Move(
            entry=held.entry.entry,
            job_id=job.id,
            job=held.raw,
            slip=self._slip_of(held, ask, mark, now_ms),
            to=backlog,
            reply_to=job.reply_to,
            fingerprint=job.fingerprint if held.is_first_seen else None,
            is_first_seen=held.is_first_seen,
            spent=_asked_here(held, ask.trail),
        )

    def _slip_of(self, held: HeldJob, ask: Ask, mark: Mark, now_ms: int) -> RoutingSlip:
        """What goes with a job to its next step."""
        person = ask.step.person
        wait_ms = round(person.wait.total_seconds() * 1000) if person else 0
        request = StepRequest(
            step=ask.step.number,
            model=ask.backlog.model,
            pool=ask.backlog.pool,
            acceptance=ask.step.acceptance,
            options=ask.step.options,
            catalogue=self._plan.revision,
            promise=self._plan.tasks[held.slip.task].promise,
            until_ms=min(now_ms + wait_ms, results.LAST_MS) if person else None,
            reviewers=person.reviewers if person else 1,
            cautious=ask.step.cautious,
            audit=None if person else self._plan.tasks[held.slip.task].audit,
        )
        update = {
            "request": request,
            "is_unasked": False,
            "parked_ms": now_ms,
            "trail": ask.trail,
            "kept_spans": ask.kept_spans,
        }
        if held.is_first_seen:
            # Here, since what is answered in triage is in no batch.
            text = held.job.text
            update |= {"num_tokens": estimated_tokens(text), "text_key": text_key(text)}
            update["traceparent"] = mark.traceparent
        return held.slip.model_copy(update=update)

    def _refuse(self, entry: StreamEntry, producer: str, refusal: Refusal, now_ms: int) -> Refuse:
        problem = refusal.problem
        log.info("job.refused", producer=producer, job_id=refusal.job_id, reason=problem.code)
        letter = dead_letter(
            refusal.raw,
            problem.code,
            producer=producer,
            detail=problem.message,
            job_id=refusal.job_id or None,
            task=refusal.task,
            is_refusal=True,
            excerpt=refusal.excerpt,
        )
        return Refuse(
            entry=entry.entry,
            producer=producer,
            letter=letter,
            raw=refusal.raw[: self._settings.max_job_bytes],
            result=_result_of(refusal, entry.written_ms(now_ms), now_ms),
            reply_to=refusal.reply_to,
        )

    def _cancel(
        self, entry: StreamEntry, producer: str, cancellation: Cancellation, now_ms: int
    ) -> Cancel:
        job_id = cancellation.job_id
        origin = entry._replace(entry=self._origins.get((producer, job_id), entry.entry))
        submitted_ms = origin.written_ms(now_ms)
        result = results.without_job(
            job_id, Status.CANCELLED, results.CANCELLED, submitted_ms=submitted_ms, now_ms=now_ms
        )
        return Cancel(entry=entry.entry, producer=producer, result=result)


def _timed(asked: Local, job: Job) -> Timed:
    start = time.thread_time()
    said = asked.ask(job)
    return Timed(said, time.thread_time() - start)


def _result_of(refusal: Refusal, submitted_ms: int, now_ms: int) -> Result | None:
    """What the producer of a refused submission gets, where its id could be made out."""
    if not refusal.job_id:
        return None
    return results.without_job(
        refusal.job_id,
        Status.REFUSED,
        refusal.problem,
        submitted_ms=submitted_ms,
        now_ms=now_ms,
        task=refusal.task,
    )


def _ended(settlement: Finish | Move | Wait) -> Attributes | None:
    if not isinstance(settlement, Finish):
        return None
    return {"smallfirst.status": str(settlement.result.status)}


def _attributes(held: HeldJob) -> Attributes:
    job, producer = held.job, held.slip.producer
    whose = {"smallfirst.producer": producer, "smallfirst.job": job.id}
    return {**whose, "smallfirst.task": job.task}


def _unfit(job: Job, plans: Mapping[str, TaskPlan]) -> Problem | None:
    """Say why the catalogue cannot serve a well-formed job; None where it can."""
    plan = plans.get(job.task)
    if plan is None:
        near = did_you_mean(job.task, plans)
        message = f"task: the catalogue has no task {job.task!r}{near}"
        return Problem(code=UNKNOWN_TASK, message=message)
    if plan.shadow_of:
        message = f"task: {job.task!r} runs in shadow; submit to {plan.shadow_of!r} in its place"
        return Problem(code=UNKNOWN_TASK, message=message)
    if len(job.text) > plan.max_chars:
        message = f"text: has {len(job.text)} characters; task {plan.name!r} takes {plan.max_chars}"
        return Problem(code="too_long", message=message)
    return None


def _end_without_task(held: HeldJob, now_ms: int) -> Finish:
    """End a job whose task has left the catalogue meanwhile, to be replayed once it is back."""
    job = held.job
    message = f"task: the catalogue has no task {job.task!r} any more"
    problem = Problem(code=UNKNOWN_TASK, message=message)
    result = results.unanswered(
        job,
        Status.FAILED,
        problem,
        submitted_ms=held.slip.submitted_ms,
        now_ms=now_ms,
        trail=held.slip.trail,
    )
    producer = held.slip.producer
    letter = dead_letter(
        held.raw, problem.code, producer=producer, detail=message, job_id=job.id, task=job.task
    )
    return Finish(
        entry=held.entry.entry,
        producer=producer,
        result=result,
        reply_to=job.reply_to,
        letter=letter,
        raw=held.raw,
        basis=Basis.of(held),
    )


def _end(held: HeldJob, result: Result, basis: Basis, trail: Sequence[Attempt] = ()) -> Finish:
    return Finish(
        entry=held.entry.entry,
        producer=held.slip.producer,
        result=result,
        reply_to=held.job.reply_to,
        is_first_seen=held.is_first_seen,
        spent=_asked_here(held, trail),
        basis=basis,
    )


def _counted(held: HeldJob, move: Accept, plan: TaskPlan, now_ms: int) -> Accepted | None:
    """What counts an answer that stands, where the task is audited."""
    if plan.audit is None:
        return None
    return accepted(held, move.trail, move.answer, plan.audit, now_ms)


def _asked_here(held: HeldJob, trail: Sequence[Attempt]) -> tuple[Attempt, ...]:
    """What the router itself asked of a job in this round. A worker books its own attempts."""
    return tuple(trail[len(held.slip.trail) :])
