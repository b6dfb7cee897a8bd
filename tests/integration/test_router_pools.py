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
    published,
    router_of,
    running,
    start_worker,
    submit,
    topic,
)
from tests.support.waiting import WaitUntil

from smallfirst.catalogue.model_files import model_folder
from smallfirst.catalogue.watching import CatalogueWatch
from smallfirst.jobs import Job, Priority
from smallfirst.ledger.keys import POOL_GROUP, QUEUE_CONSUMER
from smallfirst_router import dispatch


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    """A catalogue with a task for rules and a task for a model."""
    path = tmp_path / "catalogue.yaml"
    path.write_text(CATALOGUE)
    return path


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
    redis.delete(KEYS.queue("cpu"))
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
    submit(redis, *(topic(f"a{n}") for n in range(20)))
    router.step()
    num_published = len(published(redis))
    smaller = "  small: {tier: slm, max_parameters: 40M}\n  cpu: {tier"
    catalogue.write_text(CATALOGUE.replace("  cpu: {tier", smaller))
    router.reload()
    for _ in range(2):
        redis.delete(KEYS.queue("cpu"))
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
        streams = (KEYS.jobs, KEYS.escalations, *KEYS.backlogs("cpu").values())
        wait_until(lambda: redis.exists(*streams) == 4, description="the streams are there")
        assert all(redis.xinfo_groups(stream) for stream in streams)
        submit(redis, topic("a1"))
        wait_until(lambda: redis.xlen(BULK) == 1, description="the next job is parked")
