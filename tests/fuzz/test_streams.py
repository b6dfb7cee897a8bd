"""Nonsense in the streams, on a real Redis: the router lives, and whatever is accepted ends."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis
from tests.fuzz.nonsense import entries, submissions

from smallfirst.broker import make_app
from smallfirst.catalogue_watch import CatalogueWatch
from smallfirst.jobs import Job, Priority, Result, Status
from smallfirst.keys import POOL_GROUP, ROUTER_GROUP, Keys
from smallfirst.ledger import Bounds, Ledger
from smallfirst.legs import DeadLetter
from smallfirst.settings import RouterSettings
from smallfirst_router.dispatch import Dispatch
from smallfirst_router.publishing import Publisher
from smallfirst_router.router import Router
from smallfirst_router.submissions import Refusal, read_submission
from smallfirst_router.triage import Triage

KEYS = Keys()
BULK = KEYS.backlog("cpu", Priority.BULK)
MAX_BYTES = 100_000
CATALOGUE = """
version: 1
pools:
  cpu: {tier: slm, max_parameters: 50M, batch_jobs: 4}
models:
  minilm: {source: "bundled:minilm"}
tasks:
  ids:
    kind: tag
    labels: {card: a card}
    cascade: [{rule: {find: [card]}, accept: always}]
  topic:
    kind: classify
    labels: {a: one, b: two}
    cascade: [{model: minilm, accept: 0.8}]
"""


@pytest.fixture
def router(redis: Redis, redis_url: str, tmp_path: Any) -> Router:
    """A router that is stepped by the test."""
    (tmp_path / "catalogue.yaml").write_text(CATALOGUE)
    settings = RouterSettings.model_validate(
        {
            "redis_url": redis_url,
            "catalogue": tmp_path / "catalogue.yaml",
            "max_job_bytes": MAX_BYTES,
        }
    )
    ledger = Ledger(redis, KEYS, "router-a", Bounds())
    watch = CatalogueWatch(settings.catalogue)
    publisher = Publisher(make_app(settings, role="router"))
    triage = Triage(ledger, KEYS, settings)
    router = Router(
        ledger, KEYS, triage, Dispatch(ledger, KEYS, publisher, settings), watch, settings
    )
    router.serve(watch.current)
    return router


@given(nonsense=st.lists(submissions, min_size=1, max_size=10))
def test_every_submission_is_answered_parked_or_refused(
    redis: Any, router: Router, nonsense: list[dict[bytes, bytes]]
) -> None:
    """Nothing stays in the stream, nothing is unaccounted for, and the next job is served."""
    redis.flushall()
    router.open()
    for fields in nonsense:
        redis.xadd(KEYS.jobs, fields)
    redis.xadd(KEYS.jobs, {"job": Job(id="after", task="ids", text="nothing").model_dump_json()})
    router.step()

    assert redis.xlen(KEYS.jobs) == 0
    assert result_of(redis, "after").status is not Status.REFUSED
    parked = {fields[b"id"].decode() for _, fields in redis.xrange(BULK)}
    refused = read_dead(redis)
    for fields in nonsense:
        read = read_submission(fields, MAX_BYTES)
        # One that brings no id is given another one at each reading.
        if isinstance(read, Job) and b'"id"' in fields[b"job"]:
            assert read.id in parked or redis.exists(KEYS.result(read.id))
        if isinstance(read, Refusal):
            assert refused
            assert read.problem.message


@given(
    nonsense=st.lists(
        st.tuples(st.sampled_from([KEYS.escalations, BULK]), entries), min_size=1, max_size=10
    )
)
def test_nonsense_in_the_fleets_own_streams_stops_nobody(
    redis: Any, router: Router, nonsense: list[tuple[str, dict[bytes, bytes]]]
) -> None:
    """Each entry ends as a dead letter, and the job behind it reaches a worker's queue."""
    redis.flushall()
    router.open()
    Ledger(redis, KEYS, "w1").beat("cpu")
    for stream, fields in nonsense:
        redis.xadd(stream, fields)
    redis.xadd(KEYS.jobs, {"job": Job(id="after", task="topic", text="hello").model_dump_json()})
    for _ in range(3):
        router.step()

    assert len(read_dead(redis)) == len(nonsense)
    assert redis.xlen(KEYS.escalations) == 0
    assert [fields[b"id"] for _, fields in redis.xrange(BULK)] == [b"after"]
    assert redis.xpending(BULK, POOL_GROUP)["pending"] == 1
    assert redis.xpending(KEYS.escalations, ROUTER_GROUP)["pending"] == 0
    assert redis.llen(KEYS.queue("cpu")) == 1


def result_of(redis: Any, job_id: str) -> Result:
    """The result of a job that has one."""
    return Result.model_validate_json(redis.get(KEYS.result(job_id)))


def read_dead(redis: Any) -> list[DeadLetter]:
    """Every dead letter, each of which must read back."""
    letters = redis.xrange(KEYS.dead)
    for _, fields in letters:
        json.loads(fields[b"letter"])
    return [DeadLetter.model_validate_json(fields[b"letter"]) for _, fields in letters]
