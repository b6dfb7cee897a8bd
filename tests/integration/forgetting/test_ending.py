"""Copies in shadow end with their jobs: all are cancelled, and then waited for together."""

import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import NoPermissionError
from tests.support.routers import BULK, KEYS, router_of, start_worker, submit, topic

from smallfirst import Client
from smallfirst.forgetting.ending import end_copies, end_jobs
from smallfirst.forgetting.forgotten import Found, JobName
from smallfirst.forgetting.in_redis import remove
from smallfirst.ledger.keys import POOL_GROUP
from smallfirst.ledger.shadow_cancelling import CANCELLING_SECONDS, cancel_copy
from smallfirst.ledger.shadows import Shadows
from smallfirst.ledger.slices import Slice
from smallfirst.shadow.copies import SHADOW
from smallfirst_router.router import Router

CATALOGUE = """
version: 1
pools: {cpu: {tier: slm, max_parameters: 50M, batch_jobs: 40}}
models: {minilm: {source: "bundled:minilm"}}
tasks:
  topic:
    kind: classify
    labels: {a: one, b: two}
    cascade: [{person: {wait: 1h}}]
  next:
    kind: classify
    labels: {a: one, b: two}
    examples: [{text: an invoice, label: a}, {text: a parcel, label: b}]
    cascade: [{model: minilm, accept: 0.8}]
    shadow: {of: topic, share: 0.5}
"""
JOBS = [JobName("default", f"ann{number}") for number in range(40)]


@pytest.fixture
def router(redis: Any, redis_url: str, tmp_path: Path) -> Router:
    """A router of a fleet in which people are asked, and a candidate in shadow, half as often."""
    (tmp_path / "catalogue.yaml").write_text(CATALOGUE)
    router = router_of(redis, redis_url, tmp_path / "catalogue.yaml")
    start_worker(redis)
    router.step()
    submit(redis, *(topic(job.id) for job in JOBS))
    return router


def has_copies(redis: Redis) -> list[JobName]:
    """The jobs that have copies under way."""
    shadows = Shadows(redis, KEYS)
    return [job for job in JOBS if shadows.is_under_way(*job)]


def test_jobs_of_all_producers_are_waited_for_together(redis: Any, redis_url: str) -> None:
    """Each is cancelled before any is waited for; no router takes a cancellation up here."""
    jobs = [JobName(f"p{number}", "a") for number in range(4)]
    for job in jobs:
        own = KEYS.of_producer(job.producer)
        entry = redis.xadd(own.jobs, {"job": topic("a").to_json()})
        redis.hset(own.job("a"), mapping={"origin": entry, "at": own.jobs, "entry": entry})
        redis.expire(own.job("a"), 60)
    began = time.monotonic()
    assert end_jobs(jobs, lambda name: Client(redis_url, producer=name), seconds=1) == jobs
    assert time.monotonic() - began < 4
    for job in jobs:
        assert redis.xrange(KEYS.of_producer(job.producer).jobs)[1][1] == {b"cancel": b"a"}


def test_copies_that_a_worker_has_are_waited_for_together(redis: Any, router: Router) -> None:
    """Each is cancelled at once, and one that takes long takes no other's time."""
    for _ in range(6):
        router.step()
    copied = has_copies(redis)
    in_hand = [each["message_id"] for each in redis.xpending_range(BULK, POOL_GROUP, "-", "+", 99)]
    assert len(in_hand) == len(copied) > 3
    redis.xclaim(BULK, POOL_GROUP, "w1", 0, in_hand)
    began = time.monotonic()
    assert end_copies([Slice(redis, KEYS)], JOBS, seconds=1) == sorted(copied)
    assert time.monotonic() - began < 4
    assert has_copies(redis) == []
    # The worker is done with them.
    redis.xack(BULK, POOL_GROUP, *in_hand)
    redis.xdel(BULK, *in_hand)
    assert end_copies([Slice(redis, KEYS)], JOBS) == []


def test_a_copy_that_no_router_has_taken_up_is_waited_for(redis: Any, router: Router) -> None:
    """Its text stands among what workers hand back; nobody can cancel it there."""
    while not redis.keys(KEYS.shadowing("*", "*")):
        router.step()
    coming = [job for job in JOBS if Shadows(redis, KEYS).is_coming(*job)]
    assert end_copies([Slice(redis, KEYS)], JOBS, seconds=0) == sorted(coming) != []
    for _ in range(3):
        router.step()
    assert end_copies([Slice(redis, KEYS)], JOBS) == []
    places = Counter[str]()
    remove([Slice(redis, KEYS)], Found({*JOBS}), places)
    assert redis.keys("*@shadow*") == []
    assert redis.xlen(BULK) == 0


def test_who_is_killed_while_cancelling_leaves_nothing_that_stays(
    redis: Any, redis_url: str, router: Router
) -> None:
    """A stream for the cancellation is there for a moment; where nobody deletes it, Redis does."""
    for _ in range(6):
        router.step()
    [job, *_] = has_copies(redis)
    redis.acl_setuser("stopped", True, True, keys=["*"], commands=["+@all", "-del"])  # noqa: FBT003
    try:
        with (
            Redis.from_url(redis_url, username="stopped", password="") as stopped,
            pytest.raises(NoPermissionError),
        ):
            cancel_copy(Slice(stopped, KEYS), *job)
    finally:
        redis.acl_deluser("stopped")
    own = KEYS.of_producer(SHADOW)
    assert 0 < redis.ttl(own.jobs) <= CANCELLING_SECONDS
    assert 0 < redis.ttl(own.submissions) <= CANCELLING_SECONDS
    cancel_copy(Slice(redis, KEYS), *job)
    assert not redis.exists(own.jobs, own.submissions)
