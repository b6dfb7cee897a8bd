"""Jobs that end before a model saw them: by their deadline, or cancelled; wherever they wait."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.keda import count
from tests.support.notices import listening
from tests.support.routers import (
    BULK,
    CATALOGUE,
    KEYS,
    OWN,
    published,
    result_of,
    router_of,
    start_worker,
    submit,
    topic,
)
from tests.support.shapes import result_for
from tests.support.waiting import WaitUntil

from smallfirst.jobs import Priority, Status
from smallfirst.ledger.keys import POOL_GROUP, ROUTER_GROUP
from smallfirst.ledger.settlements import Finish, Settled
from smallfirst.local.redis_server import find_binary, version_of
from smallfirst_router.router import Router

#: A deadline that passes soon, and one that does not.
SHORT, LONG = 0.5, 600
LAG = {"stream": BULK, "consumerGroup": POOL_GROUP, "lagCount": "1"}
has_lag = pytest.mark.skipif(version_of(find_binary()) < (7, 0), reason="no lag before Redis 7")

#: Leaves the job of a router that has parked it somewhere: unread, held, or queued.
Place = Callable[[Any, Router], None]


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    """A catalogue with a task for rules and a task for a model."""
    path = tmp_path / "catalogue.yaml"
    path.write_text(CATALOGUE)
    return path


def unread(_: Any, router: Router) -> None:
    """Its pool has no worker."""
    router.step()


def queued(redis: Any, router: Router) -> None:
    """It is in a batch that no worker has started."""
    start_worker(redis)
    router.step()
    assert len(published(redis)) == 1


def held(redis: Any, router: Router) -> None:
    """A router holds it, since as many batches as may are waiting already."""
    start_worker(redis)
    redis.lpush(KEYS.queue("cpu", Priority.BULK), "one", "two")
    router.step()
    redis.xreadgroup(POOL_GROUP, "@router/host/1/r1", {BULK: ">"})


PLACES = [unread, queued, held]


def end_due(router: Router, redis: Any, wait_until: WaitUntil, job_id: str = "a1") -> None:
    """Let the router look for what is due until the job has its result."""

    def has_ended() -> bool:
        router.end_due()
        return bool(redis.exists(OWN.result(job_id)))

    wait_until(has_ended, description="the job has its result")


@pytest.mark.parametrize("place", PLACES)
def test_a_deadline_comes_without_a_worker(
    redis: Any, redis_url: str, catalogue: Path, wait_until: WaitUntil, place: Place
) -> None:
    """The job expires wherever it waits, and its entry goes; its neighbour stays."""
    router = router_of(redis, redis_url, catalogue)
    submit(redis, topic("a1", deadline=SHORT), topic("a2", deadline=LONG))
    place(redis, router)
    end_due(router, redis, wait_until)
    assert result_of(redis, "a1").status is Status.EXPIRED
    assert [fields[b"id"] for _, fields in redis.xrange(BULK)] == [b"a2"]
    assert redis.zrange(KEYS.due, 0, -1) == [b"default:a2"]
    assert set(redis.hkeys(OWN.job("a1"))) == {b"status", b"fingerprint"}


def test_a_deadline_comes_while_memory_is_full(
    redis: Any, redis_url: str, catalogue: Path, wait_until: WaitUntil
) -> None:
    """What ends makes room."""
    router = router_of(redis, redis_url, catalogue)
    submit(redis, topic("a1", deadline=SHORT))
    router.step()
    redis.config_set("maxmemory", 1)
    try:
        end_due(router, redis, wait_until)
    finally:
        redis.config_set("maxmemory", 0)
    assert result_of(redis, "a1").status is Status.EXPIRED
    assert redis.xlen(BULK) == 0


def test_a_job_without_a_deadline_expires_too(redis: Any, redis_url: str, catalogue: Path) -> None:
    """After as long as a job is kept."""
    router = router_of(redis, redis_url, catalogue, job_ttl_seconds=60)
    submit(redis, topic("a1"))
    router.step()
    [(_, due_ms)] = redis.zrange(KEYS.due, 0, -1, withscores=True)
    written_ms = int(redis.xrange(BULK)[0][0].partition(b"-")[0])
    assert 0 <= written_ms + 60_000 - due_ms < 10_000


def test_what_a_worker_has_in_hand_is_its_own(
    redis: Any, redis_url: str, catalogue: Path, wait_until: WaitUntil
) -> None:
    """It answers late, or ends the job itself; nobody takes it away."""
    worker = start_worker(redis, "cpu/host/1/w1")
    router = router_of(redis, redis_url, catalogue)
    submit(redis, topic("a1", deadline=SHORT), topic("a2", deadline=SHORT))
    router.step()
    [(entry, _), _] = redis.xrange(BULK)
    worker.claim(BULK, [entry.decode()])
    end_due(router, redis, wait_until, "a2")
    assert not redis.exists(OWN.result("a1"))
    done = Finish(entry=entry.decode(), producer="default", result=result_for("a1"))
    assert worker.settle(BULK, POOL_GROUP, [done]) == Settled(results=1)
    assert not redis.exists(KEYS.due)


def test_a_deadline_comes_between_two_steps(
    redis: Any, redis_url: str, catalogue: Path, wait_until: WaitUntil
) -> None:
    """The router that had read the escalation is gone; another ends the job."""
    router = router_of(redis, redis_url, catalogue)
    submit(redis, topic("a1", deadline=SHORT))
    router.step()
    [(entry, fields)] = redis.xrange(BULK)
    redis.xdel(BULK, entry)
    again = redis.xadd(KEYS.escalations, fields)
    redis.hset(OWN.job("a1"), mapping={"at": KEYS.escalations, "entry": again})
    redis.xreadgroup(ROUTER_GROUP, "@router/host/1/dead", {KEYS.escalations: ">"})
    end_due(router, redis, wait_until)
    assert result_of(redis, "a1").status is Status.EXPIRED
    assert redis.xlen(KEYS.escalations) == 0


@pytest.mark.parametrize("place", PLACES)
def test_a_cancelled_job_leaves_where_it_waits(
    redis: Any, redis_url: str, catalogue: Path, place: Place
) -> None:
    """It has its result at once, and takes up no room."""
    router = router_of(redis, redis_url, catalogue)
    submit(redis, topic("a1"), topic("a2"))
    place(redis, router)
    redis.xadd(OWN.jobs, {"cancel": "a1"})
    router.step()
    assert result_of(redis, "a1").status is Status.CANCELLED
    assert [fields[b"id"] for _, fields in redis.xrange(BULK)] == [b"a2"]
    assert redis.zrange(KEYS.due, 0, -1) == [b"default:a2"]


def test_a_cancelled_job_in_a_worker_s_hands_is_fenced(
    redis: Any, redis_url: str, catalogue: Path
) -> None:
    """The worker may finish; what it answers is nobody's."""
    worker = start_worker(redis, "cpu/host/1/w1")
    router = router_of(redis, redis_url, catalogue)
    submit(redis, topic("a1"))
    router.step()
    [(entry, _)] = redis.xrange(BULK)
    worker.claim(BULK, [entry.decode()])
    redis.xadd(OWN.jobs, {"cancel": "a1"})
    router.step()
    done = Finish(entry=entry.decode(), producer="default", result=result_for("a1"))
    assert worker.settle(BULK, POOL_GROUP, [done]) == Settled(fenced=1)
    assert result_of(redis, "a1").status is Status.CANCELLED


