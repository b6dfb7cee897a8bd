"""Producers apart: streams, ids, results, deadlines and dead letters of their own."""

import asyncio
import base64
import json
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.notices import listening
from tests.support.routers import BULK, CATALOGUE, KEYS, published, router_of, start_worker

from smallfirst.client.transports import RedisTransport
from smallfirst.errors import FleetRefused
from smallfirst.jobs import Job, Priority, Result, Status
from smallfirst.ledger.keys import ProducerKeys
from smallfirst.ledger.producers import Producer, ProducerRegistry
from smallfirst.ledger.routing_slips import BatchMessage, DeadLetter, RoutingSlip
from smallfirst_router.router import Router

SHOP, POST = KEYS.of_producer("shop"), KEYS.of_producer("post")
CARD = "4111 1111 1111 1111"


@pytest.fixture
def router(redis: Any, redis_url: str, tmp_path: Path) -> Router:
    """A router of a fleet with two producers besides `default`, stepped by the test."""
    registry = ProducerRegistry(redis, KEYS)
    for name in ("shop", "post"):
        registry.write(name, Producer())
    (tmp_path / "catalogue.yaml").write_text(CATALOGUE)
    return router_of(redis, redis_url, tmp_path / "catalogue.yaml")


@pytest.fixture
def result_of(redis: Any) -> Callable[[str], Result]:
    """The result under a key."""

    def result_of(key: str) -> Result:
        raw = redis.get(key)
        assert raw is not None, f"{key} is not there"
        return Result.model_validate_json(raw)

    return result_of


def job(job_id: str, text: str = CARD, task: str = "ids", **more: object) -> str:
    """A job as its producer writes it."""
    values = {"id": job_id, "task": task, "text": text, **more}
    return Job.model_validate(values).model_dump_json()


def test_one_id_is_two_producers_two_jobs(
    redis: Any, router: Router, result_of: Callable[[str], Result]
) -> None:
    """Neither is a repeat of the other: each has its text's answer, and no dead letter."""
    redis.xadd(SHOP.jobs, {"job": job("a1", metadata={"customer": "alice"}, reply_to="me")})
    redis.xadd(POST.jobs, {"job": job("a1", text="nothing", reply_to="me")})
    with listening(redis, SHOP) as told_shop, listening(redis, POST) as told_post:
        router.step()
        assert told_shop.of("me") == told_post.of("me") == ["a1"]
    shops, posts = result_of(SHOP.result("a1")), result_of(POST.result("a1"))
    assert (shops.metadata, posts.metadata) == ({"customer": "alice"}, {})
    assert shops.answer != posts.answer
    assert redis.xlen(KEYS.dead) == 0


def test_a_job_keeps_its_producer_on_its_way(redis: Any, router: Router) -> None:
    """On a backlog it says whose it is, to workers and to scripts."""
    redis.xadd(SHOP.jobs, {"job": job("a1", task="topic")})
    redis.xadd(POST.jobs, {"job": job("a1", task="topic")})
    router.step()
    found = [fields for _, fields in redis.xrange(BULK)]
    assert sorted(fields[b"producer"] for fields in found) == [b"post", b"shop"]
    slips = [RoutingSlip.model_validate_json(fields[b"slip"]) for fields in found]
    assert sorted(slip.producer for slip in slips) == ["post", "shop"]
    assert redis.hget(SHOP.job("a1"), "at") == redis.hget(POST.job("a1"), "at") == BULK.encode()


def test_what_one_producer_deletes_is_its_own(
    redis: Any, router: Router, result_of: Callable[[str], Result]
) -> None:
    """MAXLEN, which no rule of Redis's can forbid, costs its sender jobs and nobody else."""
    for number in range(20):
        redis.xadd(SHOP.jobs, {"job": job(f"a{number}")})
    redis.xadd(POST.jobs, {"job": job("b")}, maxlen=1, approximate=False)
    router.step()
    assert {result_of(SHOP.result(f"a{n}")).status for n in range(20)} == {Status.ANSWERED}


