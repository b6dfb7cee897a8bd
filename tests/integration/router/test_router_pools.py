"""The router where pools come and go, are full or have no worker. No worker runs here."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.routers import (
    BULK,
    CATALOGUE,
    KEYS,
    LOST_MS,
    OWN,
    published,
    result_of,
    router_of,
    running,
    start_worker,
    submit,
    topic,
)
from tests.support.waiting import WaitUntil

from smallfirst.catalogue.model_files import model_folder
from smallfirst.catalogue.watching import CatalogueWatch
from smallfirst.jobs import Job, Priority, Status
from smallfirst.ledger.celery_lists import CeleryLists
from smallfirst.ledger.keys import POOL_GROUP, QUEUE_CONSUMER, ROUTER_GROUP
from smallfirst.ledger.routing_slips import DeadLetter
from smallfirst.ledger.survey import Survey
from smallfirst_router import dispatch
from smallfirst_router.router import Router


def test_a_model_s_folder_may_come_after_the_catalogue(
    redis: Any, redis_url: str, catalogue: Path, wait_until: WaitUntil
) -> None:
    """A catalogue that cannot be taken up yet is tried again, with no further change of it."""
    router = router_of(redis, redis_url, catalogue)
    bundled = model_folder(CatalogueWatch(catalogue).current.models["minilm"])
    later = CATALOGUE.replace("bundled:minilm", "./mini").replace("  topic:", "  more:")
    catalogue.write_text(later)
    router.reload()
    (catalogue.parent / "mini").symlink_to(bundled)

    def is_taken_up() -> bool:
        router.reload()
        submit(redis, Job(id="a1", task="more", text="hello"))
        router.step()
        return bool(redis.xlen(BULK))

    wait_until(is_taken_up, description="the catalogue is in force")


def test_what_a_router_holds_follows_a_model_to_another_pool(
    redis: Any, redis_url: str, catalogue: Path
) -> None:
    """It keeps no lease of what it held for a pool that is gone; nothing waits for its restart."""
    start_worker(redis)
    router = router_of(redis, redis_url, catalogue)
    submit(redis, *(topic(f"a{n}") for n in range(20)))
    router.step()
    assert redis.xpending(BULK, POOL_GROUP)["pending"] == 20
    catalogue.write_text(CATALOGUE.replace("  cpu: {tier", "  other: {tier"))
    router.reload()
    redis.delete(KEYS.queue("cpu", Priority.BULK))
    for entry, _ in redis.xrange(BULK):
        [about] = redis.xpending_range(BULK, POOL_GROUP, entry, entry, 1)
        if about["consumer"] == QUEUE_CONSUMER.encode():
            redis.xclaim(BULK, POOL_GROUP, QUEUE_CONSUMER, 0, [entry], idle=LOST_MS, justid=True)
    for _ in range(2):
        router.recover()
        router.step()
    assert redis.xlen(BULK) == 0
    assert redis.xlen(KEYS.backlog("other", Priority.BULK)) == 20


def test_a_model_that_moves_takes_along_what_was_held(
    redis: Any, redis_url: str, catalogue: Path
) -> None:
    """Although its old pool is there still: it is not sent to workers that have it no more."""
    start_worker(redis)
    router = router_of(redis, redis_url, catalogue)
    submit(redis, *(topic(f"a{n}", f"mail {n}") for n in range(20)))
    router.step()
    num_published = len(published(redis))
    smaller = "  small: {tier: slm, max_parameters: 40M}\n  cpu: {tier"
    catalogue.write_text(CATALOGUE.replace("  cpu: {tier", smaller))
    router.reload()
    for _ in range(2):
        redis.delete(KEYS.queue("cpu", Priority.BULK))
        router.recover()
        router.step()
    assert published(redis) == []
    assert redis.xlen(KEYS.backlog("small", Priority.BULK)) == 20 - 4 * num_published


def test_backlogs_of_pools_long_gone_are_deleted(
    redis: Any, redis_url: str, catalogue: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are polled for ever otherwise; one that still holds a job stays."""
    router = router_of(redis, redis_url, catalogue)
    catalogue.write_text(CATALOGUE.replace("  cpu: {tier", "  other: {tier"))
    router.reload()
    monkeypatch.setattr(dispatch, "FORGET_AFTER", timedelta(hours=1))
    router.tidy()
    assert redis.exists(BULK)
    monkeypatch.setattr(dispatch, "FORGET_AFTER", timedelta(0))
    redis.xadd(BULK, {"id": "a1"})
    router.tidy()
    assert redis.exists(*KEYS.backlogs("cpu").values()) == 1
    redis.xtrim(BULK, maxlen=0)
    router.tidy()
    assert not redis.exists(*KEYS.backlogs("cpu").values())


def test_an_emptied_redis_gets_every_group_back(
    redis: Any, redis_url: str, catalogue: Path, wait_until: WaitUntil
) -> None:
    """A router at rest makes streams and groups anew, so that what scales the pools finds them."""
    router = router_of(redis, redis_url, catalogue)
    with running(router):
        redis.flushall()
        streams = (OWN.jobs, KEYS.escalations, *KEYS.backlogs("cpu").values())
        wait_until(lambda: redis.exists(*streams) == 4, description="the streams are there")
        assert all(redis.xinfo_groups(stream) for stream in streams)
        submit(redis, topic("a1"))
        wait_until(lambda: redis.xlen(BULK) == 1, description="the next job is parked")


