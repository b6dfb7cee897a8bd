"""Jobs that wait for people, put there as a router does, for tests of whoever takes them."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from tests.support.shapes import slip_for

from smallfirst.answers import Answer, LabelAnswer
from smallfirst.jobs import Attempt, Job, Priority
from smallfirst.ledger.decisions import Decision
from smallfirst.ledger.keys import DECIDED_CONSUMER, POOL_GROUP, ROUTER_GROUP, Keys
from smallfirst.ledger.ledger import Ledger
from smallfirst.ledger.review import Leased, Review
from smallfirst.ledger.settlements import Move
from smallfirst.people import people_of

KEYS = Keys()
OWN = KEYS.of_producer("default")
STREAM = KEYS.people("topic")[Priority.BULK]
LEASE, UNDO = timedelta(minutes=1), timedelta(seconds=5)


def review_of(
    redis: Any, *, lease: timedelta = LEASE, undo: timedelta = UNDO, keys: Keys = KEYS
) -> Review:
    """The jobs that wait for people, as a desk sees them."""
    return Review(redis, keys, lease=lease, undo=undo)


def wait_for_people(
    redis: Any,
    *jobs: Job,
    waits: Mapping[str, timedelta] | None = None,
    trail: tuple[Attempt, ...] = (),
    keys: Keys = KEYS,
    life: timedelta = timedelta(days=7),
    reviewers: int = 1,
) -> None:
    """Submit jobs and park them where people take them, each for an hour if nothing is said.

    Jobs live for a week, if nothing is said; however short their life is, no router ends them here.
    """
    ledger = Ledger(redis, keys, "@router/test")
    own = keys.of_producer("default")
    ledger.open([own.jobs, keys.escalations], ROUTER_GROUP)
    for task in {job.task for job in jobs}:
        ledger.open_pools([people_of(task)])
    now_ms = ledger.now_ms()
    for job in jobs:
        redis.xadd(own.jobs, {"job": job.to_json()})
    entries = ledger.read([own.jobs], ROUTER_GROUP, count=len(jobs))
    moves = []
    for entry, job in zip(entries, jobs, strict=True):
        wait = (waits or {}).get(job.id, timedelta(hours=1))
        slip = slip_for(
            job.task,
            step=len(trail),
            model="person",
            pool=people_of(job.task),
            submitted_ms=now_ms,
            parked_ms=now_ms,
            expires_ms=now_ms + round(life.total_seconds() * 1000),
            trail=trail,
            num_chars=len(job.text),
        )
        until_ms = now_ms + round(wait.total_seconds() * 1000)
        request = slip.asked.model_copy(update={"until_ms": until_ms, "reviewers": reviewers})
        moves.append(
            Move(
                entry=entry.entry,
                job_id=job.id,
                job=entry.fields[b"job"],
                slip=slip.model_copy(update={"request": request}),
                to=keys.people(job.task)[job.priority],
                reply_to=job.reply_to,
                fingerprint=job.fingerprint,
                is_first_seen=True,
            )
        )
    for begin in range(0, len(moves), 128):
        ledger.settle(own.jobs, ROUTER_GROUP, moves[begin : begin + 128])


def topic(job_id: str, text: str = "hello", **more: Any) -> Job:
    """A job of the task that people answer."""
    return Job.model_validate({"id": job_id, "task": "topic", "text": text, **more})


def leased(review: Review, person: str, task: str = "topic") -> Leased:
    """The next job, which there must be."""
    found = review.lease(task, person)
    assert isinstance(found, Leased), found
    return found


#: How long a person looks at a job.
SECONDS = 4.0


def decision(by: str, of: Leased, answer: Answer | None = None) -> Decision:
    """What a person says of a job, after a look at it."""
    given = answer or LabelAnswer(label="a", confidence=1.0)
    return Decision(person=by, answer=given, decided_ms=of.now_ms, start=of.start, seconds=SECONDS)


def answered(redis: Any, review: Review, person: str, label: str, task: str = "topic") -> Leased:
    """Let a person answer the next job, and that answer be final and settled."""
    mine = leased(review, person, task)
    said = LabelAnswer(label=label, confidence=1.0)
    assert isinstance(review.decide(mine.held, mine.place, decision(person, mine, said)), int)
    make_final(redis)
    review.settle_decided()
    return mine


def run_out(redis: Any, *entries: str, stream: str = STREAM) -> None:
    """Let the leases of jobs be over, as if their persons had been silent for ten minutes."""
    for entry in entries:
        [pending] = redis.xpending_range(stream, POOL_GROUP, entry, entry, 1)
        who = pending["consumer"].decode()
        assert who != DECIDED_CONSUMER
        redis.xclaim(stream, POOL_GROUP, who, 0, [entry], idle=600_000, justid=True)


def make_final(redis: Any, keys: Keys = KEYS) -> None:
    """Let the time be over for which decisions may be taken back."""
    for member in redis.zrange(keys.decided, 0, -1):
        redis.zadd(keys.decided, {member: 1})