def test_an_id_from_the_future_moves_nobody_elses_clock(
    redis: Any, router: Router, result_of: Callable[[str], Result]
) -> None:
    """It fixes the ids of its own stream; the deadlines of all others are kept."""
    redis.xadd(POST.jobs, {"job": job("b")}, id="18446744073709551615-18446744073709551614")
    long_ago = f"{redis.time()[0] * 1000 - 60_000}-0"
    redis.xadd(SHOP.jobs, {"job": job("a", task="topic", deadline=30)}, id=long_ago)
    router.step()
    assert result_of(SHOP.result("a")).status is Status.EXPIRED
    assert result_of(POST.result("b")).status is Status.ANSWERED


def test_a_cancellation_ends_no_job_of_another(redis: Any, router: Router) -> None:
    """An id names a job of the producer that cancels it, and no other."""
    redis.xadd(SHOP.jobs, {"job": job("a1", task="topic")})
    router.step()
    redis.xadd(POST.jobs, {"cancel": "a1"})
    router.step()
    assert not redis.exists(SHOP.result("a1"))
    redis.xadd(SHOP.jobs, {"cancel": "a1"})
    router.step()
    assert redis.exists(SHOP.result("a1"))


def test_a_dead_letter_says_whose_it_is(redis: Any, router: Router) -> None:
    """A refusal and an id that was taken are told with their producer."""
    redis.xadd(SHOP.jobs, {"job": "{"})
    redis.xadd(SHOP.jobs, {"job": job("a1")})
    redis.xadd(SHOP.jobs, {"job": job("a1", text="another")})
    router.step()
    letters = [DeadLetter.model_validate_json(f[b"letter"]) for _, f in redis.xrange(KEYS.dead)]
    told = sorted((letter.reason, letter.producer) for letter in letters)
    assert told == [("id_conflict", "shop"), ("not_json", "shop")]


def test_a_new_producer_is_served_without_a_restart(
    redis: Any, router: Router, result_of: Callable[[str], Result]
) -> None:
    """Jobs that it submitted before any router looked are served too."""
    bank = KEYS.of_producer("bank")
    redis.xadd(bank.jobs, {"job": job("early")})
    ProducerRegistry(redis, KEYS).write("bank", Producer())
    router.open()
    router.step()
    assert result_of(bank.result("early")).status is Status.ANSWERED


def test_what_a_dead_router_had_of_any_producer_is_taken_over(
    redis: Any, router: Router, result_of: Callable[[str], Result]
) -> None:
    """Recovery looks at every producer's stream."""
    entry = redis.xadd(SHOP.jobs, {"job": job("a1")})
    redis.xreadgroup("router", "dead", {SHOP.jobs: ">"})
    redis.xclaim(SHOP.jobs, "router", "dead", 0, [entry], idle=60_000)
    router.recover()
    router.step()
    assert result_of(SHOP.result("a1")).status is Status.ANSWERED


def fair_router(redis: Any, redis_url: str, folder: Path, **more: Any) -> Router:
    """A router of a fleet in which `post` has twice the weight of `shop`."""
    registry = ProducerRegistry(redis, KEYS)
    registry.write("shop", Producer())
    registry.write("post", Producer(weight=2))
    (folder / "catalogue.yaml").write_text(CATALOGUE)
    return router_of(redis, redis_url, folder / "catalogue.yaml", **more)


def submit_many(redis: Any, keys: ProducerKeys, num_jobs: int, task: str = "ids") -> None:
    """Have one producer submit many jobs."""
    for number in range(num_jobs):
        redis.xadd(keys.jobs, {"job": job(f"a{number}", task=task)})


def num_results(redis: Any, keys: ProducerKeys) -> int:
    """How many jobs of one producer have their result."""
    return len(redis.keys(keys.result("*")))


def test_new_jobs_are_read_in_fair_shares(redis: Any, redis_url: str, tmp_path: Path) -> None:
    """A flood of one producer is no reason for another's few to wait."""
    router = fair_router(redis, redis_url, tmp_path, read_count=20)
    router.step()
    submit_many(redis, SHOP, 100)
    submit_many(redis, POST, 10)
    for _ in range(2):
        router.step()
    assert num_results(redis, POST) == 10
    assert num_results(redis, SHOP) < 40


def test_a_producer_alone_has_everything(redis: Any, redis_url: str, tmp_path: Path) -> None:
    """No part of a read is kept for producers that have nothing to do."""
    router = fair_router(redis, redis_url, tmp_path, read_count=20)
    submit_many(redis, SHOP, 60)
    router.step()
    before = num_results(redis, SHOP)
    router.step()
    assert num_results(redis, SHOP) - before == 20