TWO_POOLS = CATALOGUE.replace(
    "  cpu: {tier", "  large: {tier: slm, max_parameters: 90M}\n  cpu: {tier"
).replace("  minilm:", '  big: {source: "bundled:minilm", parameters: 80M}\n  minilm:')
#: A task of the large pool, and one that may come to it after the small one.
TWO_POOLS += """
  other:
    kind: classify
    labels: {a: one, b: two}
    cascade: [{model: big, accept: 0.8}]
  both:
    kind: classify
    labels: {a: one, b: two}
    cascade: [{model: minilm, accept: 0.8}, {model: big, accept: 0.8}]
"""
LARGE = KEYS.backlog("large", Priority.BULK)


def other(job_id: str, **more: Any) -> Job:
    """A job for the large pool."""
    return topic(job_id, task="other", **more)


def ids_in(redis: Any, stream: str) -> list[str]:
    """The jobs of a backlog, in order."""
    return [fields[b"id"].decode() for _, fields in redis.xrange(stream)]


def full_of(redis: Any, redis_url: str, catalogue: Path, num_waiting: int, **more: Any) -> Router:
    """Fill the large pool, of two jobs at most, and have some more wait for it."""
    catalogue.write_text(TWO_POOLS)
    router = router_of(redis, redis_url, catalogue, max_backlog_jobs=2, **more)
    submit(redis, other("p0"), other("p1"))
    router.step()
    submit(redis, *(other(f"w{n}") for n in range(num_waiting)))
    router.step()
    assert (redis.xlen(LARGE), redis.xlen(OWN.jobs)) == (2, num_waiting)
    return router


def test_a_full_pool_stops_nobody_else(redis: Any, redis_url: str, catalogue: Path) -> None:
    """Its jobs wait in the stream whose length producers look at; those behind them go on."""
    router = full_of(redis, redis_url, catalogue, 3)
    submit(redis, topic("a1"), Job(id="a2", task="ids", text="4111 1111 1111 1111"))
    router.step()
    assert ids_in(redis, BULK) == ["a1"]
    assert result_of(redis, "a2").status is Status.ANSWERED
    assert (redis.xlen(LARGE), redis.xlen(OWN.jobs)) == (2, 3)


def test_what_is_urgent_waits_behind_no_flood(redis: Any, redis_url: str, catalogue: Path) -> None:
    """Each priority has a bound of its own; urgent jobs that fill theirs wait for it alone."""
    router = full_of(redis, redis_url, catalogue, 3)
    submit(redis, *(other(f"u{n}", priority="interactive") for n in range(3)))
    router.step()
    urgent = KEYS.backlog("large", Priority.INTERACTIVE)
    assert ids_in(redis, urgent) == ["u0", "u1"]
    redis.xtrim(urgent, maxlen=0)
    for _ in range(2):
        router.step()
    assert ids_in(redis, urgent) == ["u2"]
    assert redis.xlen(OWN.jobs) == 3


def test_who_waits_in_another_version_s_words_is_decided_on_anew(
    redis: Any, redis_url: str, catalogue: Path
) -> None:
    """A router of before had it wait for the pool, of whatever priority; it is not forgotten."""
    router = full_of(redis, redis_url, catalogue, 1)
    [(entry, _)] = redis.xrange(OWN.jobs)
    redis.xclaim(OWN.jobs, ROUTER_GROUP, "waiting:large", 0, [entry], justid=True)
    redis.xtrim(LARGE, maxlen=0)
    for _ in range(3):
        router.step()
    assert ids_in(redis, LARGE) == ["w0"]


def test_those_who_wait_come_in_order(redis: Any, redis_url: str, catalogue: Path) -> None:
    """As the pool has room, the oldest first, and nobody who comes later before them."""
    router = full_of(redis, redis_url, catalogue, 3)
    redis.xadd(OWN.jobs, {"cancel": "p0"})
    router.step()
    submit(redis, other("w3"))
    router.step()
    assert ids_in(redis, LARGE) == ["p1", "w0"]
    redis.xtrim(LARGE, maxlen=0)
    for _ in range(2):
        router.step()
    assert ids_in(redis, LARGE) == ["w1", "w2"]
    assert redis.xlen(OWN.jobs) == 1


def test_a_new_job_waits_for_any_pool_that_it_may_come_to(
    redis: Any, redis_url: str, catalogue: Path
) -> None:
    """Else what the small pool is not sure of would pile up; whoever stays below goes on."""
    router = full_of(redis, redis_url, catalogue, 0)
    submit(redis, topic("a1", task="both"), topic("a2"))
    router.step()
    assert (ids_in(redis, BULK), redis.xlen(OWN.jobs)) == (["a2"], 1)


