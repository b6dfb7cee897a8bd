"""Accepted answers of an audited task, settled as a worker does, for tests of who checks them."""

from collections.abc import Callable, Iterable
from typing import Any

from tests.support.shapes import attempt_for, slip_for

from smallfirst import results
from smallfirst.answers import LabelAnswer
from smallfirst.audit.drawing import AuditOrder
from smallfirst.jobs import Job, Priority
from smallfirst.ledger.checks import accepted
from smallfirst.ledger.entries import StreamEntry
from smallfirst.ledger.held_jobs import HeldJob, read_parked_job
from smallfirst.ledger.keys import POOL_GROUP, ROUTER_GROUP, Keys
from smallfirst.ledger.ledger import Ledger
from smallfirst.ledger.settlements import Finish, Move

KEYS = Keys()
OWN = KEYS.of_producer("default")
BACKLOG = KEYS.backlog("cpu", Priority.BULK)
CHECKS = KEYS.checks("topic")
SERIES = "0123456789abcdef"


def order_of(share: float = 1.0, **more: Any) -> AuditOrder:
    """An order to check so many answers."""
    return AuditOrder(**{"share": share, "keep_seconds": 3600, "series": SERIES, **more})


def finish_of(
    held: HeldJob, order: AuditOrder | None, *, confidence: float, label: str, before: str = ""
) -> Finish:
    """A worker's settlement of an answer that stands, be it after another step's."""
    answer = LabelAnswer(label=label, confidence=confidence)
    earlier = attempt_for(answer=LabelAnswer(label=before, confidence=0.5)) if before else None
    attempt = attempt_for(step=int(bool(before)), confidence=confidence, answer=answer)
    trail = [each for each in (earlier, attempt) if each is not None]
    now_ms = held.slip.submitted_ms + 1
    return Finish(
        entry=held.entry.entry,
        producer="default",
        result=results.answered(
            held.job, answer, trail, submitted_ms=held.slip.submitted_ms, now_ms=now_ms
        ),
        accepted=accepted(held, trail, answer, order, now_ms) if order else None,
    )


def parked(redis: Any, jobs: Iterable[Job], *, holder: str = "worker") -> list[HeldJob]:
    """Park jobs on a backlog, in a worker's hands."""
    ledger = Ledger(redis, KEYS, holder)
    ledger.open([OWN.jobs, KEYS.escalations], ROUTER_GROUP)
    ledger.open([BACKLOG], POOL_GROUP)
    router, moves = Ledger(redis, KEYS, "@router/test"), []
    for each in jobs:
        redis.xadd(OWN.jobs, {"job": each.to_json()})
    entries = list[StreamEntry]()
    while more := router.read([OWN.jobs], ROUTER_GROUP, count=10_000):
        entries += more
    for entry in entries:
        raw = entry.fields[b"job"]
        job = Job.model_validate_json(raw)
        now_ms = ledger.now_ms()
        slip = slip_for(
            job.task,
            submitted_ms=now_ms,
            parked_ms=now_ms,
            expires_ms=now_ms + 3_600_000,
            num_chars=len(job.text),
        )
        moves.append(
            Move(
                entry=entry.entry,
                job_id=job.id,
                job=raw,
                slip=slip,
                to=BACKLOG,
                fingerprint=job.fingerprint,
                is_first_seen=True,
            )
        )
    for begin in range(0, len(moves), 128):
        router.settle(OWN.jobs, ROUTER_GROUP, moves[begin : begin + 128])
    found = list[HeldJob]()
    while read := ledger.read([BACKLOG], POOL_GROUP, count=10_000):
        found += map(read_parked_job, read)
    return found


def settled(
    redis: Any,
    num_jobs: int,
    order: AuditOrder | None = None,
    *,
    confidence: float | Callable[[int], float] = 0.95,
    label: str = "a",
    before: str = "",
    **more: Any,
) -> list[HeldJob]:
    """Carry jobs to answers that stand, each as sure as is said of its number."""
    sure = confidence if callable(confidence) else lambda _number: confidence
    jobs = [Job(id=f"j{n}", task="topic", text=f"text {n}", **more) for n in range(num_jobs)]
    held, worker = parked(redis, jobs), Ledger(redis, KEYS, "worker")
    ordered = order or order_of()
    rows = [
        finish_of(each, ordered, confidence=sure(int(each.job.id[1:])), label=label, before=before)
        for each in held
    ]
    for begin in range(0, len(rows), 128):
        worker.settle(BACKLOG, POOL_GROUP, rows[begin : begin + 128])
    return held