def test_a_full_pools_room_goes_to_each_in_turn(redis: Any, redis_url: str, tmp_path: Path) -> None:
    """By weight, however many jobs of each wait, and whoever was there first."""
    router = fair_router(redis, redis_url, tmp_path, max_backlog_jobs=3)
    router.step()
    submit_many(redis, SHOP, 50, task="topic")
    for _ in range(2):
        router.step()
    assert (redis.xlen(BULK), redis.xlen(SHOP.jobs)) == (3, 47)
    submit_many(redis, POST, 50, task="topic")
    router.step()
    found: Counter[bytes] = Counter()
    for _ in range(11):
        redis.xtrim(BULK, maxlen=0)
        router.step()  # sees that there is room
        router.step()
        found.update(fields[b"producer"] for _, fields in redis.xrange(BULK))
    assert found[b"shop"] + found[b"post"] == 33
    assert found[b"post"] == pytest.approx(22, abs=2)


def test_a_router_registers_whom_its_settings_name(
    redis: Any, redis_url: str, tmp_path: Path
) -> None:
    """Also anew in a Redis that was emptied; a producer that an administrator added stays."""
    ProducerRegistry(redis, KEYS).write("post", Producer(weight=3))
    (tmp_path / "catalogue.yaml").write_text(CATALOGUE)
    router = router_of(redis, redis_url, tmp_path / "catalogue.yaml", producers={"shop": 2})
    weights = {name: each.weight for name, each in ProducerRegistry(redis, KEYS).read().items()}
    assert weights == {"default": 1, "post": 3, "shop": 2}
    redis.flushall()
    router.recover()
    assert ProducerRegistry(redis, KEYS).read()["shop"] == Producer(weight=2)


def test_what_is_let_in_is_served_in_that_order(redis: Any, redis_url: str, tmp_path: Path) -> None:
    """Jobs that were submitted long ago, and let in later, do not pass those that are there."""
    (tmp_path / "catalogue.yaml").write_text(CATALOGUE.replace("batch_jobs: 4", "batch_jobs: 1"))
    router = router_of(redis, redis_url, tmp_path / "catalogue.yaml")
    own = KEYS.of_producer("default")
    minute_ago = f"{redis.time()[0] * 1000 - 60_000}-0"
    redis.xadd(own.jobs, {"job": job("new", "a mail of now", task="topic")})
    router.step()
    redis.delete(own.jobs)
    router.open()
    redis.xadd(own.jobs, {"job": job("old", "an old mail", task="topic")}, id=minute_ago)
    router.step()
    start_worker(redis)
    order: list[str] = []
    for _ in range(2):
        router.step()
        [message] = published(redis)
        body = json.loads(base64.b64decode(str(message["body"])))
        order += BatchMessage.model_validate(body[0][0], strict=False).entries["bulk"]
        # A worker takes it.
        redis.delete(KEYS.queue("cpu", Priority.BULK))
    by_entry = {entry.decode(): fields[b"id"] for entry, fields in redis.xrange(BULK)}
    assert [by_entry[entry] for entry in order] == [b"new", b"old"]


async def test_who_is_not_registered_is_told_before_anything_is_confirmed(
    redis: Any, redis_url: str, router: Router
) -> None:
    """Nobody would read it; and who is registered late waits for it, no longer than it takes."""
    impatient = RedisTransport(redis_url, producer="late", patience=timedelta(seconds=0.2))
    with pytest.raises(FleetRefused, match="smallfirst producer add late"):
        await impatient.add([Job(id="a1", task="ids", text=CARD)])
    with pytest.raises(FleetRefused, match="SMALLFIRST_PRODUCERS"):
        await impatient.cancel(["a1"])
    late = KEYS.of_producer("late")
    assert not redis.exists(late.jobs)

    patient = RedisTransport(redis_url, producer="late", patience=timedelta(seconds=60))
    adding = asyncio.create_task(patient.add([Job(id="a1", task="ids", text=CARD)]))
    ProducerRegistry(redis, KEYS).write("late", Producer())
    router._intake.take_up_producers()
    [entry] = await adding
    assert [each.decode() for each, _ in redis.xrange(late.jobs)] == [entry]
    for transport in (impatient, patient):
        await transport.close()