def test_a_job_in_flight_goes_on_to_a_full_pool(
    redis: Any, redis_url: str, catalogue: Path
) -> None:
    """What a step was not sure of is among the jobs that the bounds let in."""
    catalogue.write_text(TWO_POOLS)
    router = router_of(redis, redis_url, catalogue, max_backlog_jobs=2)
    submit(redis, topic("a1", task="both"))
    router.step()
    submit(redis, other("p0"), other("p1"))
    router.step()
    [(_, fields)] = redis.xrange(BULK)
    redis.xadd(KEYS.escalations, fields)
    router.step()
    assert ids_in(redis, LARGE) == ["p0", "p1", "a1"]


def test_what_waits_is_nobody_s_to_recover(redis: Any, redis_url: str, catalogue: Path) -> None:
    """It has no lease, however long it waits; what a dead router had read is found behind it."""
    router = full_of(redis, redis_url, catalogue, 3, lease_seconds=1)
    submit(redis, topic("a1"))
    redis.xreadgroup(ROUTER_GROUP, "@router/host/1/dead", {OWN.jobs: ">"})
    for entry, _ in redis.xrange(OWN.jobs):
        [about] = redis.xpending_range(OWN.jobs, ROUTER_GROUP, entry, entry, 1)
        name = about["consumer"]
        redis.xclaim(OWN.jobs, ROUTER_GROUP, name, 0, [entry], idle=LOST_MS, justid=True)
    router.recover()
    router.step()
    assert ids_in(redis, BULK) == ["a1"]
    pending = redis.xpending(OWN.jobs, ROUTER_GROUP)
    assert [(each["name"], each["pending"]) for each in pending["consumers"]] == [
        (b"waiting:large:bulk", 3)
    ]


def test_what_waits_counts_as_unread(redis: Any, redis_url: str, catalogue: Path) -> None:
    """Nobody has it in hand, and it is as old as it is."""
    full_of(redis, redis_url, catalogue, 3)
    load = Survey(redis, KEYS, CeleryLists(redis, KEYS), may_read_jobs=True).look(["cpu", "large"])
    assert (load.jobs.unread, load.jobs.pending) == (3, 0)
    assert load.jobs.oldest_seconds is not None


def test_a_deadline_comes_while_a_job_waits_for_room(
    redis: Any, redis_url: str, catalogue: Path, wait_until: WaitUntil
) -> None:
    """It expires, and the others wait on."""
    router = full_of(redis, redis_url, catalogue, 1)
    submit(redis, other("late", deadline=0.5))
    router.step()

    def has_ended() -> bool:
        router.end_due()
        return bool(redis.exists(OWN.result("late")))

    wait_until(has_ended, description="the job has its result")
    assert result_of(redis, "late").status is Status.EXPIRED
    assert redis.xlen(OWN.jobs) == 1


def test_cancelling_ends_a_job_that_waits_for_room(
    redis: Any, redis_url: str, catalogue: Path
) -> None:
    """At once, and its entry goes."""
    router = full_of(redis, redis_url, catalogue, 2)
    redis.xadd(OWN.jobs, {"cancel": "w0"})
    router.step()
    assert result_of(redis, "w0").status is Status.CANCELLED
    assert redis.xlen(OWN.jobs) == 1


def test_a_repeat_joins_a_job_that_waits_for_room(
    redis: Any, redis_url: str, catalogue: Path
) -> None:
    """The same id submitted again waits no second time."""
    router = full_of(redis, redis_url, catalogue, 1)
    submit(redis, other("w0"))
    router.step()
    assert redis.xlen(OWN.jobs) == 1


def test_who_waits_for_a_pool_that_goes_is_planned_anew(
    redis: Any, redis_url: str, catalogue: Path
) -> None:
    """By the catalogue in force: another pool has room, and a task that went with it is unknown."""
    router = full_of(redis, redis_url, catalogue, 1)
    submit(redis, topic("both", task="both"))
    router.step()
    assert redis.xlen(OWN.jobs) == 2
    moved = TWO_POOLS.replace("  large:", "  huge:").replace("  other:", "  another:")
    catalogue.write_text(moved)
    router.reload()
    for _ in range(3):
        router.step()
    assert result_of(redis, "w0").status is Status.REFUSED
    assert ids_in(redis, BULK) == ["both"]
    assert redis.xlen(OWN.jobs) == 0
    assert set(redis.zrange(KEYS.due, 0, -1)) == {b"default:both", b"default:p0", b"default:p1"}


def test_another_text_under_an_id_is_kept_where_its_pool_is_full(
    redis: Any, redis_url: str, catalogue: Path
) -> None:
    """What would have waited, and is in conflict, is a dead letter with its text like any other."""
    router = router_of(redis, redis_url, catalogue, max_backlog_jobs=1)
    submit(redis, topic("a1"))
    router.step()
    other = topic("a1", "another text").model_dump_json()
    submit(redis, other)
    for _ in range(2):
        router.step()
    [(entry, fields)] = redis.xrange(KEYS.dead)
    letter = DeadLetter.model_validate_json(fields[b"letter"])
    assert (letter.reason, letter.size) == ("id_conflict", len(other))
    assert redis.get(KEYS.dead_raw(entry.decode())) == other.encode()
