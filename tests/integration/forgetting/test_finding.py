"""A person's jobs are found wherever they stand; nobody's word counts for another's jobs."""

import json
from collections import Counter
from typing import Any

from redis import Redis
from tests.support.ledgers import KEYS, OWN
from tests.support.shapes import result_for

from smallfirst.forgetting.finding import find
from smallfirst.forgetting.forgotten import Found, JobName
from smallfirst.forgetting.in_redis import remove
from smallfirst.jobs import Job, Priority
from smallfirst.ledger.routing_slips import DeadLetter
from smallfirst.ledger.slices import Slice, keys_of_slices, slice_of
from smallfirst.people import checks_of
from smallfirst.shadow.copies import SHADOW

ANN = {"person": "ann"}


def job(job_id: str, person: str = "ann") -> bytes:
    """A job of a person."""
    made = Job(id=job_id, task="topic", text="x", metadata={"person": person})
    return made.to_json().encode()


def found_in(redis: Redis) -> Found:
    """What is found of Ann."""
    return find([Slice(redis, KEYS)], "person", "ann")


def names(found: Found) -> set[str]:
    """The jobs that are found, as `producer/id`."""
    return {f"{each.producer}/{each.id}" for each in found.jobs}


def bury(redis: Any, entry: str, letter: bytes, raw: bytes) -> None:
    """Leave a dead letter, as it is told."""
    redis.xadd(KEYS.dead, {"letter": letter}, id=entry)
    redis.set(KEYS.dead_raw(entry), raw, ex=60)


def letter(producer: str = "default", job_id: str | None = None) -> bytes:
    """A dead letter."""
    known = {"producer": producer, "id": job_id, "reason": "invalid", "size": 1, "digest": "sha1:0"}
    return DeadLetter.model_validate(known).to_json().encode()


def test_a_submission_is_whose_stream_it_is_in(redis: Any) -> None:
    """What a producer writes beside its own job makes nobody else's."""
    other = KEYS.of_producer("other").jobs
    redis.xadd(other, {"job": job("a"), "producer": "default"})
    redis.xadd(KEYS.escalations, {"job": job("b"), "producer": "third"})
    redis.xadd(KEYS.backlog("cpu", Priority.BULK), {"job": job("c")})
    redis.xadd(OWN.jobs, {"job": job("d", person="bob"), "producer": "other"})
    assert names(found_in(redis)) == {"other/a", "third/b", "default/c"}


def test_results_and_refused_submissions_are_found(redis: Any) -> None:
    """A refused one also where it has no id: by what it says itself."""
    result = result_for("a").model_copy(update={"metadata": ANN})
    redis.set(KEYS.of_producer("p").result("a"), result.to_json(), ex=60)
    bury(redis, "1-1", letter("p", "b"), job("b"))
    bury(redis, "1-2", letter("p"), json.dumps({"metadata": {"person": "ann"}}).encode())
    bury(redis, "1-3", letter("p"), json.dumps({"metadata": {"person": "bob"}}).encode())
    found = found_in(redis)
    assert names(found) == {"p/a", "p/b"}
    assert found.entries == {(KEYS.dead, "1-1"), (KEYS.dead, "1-2")}
    assert found.num_unreadable == 0


def test_odd_entries_stop_nobody(redis: Any) -> None:
    """What may be theirs is counted and passed over; what is theirs beside it is found."""
    redis.xadd(KEYS.escalations, {"producer": b"\xff", "job": job("a")})
    redis.xadd(KEYS.escalations, {"producer": "No name", "job": job("a")})
    redis.xadd(OWN.jobs, {"job": b"\xff"})
    redis.xadd(OWN.jobs, {"job": "[" * 20_000})
    redis.xadd(OWN.jobs, {"job": json.dumps({"id": ["x"], "metadata": ANN})})
    redis.xadd(OWN.jobs, {"cancel": "a"})
    redis.set(OWN.result("broken"), "{", ex=60)
    redis.set(OWN.result("of another type").removesuffix("e"), "5", ex=60)
    redis.hset(OWN.result("hash"), "a", "b")
    redis.expire(OWN.result("hash"), 60)
    redis.rpush(KEYS.of_producer("list").jobs, job("a"))
    redis.expire(KEYS.of_producer("list").jobs, 60)
    bury(redis, "1-1", b"\xff", b"no JSON")
    redis.xadd(OWN.jobs, {"job": job("good")})
    found = found_in(redis)
    assert (names(found), found.num_unreadable) == ({"default/good"}, 8)


def test_a_dead_letter_that_cannot_be_read_is_as_its_submission_says(redis: Any) -> None:
    """By metadata as by id; another's stays, and a copy is nobody's job."""
    for number, name in enumerate(("a", "b", "c"), start=1):
        bury(redis, f"1-{number}", b"{", job(name, "ann" if name == "a" else "bob"))
    redis.xadd(KEYS.of_producer(SHADOW).jobs, {"job": job("copy")})
    redis.delete(KEYS.of_producer(SHADOW).jobs)
    found = found_in(redis)
    assert (names(found), found.ids) == (set(), {"a"})
    places: Any = {"results": 0, "copies in shadow": 0, "dead letters": 0, "blind checks": 0}
    remove([Slice(redis, KEYS)], found, places)
    remove([Slice(redis, KEYS)], Found({JobName("default", "b")}), places)
    assert places["dead letters"] == 2
    assert [entry for entry, _ in redis.xrange(KEYS.dead)] == [b"1-3"]
    assert redis.keys(KEYS.dead_raw("1-*")) == [KEYS.dead_raw("1-3").encode()]


def test_a_blind_check_makes_no_job_of_the_default_producer(redis: Any) -> None:
    """It does not say whose job it was: it is removed as itself, and rows with its id."""
    checks = KEYS.checks("topic")
    entry = redis.xadd(checks, {"job": job("a")}).decode()
    redis.zadd(KEYS.review(checks_of("topic")), {f"{Priority.BULK}:{entry}": 9e12})
    redis.expire(KEYS.review(checks_of("topic")), 60)
    found = found_in(redis)
    assert (found.jobs, found.ids, found.entries) == (set(), {"a"}, {(checks, entry)})


def test_every_slice_is_looked_through(redis: Any) -> None:
    """Each has its own results and letters; a letter with the same entry elsewhere stays."""
    slices = [Slice(redis, keys) for keys in keys_of_slices("sf", 2)]
    for number in range(8):
        keys = slices[slice_of(f"a{number}", 2)].keys
        result = result_for(f"a{number}").model_copy(update={"metadata": ANN})
        redis.set(keys.of_producer("p").result(f"a{number}"), result.to_json(), ex=60)
    for place, person in zip(slices, ("ann", "bob"), strict=True):
        redis.xadd(place.keys.dead, {"letter": letter("p")}, id="1-1")
        redis.set(place.keys.dead_raw("1-1"), json.dumps({"metadata": {"person": person}}), ex=60)
    places = Counter[str]()
    remove(slices, find(slices, "person", "ann"), places)
    assert (places["results"], places["dead letters"]) == (8, 1)
    assert redis.keys("*:result:*") == []
    assert redis.xlen(slices[1].keys.dead) == 1