@pytest.mark.parametrize("task", ["topic", "ids"])
def test_a_cancellation_may_come_before_its_job(
    redis: Any, redis_url: str, catalogue: Path, task: str
) -> None:
    """Another router settled it first: the job is cancelled when it comes, answered by no step."""
    router = router_of(redis, redis_url, catalogue)
    redis.xadd(OWN.jobs, {"cancel": "a1"})
    router.step()
    assert 0 < redis.ttl(OWN.job("a1")) <= 600
    submit(redis, topic("a1", task=task, reply_to="me"))
    with listening(redis) as notices:
        router.step()
        assert notices.of("me") == ["a1"]
    assert result_of(redis, "a1").status is Status.CANCELLED
    assert redis.xlen(BULK) == 0


@has_lag
def test_what_waits_unread_is_counted_rightly(
    redis: Any, redis_url: str, catalogue: Path, wait_until: WaitUntil
) -> None:
    """A pool at rest is scaled by how much is unread, which Redis cannot tell past a gap."""
    router = router_of(redis, redis_url, catalogue)
    submit(redis, *(topic(f"a{n}") for n in range(4)), topic("late", deadline=SHORT), topic("b"))
    router.step()
    redis.xadd(OWN.jobs, {"cancel": "a1"})
    router.step()
    assert count(redis, LAG) == 5
    end_due(router, redis, wait_until, "late")
    assert count(redis, LAG) == 4
    redis.xreadgroup(POOL_GROUP, "@router/host/1/r1", {BULK: ">"}, count=1)
    redis.xadd(OWN.jobs, {"cancel": "a2"})
    router.step()
    assert count(redis, LAG) == 2
    submit(redis, topic("c"))
    router.step()
    assert count(redis, LAG) == 3
    redis.xreadgroup(POOL_GROUP, "@router/host/1/r1", {BULK: ">"})
    assert count(redis, LAG) == 0
    assert redis.xlen(BULK) == redis.xpending(BULK, POOL_GROUP)["pending"] == 4
