"""What a router, or nobody, can read: it ends, and stops nobody. No worker runs here."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.support.routers import (
    BULK,
    KEYS,
    published,
    result_of,
    router_of,
    start_worker,
    submit,
    topic,
)

from smallfirst.jobs import Priority, Status
from smallfirst.ledger.holders import Holder
from smallfirst.ledger.keys import POOL_GROUP
from smallfirst.ledger.ledger import Ledger
from smallfirst.ledger.routing_slips import DeadLetter
from smallfirst_router.router import Router


def test_what_the_fleet_cannot_read_stops_nobody(
    redis: Any, redis_url: str, catalogue: Path
) -> None:
    """Entries of its own streams that are none end as dead letters; the job beside them goes on."""
    router = router_of(redis, redis_url, catalogue)
    start_worker(redis)
    redis.xadd(KEYS.escalations, {"producer": "default", "id": "a1", "job": "{", "slip": "{}"})
    redis.xadd(BULK, {"producer": "default", "id": "a2", "slip": "no"})
    redis.xadd(BULK, {"id": "no id at all", "job": "{}"})
    redis.xadd(BULK, {"rubbish": "x"})
    submit(redis, topic("a3"))
    for _ in range(3):
        router.step()

    for job_id in ("a1", "a2"):
        result = result_of(redis, job_id)
        assert result.problem is not None
        assert (result.status, result.problem.code) == (Status.FAILED, "unreadable")
    letters = [DeadLetter.model_validate_json(f[b"letter"]) for _, f in redis.xrange(KEYS.dead)]
    assert [letter.reason for letter in letters] == ["unreadable"] * 4
    assert len(published(redis)) == 1
    assert redis.xlen(KEYS.escalations) == 0
    assert redis.xlen(BULK) == 1


def test_a_note_of_a_newer_version_is_read(redis: Any, redis_url: str, catalogue: Path) -> None:
    """While a new version is rolled out, what it adds is no reason to fail a job."""
    router = router_of(redis, redis_url, catalogue)
    start_worker(redis)
    submit(redis, topic("a1"))
    router.step()
    [(entry, fields)] = redis.xrange(BULK)
    redis.xack(BULK, POOL_GROUP, entry)
    redis.xdel(BULK, entry)
    redis.delete(KEYS.queue("cpu", Priority.BULK))
    newer = {**json.loads(fields[b"slip"]), "mood": "merry"}
    redis.xadd(BULK, {**fields, b"slip": json.dumps(newer)})
    router.step()
    assert len(published(redis)) == 1
    assert redis.xlen(KEYS.dead) == 0


def in_vain(redis: Any, router: Router, worker: Ledger, lease: timedelta) -> bool:
    """Have one round, in which a worker starts what it gets and gives it back; whether it did."""
    router.step()
    [(entry, _)] = redis.xrange(BULK) or [(b"", {})]
    claimed = worker.claim(BULK, [entry.decode()])[1] if entry else []
    starts = {each.entry: each.starts for each in claimed}
    worker.give_back(BULK, starts, lease, is_undone=False)
    redis.delete(KEYS.queue("cpu", Priority.BULK))
    router.recover()
    return bool(claimed)


def test_what_no_worker_can_read_ends_after_so_many_starts(
    redis: Any, redis_url: str, catalogue: Path
) -> None:
    """While the router can, a newer worker may come; the letter says what was the matter."""
    router = router_of(redis, redis_url, catalogue)
    worker = start_worker(redis, str(Holder("cpu", "host", 7, "f00")))
    worker.lives.note_end("host/7", "could not read it")
    submit(redis, topic("a1"))
    router.step()
    num_starts = sum(in_vain(redis, router, worker, timedelta(seconds=6)) for _ in range(8))
    assert num_starts == 5
    [(_, fields)] = redis.xrange(KEYS.dead)
    assert DeadLetter.model_validate_json(fields[b"letter"]).detail.endswith("could not read it")
    assert result_of(redis, "a1").status is Status.FAILED


def test_what_nobody_can_read_ends_when_it_comes_back(
    redis: Any, redis_url: str, catalogue: Path
) -> None:
    """A router reads the slip alone, until a worker has given the job back."""
    router = router_of(redis, redis_url, catalogue)
    worker = start_worker(redis)
    submit(redis, topic("a1"))
    router.step()
    [(entry, fields)] = redis.xrange(BULK)
    redis.xdel(BULK, entry)
    redis.xack(BULK, POOL_GROUP, entry)
    # A worker takes the message, and finds nothing.
    redis.delete(KEYS.queue("cpu", Priority.BULK))
    redis.xadd(BULK, {**fields, b"job": b'{"id": "a1", "unheard_of": 1}'})
    assert [in_vain(redis, router, worker, timedelta(seconds=6)) for _ in range(3)] == [
        True,
        False,
        False,
    ]
    problem = result_of(redis, "a1").problem
    assert problem is not None
    assert problem.code == "unreadable"
    assert (redis.xlen(KEYS.dead), redis.xlen(BULK)) == (1, 0)
