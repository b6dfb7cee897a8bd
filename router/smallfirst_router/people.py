"""People: ends what waited for a person in vain, as the catalogue says, with or without a desk.

Nobody is waited for here, and nothing is handed out: people take jobs at the review desk.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Final

from smallfirst import results
from smallfirst.catalogue import Otherwise
from smallfirst.catalogue.durations import format_duration
from smallfirst.jobs import Attempt, Outcome, Result, Status, Tier
from smallfirst.ledger.decisions import (
    Decision,
    all_of,
    attempts_of,
    decided_by,
    finish_with,
    read_decision,
    with_all_seconds,
)
from smallfirst.ledger.entries import StreamEntry
from smallfirst.ledger.held_jobs import HeldJob, read_parked_job
from smallfirst.ledger.keys import POOL_GROUP
from smallfirst.ledger.ledger import Ledger
from smallfirst.ledger.settlements import Basis, Finish, Move, Settlement
from smallfirst.ledger.unreadable import READING_ERRORS, unreadable
from smallfirst.people import PERSON
from smallfirst_router.cascade import Plan, PlannedStep
from smallfirst_router.metrics import RouterMetrics

#: Who did not answer, by how many did.
_WHO: Final = ("", "second ", "third ")


class People:
    """The jobs that wait for people, as far as a router has to do with them."""

    def __init__(self, ledger: Ledger, metrics: RouterMetrics) -> None:
        self._ledger = ledger
        self._metrics = metrics
        self._plan = Plan()

    def serve(self, plan: Plan) -> None:
        """End jobs by this plan from now on."""
        self._plan = plan

    def end_due(self, entries: Sequence[StreamEntry]) -> None:
        """End jobs whose wait for a person is over."""
        now_ms = self._ledger.now_ms() if entries else 0
        for stream, group in groupby(entries, key=lambda entry: entry.stream):
            found = list(group)
            names = [entry.entry for entry in found]
            decisions = self._ledger.decisions.read(stream, names)
            earlier = self._ledger.decisions.earlier(stream, names)
            ended = [
                self._ended(entry, earlier.get(entry.entry, ()), decisions.get(entry.entry), now_ms)
                for entry in found
            ]
            self._ledger.settle(stream, POOL_GROUP, ended, must_hold=True)
            self._ledger.decisions.forget(stream, list(decisions))
            self._metrics.count_endings(ended)

    def _ended(
        self,
        entry: StreamEntry,
        earlier: tuple[Decision, ...],
        decision: bytes | None,
        now_ms: int,
    ) -> Settlement:
        try:
            held = read_parked_job(entry)
            if decision is None:
                return self._waited(held, earlier, now_ms)
            # The desk that was to end it is gone; what a person said stands all the same.
            decisions = all_of(earlier, read_decision(decision))
            self._ledger.decisions.note_pair_of(held, decisions)
            decided = decided_by(held, decisions)
            if decided is None:
                return self._waited(held, decisions, now_ms)
            return finish_with(decided, now_ms=now_ms)
        except READING_ERRORS:
            return unreadable(entry, now_ms)

    def _waited(self, held: HeldJob, decisions: tuple[Decision, ...], now_ms: int) -> Settlement:
        """End a job that nobody answered, or too few of those who were to agree."""
        job, slip = held.job, held.slip
        answered = (*slip.trail, *attempts_of(held, decisions))
        times = {"submitted_ms": slip.submitted_ms, "now_ms": now_ms}
        if now_ms >= slip.expires_ms:
            problem = results.expired(answered)
            return _finish(
                held,
                results.unanswered(job, Status.EXPIRED, problem, trail=answered, **times),
            )
        plan = self._plan.tasks.get(slip.task)
        step = plan.last if plan else None
        if step is None or step.person is None:
            return _sent_back(held, self._ledger.keys.escalations)
        waited = _in_vain(held, step, len(decisions), now_ms)
        trail, spent = (*answered, waited), with_all_seconds(waited, decisions)
        if step.person.otherwise is Otherwise.BEST:
            return _finish(held, results.best_of(job, trail, slip.kept_spans, **times), spent)
        return _finish(held, results.unreviewed(job, trail, **times), spent)


def _in_vain(held: HeldJob, step: PlannedStep, num_answers: int, now_ms: int) -> Attempt:
    """The record of a person who was waited for, after so many had answered."""
    assert step.person is not None
    asked, wait = held.slip.asked, format_duration(step.person.wait)
    return Attempt(
        step=asked.step,
        tier=Tier.HUMAN,
        model=PERSON,
        revision="",
        pool=asked.pool,
        outcome=Outcome.ABSTAINED,
        reason=f"no {_WHO[min(num_answers, 2)]}person answered within {wait}",
        waited_seconds=max(0, now_ms - held.slip.parked_ms) / 1000,
    )


def _finish(held: HeldJob, result: Result, spent: Attempt | None = None) -> Finish:
    return Finish(
        entry=held.entry.entry,
        producer=held.slip.producer,
        result=result,
        reply_to=held.job.reply_to,
        spent=(spent,) if spent else (),
        basis=Basis.of(held),
    )


def _sent_back(held: HeldJob, escalations: str) -> Move:
    """Send a job back to triage whose task asks no person any more."""
    return Move(
        entry=held.entry.entry,
        job_id=held.job.id,
        job=held.raw,
        slip=held.slip.model_copy(update={"is_unasked": True}),
        to=escalations,
    )
