"""A ledger on a real Redis, as a test steps it by hand."""

from datetime import timedelta
from typing import Any

from tests.support.shapes import result_for, slip_for

from smallfirst.jobs import Priority, Problem, Result, Status
from smallfirst.ledger.keys import POOL_GROUP, ROUTER_GROUP, Keys
from smallfirst.ledger.ledger import Ledger
from smallfirst.ledger.settlements import Cancel, Finish, Move, Refuse, dead_letter

LEASE = timedelta(seconds=10)
NO_TIME = timedelta(0)
KEYS = Keys()
OWN = KEYS.of_producer("default")
BACKLOG = KEYS.backlog("cpu", Priority.BULK)


def ledger_of(redis: Any, holder: str = "router-a") -> Ledger:
    """Open the ledger as one holder sees it."""
    ledger = Ledger(redis, KEYS, holder)
    ledger.open([OWN.jobs, KEYS.escalations], ROUTER_GROUP)
    ledger.open([BACKLOG], POOL_GROUP)
    return ledger


def park(redis: Any, *ids: str) -> list[str]:
    """Put jobs on the backlog, as triage does."""
    return [
        redis.xadd(BACKLOG, {"producer": "default", "id": i, "job": "{}", "slip": "{}"}).decode()
        for i in ids
    ]


def dispatched(redis: Any, *ids: str) -> list[str]:
    """Put jobs on the backlog and pass them to the queue, as dispatch does."""
    park(redis, *ids)
    router = ledger_of(redis)
    entries = [entry.entry for entry in router.read([BACKLOG], POOL_GROUP, count=len(ids))]
    router.queue(BACKLOG, entries)
    return entries


def queued_again(redis: Any, *entries: str) -> None:
    """Let a router take over what anybody holds, as if its lease had run out, and queue these."""
    router = ledger_of(redis, "router-b")
    router.recover(BACKLOG, POOL_GROUP, lease=NO_TIME, queue_timeout=NO_TIME)
    assert router.queue(BACKLOG, entries) == set(entries)


def finish_of(entry: str, job_id: str = "a1", **more: Any) -> Finish:
    """A result as a worker settles it."""
    return Finish(entry=entry, producer="default", result=result_for(job_id, **more), reply_to="me")


def submission(redis: Any, job_id: str, fingerprint: str = "f1", *, reply_to: str = "me") -> Move:
    """Submit a job, read it, and say that it should be parked."""
    redis.xadd(OWN.jobs, {"job": "{}"})
    [entry] = ledger_of(redis).read([OWN.jobs], ROUTER_GROUP, count=1)
    return Move(
        entry=entry.entry,
        job_id=job_id,
        job=b"{}",
        slip=slip_for(),
        to=BACKLOG,
        reply_to=reply_to,
        fingerprint=fingerprint,
        is_first_seen=True,
    )


def stored(redis: Any, job_id: str = "a1") -> Result | None:
    """The result that stands, as its producer reads it."""
    raw = redis.get(OWN.result(job_id))
    return None if raw is None else Result.model_validate_json(raw)


def ended(redis: Any, job_id: str = "a1", **more: Any) -> Result:
    """Carry a job from its submission to a result, and return that."""
    ledger = ledger_of(redis)
    ledger.settle(OWN.jobs, ROUTER_GROUP, [submission(redis, job_id)])
    [entry] = ledger.read([BACKLOG], POOL_GROUP, count=1)
    ledger.settle(BACKLOG, POOL_GROUP, [finish_of(entry.entry, job_id, **more)])
    result = stored(redis, job_id)
    assert result is not None
    return result


def holder_of(redis: Any, entry: str) -> tuple[str, int]:
    """Who holds an entry, and how often it was delivered."""
    [pending] = redis.xpending_range(BACKLOG, POOL_GROUP, entry, entry, 1)
    return pending["consumer"].decode(), pending["times_delivered"]


def refusal_of(redis: Any, job_id: str, reason: str) -> Refuse:
    """Submit what is no job, under an id, and say that it should be refused."""
    redis.xadd(OWN.jobs, {"job": "x"})
    [entry] = ledger_of(redis).read([OWN.jobs], ROUTER_GROUP, count=1)
    letter = dead_letter(b"x", "not_json", producer="default", is_refusal=True)
    problem = Problem(code="not_json", message=reason)
    result = result_for(job_id, Status.REFUSED, problem=problem)
    return Refuse(
        entry=entry.entry,
        producer="default",
        letter=letter,
        raw=b"x",
        result=result,
        reply_to="you",
    )


def cancellation(redis: Any, job_id: str = "a1") -> Cancel:
    """Ask for a cancellation, read it, and say that it should be carried out."""
    redis.xadd(OWN.jobs, {"cancel": job_id})
    [request] = ledger_of(redis).read([OWN.jobs], ROUTER_GROUP, count=1)
    return Cancel(
        entry=request.entry, producer="default", result=result_for(job_id, Status.CANCELLED)
    )
