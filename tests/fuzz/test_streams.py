"""Nonsense in the streams, on a real Redis: the router lives, and whatever is accepted ends."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis
from tests.support import routers
from tests.support.nonsense import entries, entry_ids, submissions

from smallfirst.jobs import Job, Priority, Result, Status
from smallfirst.ledger.keys import ROUTER_GROUP, Keys
from smallfirst.ledger.ledger import Ledger
from smallfirst.ledger.routing_slips import DeadLetter, RoutingSlip
from smallfirst_router.router import Router
from smallfirst_router.submissions import Refusal, read_submission

KEYS = Keys()
OWN = KEYS.of_producer("default")
BULK = KEYS.backlog("cpu", Priority.BULK)
MAX_BYTES = 100_000
#: Any text may go to the model.
CATALOGUE = routers.CATALOGUE.replace("    max_chars: 100\n", "")


@pytest.fixture
def router(redis: Redis, redis_url: str, tmp_path: Any) -> Router:
    """A router that is stepped by the test."""
    path = tmp_path / "catalogue.yaml"
    path.write_text(CATALOGUE)
    return routers.router_of(redis, redis_url, path, max_job_bytes=MAX_BYTES)


@given(nonsense=st.lists(submissions, min_size=1, max_size=10), entry_id=entry_ids)
def test_every_submission_is_answered_parked_or_refused(
    redis: Any, router: Router, nonsense: list[dict[bytes, bytes]], entry_id: str
) -> None:
    """Nothing stays in the stream, nothing is unaccounted for, and the next job is served."""
    redis.flushall()
    router.open()
    redis.xadd(OWN.jobs, nonsense[0], id=entry_id)
    for fields in nonsense[1:]:
        redis.xadd(OWN.jobs, fields)
    redis.xadd(OWN.jobs, {"job": Job(id="after", task="ids", text="nothing").model_dump_json()})
    router.step()

    assert redis.xlen(OWN.jobs) == 0
    assert result_of(redis, "after").status is not Status.REFUSED
    streams = KEYS.backlogs("cpu").values()
    parked = {fields[b"id"].decode() for each in streams for _, fields in redis.xrange(each)}
    read = [read_submission(fields, MAX_BYTES) for fields in nonsense]
    for one, fields in zip(read, nonsense, strict=True):
        # One that brings no id is given another one at each reading.
        if isinstance(one, Job) and b'"id"' in fields[b"job"]:
            assert one.id in parked or redis.exists(OWN.result(one.id))
    refused = [one.problem for one in read if isinstance(one, Refusal)]
    told = {letter.reason for letter in read_dead(redis)}
    assert {problem.code for problem in refused} <= told
    assert all(problem.message for problem in refused)


@given(
    nonsense=st.lists(
        st.tuples(st.sampled_from([KEYS.escalations, BULK]), entries), min_size=1, max_size=10
    ),
    entry_id=entry_ids,
)
def test_nonsense_in_the_fleets_own_streams_stops_nobody(
    redis: Any, router: Router, nonsense: list[tuple[str, dict[bytes, bytes]]], entry_id: str
) -> None:
    """Each entry ends or goes on, and the job behind it reaches a worker's queue."""
    redis.flushall()
    router.open()
    Ledger(redis, KEYS, "w1").lives.beat("cpu")
    for number, (stream, fields) in enumerate(nonsense):
        redis.xadd(stream, fields, id="*" if number else entry_id)
    redis.xadd(OWN.jobs, {"job": Job(id="after", task="topic", text="hello").model_dump_json()})
    for _ in range(4):
        router.step()

    assert redis.xlen(KEYS.escalations) == 0
    assert redis.xpending(KEYS.escalations, ROUTER_GROUP)["pending"] == 0
    waiting = [fields for _, fields in redis.xrange(BULK)]
    assert b"after" in [fields[b"id"] for fields in waiting]
    for fields in waiting:
        RoutingSlip.model_validate_json(fields[b"slip"])
    assert redis.llen(KEYS.queue("cpu", Priority.BULK)) > 0


def result_of(redis: Any, job_id: str) -> Result:
    """The result of a job that has one."""
    return Result.model_validate_json(redis.get(OWN.result(job_id)))


def read_dead(redis: Any) -> list[DeadLetter]:
    """Every dead letter, each of which must read back."""
    letters = redis.xrange(KEYS.dead)
    for _, fields in letters:
        json.loads(fields[b"letter"])
    return [DeadLetter.model_validate_json(fields[b"letter"]) for _, fields in letters]
