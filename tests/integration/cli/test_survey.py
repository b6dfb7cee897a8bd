"""The survey of what waits: right through an entry's life, and told alike by everybody."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry
from redis import Redis
from tests.support.one_task import CATALOGUE
from tests.support.shapes import result_for, slip_for

from smallfirst.catalogue import Catalogue
from smallfirst.cli.fleet_connection import Link
from smallfirst.cli.queues import waiting
from smallfirst.exporter import Fleet
from smallfirst.jobs import Priority
from smallfirst.ledger.celery_lists import CeleryLists
from smallfirst.ledger.holders import Holder
from smallfirst.ledger.keys import POOL_GROUP, ROUTER_GROUP, ROUTERS, Keys
from smallfirst.ledger.ledger import Ledger
from smallfirst.ledger.settlements import Finish, Move
from smallfirst.ledger.slices import Slice
from smallfirst.ledger.stream_loads import StreamLoad
from smallfirst.ledger.survey import Survey
from smallfirst.settings import Settings

KEYS = Keys()
OWN = KEYS.of_producer("default")
BULK = KEYS.backlog("cpu", Priority.BULK)
LEASE, NO_TIME = timedelta(seconds=6), timedelta(0)
Told = dict[str, float]


@pytest.fixture
def routers(redis: Redis) -> tuple[Ledger, Ledger]:
    """Two routers; neither has opened a stream yet."""
    return Ledger(redis, KEYS, str(Holder.here(ROUTERS))), Ledger(
        redis, KEYS, str(Holder.here(ROUTERS))
    )


@pytest.fixture
def worker(redis: Redis) -> Ledger:
    """A worker of the one pool."""
    return Ledger(redis, KEYS, str(Holder.here("cpu")))


@pytest.fixture
def told(redis: Redis) -> Callable[[str], Told]:
    """Ask the exporter and `queues` of one place; give what they agree on."""
    catalogue = Catalogue.model_validate(yaml.safe_load(CATALOGUE))
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Fleet([Slice(redis, KEYS)], CeleryLists(redis, KEYS), lambda: catalogue))

    def ask(stream: str) -> Told:
        shown = of_queues(waiting(Link(Settings(), (Slice(redis, KEYS),), redis)), stream)
        scraped = of_exporter(registry, stream)
        assert scraped.pop("age") == pytest.approx(shown.pop("age"), abs=1.0)
        assert scraped == {name: shown[name] for name in scraped}
        return {name: count for name, count in shown.items() if count}

    return ask


def of_queues(found: dict[str, Any], stream: str) -> Told:
    """What `smallfirst queues` says of a stream that routers read, or of the pool."""
    rows = [row for row in found["streams"] if row["stream"] == stream]
    pools = [row for row in found["pools"] if row["pool"] == stream]
    row = (rows or pools or [{**vars(StreamLoad()), "batches": 0, "workers": 0}])[0]
    counts = {name: row[name] for name in ("unread", "held", "queued", "working")}
    pending = row["held"] + row["queued"] + row["working"]
    ends = {name: row.get(name, 0) for name in ("batches", "workers")}
    return {**counts, **ends, "pending": pending, "age": row["oldest_seconds"] or 0.0}


def of_exporter(registry: CollectorRegistry, stream: str) -> Told:
    """What a scrape says of the same place."""
    is_pool = stream == "cpu"
    places = [("cpu", str(each)) for each in Priority] if is_pool else [(ROUTERS, stream)]

    def values(name: str) -> list[float]:
        labels = [{"pool": pool, "stream": each} for pool, each in places]
        return [registry.get_sample_value(f"smallfirst_{name}", each) or 0.0 for each in labels]

    counts = {name: sum(values(f"jobs_{name}")) for name in ("unread", "pending", "queued")}
    counts["age"] = max(values("oldest_job_age_seconds"))
    if is_pool:
        of_pool = {"pool": "cpu"}
        counts["batches"] = registry.get_sample_value("smallfirst_queue_batches", of_pool) or 0.0
        counts["workers"] = registry.get_sample_value("smallfirst_workers", of_pool) or 0.0
    return counts


def test_queues_and_the_exporter_agree_through_an_entry_s_life(
    redis: Redis,
    routers: tuple[Ledger, Ledger],
    worker: Ledger,
    told: Callable[[str], Told],
) -> None:
    """Submitted, parked, held, queued, begun, reclaimed, given back, settled: the same to both."""
    router, other = routers
    for _ in range(3):
        redis.xadd(OWN.jobs, {"job": "{}"})
    assert told("jobs") == {"unread": 3}  # Before any router was there to make a group.

    router.open([OWN.jobs, KEYS.escalations], ROUTER_GROUP)
    router.open_pools(["cpu"])
    submitted = router.read([OWN.jobs], ROUTER_GROUP, count=2)
    assert told("jobs") == {"unread": 1, "held": 2, "pending": 2}

    rows = [
        Move(entry=each.entry, job_id=f"j-{n}", job=b"{}", slip=slip_for(), to=BULK)
        for n, each in enumerate(submitted)
    ]
    router.settle(OWN.jobs, ROUTER_GROUP, rows)
    assert (told("jobs"), told("cpu")) == ({"unread": 1}, {"unread": 2})

    entries = [each.entry for each in router.read([BULK], POOL_GROUP, count=2)]
    assert told("cpu") == {"held": 2, "pending": 2}

    router.queue(BULK, entries)
    redis.lpush(KEYS.queue("cpu", Priority.BULK), "a batch")
    worker.lives.beat("cpu")
    dispatched = {"pending": 2, "batches": 1, "workers": 1}
    assert told("cpu") == {**dispatched, "queued": 2}

    redis.rpop(KEYS.queue("cpu", Priority.BULK))
    redis.hset(KEYS.unacked("cpu"), "tag", "a batch")
    assert told("cpu") == {**dispatched, "queued": 2}  # A worker has it, and has not begun.

    redis.delete(KEYS.unacked("cpu"))
    worker.claim(BULK, entries[:1])
    begun = {"pending": 2, "workers": 1}
    assert told("cpu") == {**begun, "queued": 1, "working": 1}

    other.recover(BULK, POOL_GROUP, lease=NO_TIME, queue_timeout=NO_TIME)
    assert told("cpu") == {**begun, "held": 2}

    other.queue(BULK, entries)
    worker.claim(BULK, entries)
    worker.give_back(BULK, dict.fromkeys(entries[1:], 2), LEASE, is_undone=True)
    assert told("cpu") == {**begun, "working": 2}

    worker.settle(
        BULK, POOL_GROUP, [Finish(entry=entries[0], producer="default", result=result_for("j-0"))]
    )
    assert told("cpu") == {"working": 1, "pending": 1, "workers": 1}


@pytest.mark.parametrize("may_read_jobs", [True, False])
def test_an_age_survives_a_reclaim_and_begins_anew_with_a_move(
    redis: Redis, routers: tuple[Ledger, Ledger], *, may_read_jobs: bool
) -> None:
    """It is how long the job has been in its stream, whoever holds it."""
    router, other = routers
    router.open([BULK], POOL_GROUP)
    minute_ago = router.now_ms() - 60_000
    redis.xadd(BULK, {"id": "a", "job": "{}", "slip": "{}"}, id=f"{minute_ago}-0")
    survey = Survey(redis, KEYS, CeleryLists(redis, KEYS), may_read_jobs=may_read_jobs)

    def age() -> float | None:
        return survey.look(["cpu"]).pools["cpu"].total.oldest_seconds

    [entry] = router.read([BULK], POOL_GROUP, count=1)
    assert age() == pytest.approx(60, abs=5)
    other.recover(BULK, POOL_GROUP, lease=NO_TIME, queue_timeout=NO_TIME)
    assert age() == pytest.approx(60, abs=5)
    move = Move(entry=entry.entry, job_id="a", job=b"{}", slip=slip_for(), to=KEYS.escalations)
    other.settle(BULK, POOL_GROUP, [move])
    assert age() is None
    assert survey.look([]).escalations.oldest_seconds == pytest.approx(0, abs=5)


def test_who_may_read_jobs_knows_the_age_of_an_unread_one(redis: Redis) -> None:
    """And who may not counts from the first look, never more than it is."""
    seconds: Any = redis.time()
    redis.xadd(OWN.jobs, {"job": "{}"}, id=f"{(seconds[0] - 60) * 1000}-0")
    ages = [
        Survey(redis, KEYS, CeleryLists(redis, KEYS), may_read_jobs=may)
        .look([])
        .jobs.oldest_seconds
        for may in (True, False)
    ]
    assert ages == [pytest.approx(60, abs=5), 0]


@pytest.mark.parametrize("may_read_jobs", [True, False])
def test_a_look_costs_the_same_however_long_the_texts(redis: Redis, *, may_read_jobs: bool) -> None:
    """No entry leaves Redis, read or unread."""
    for stream in (OWN.jobs, KEYS.escalations, BULK):
        redis.xadd(stream, {"job": "x" * 2**20})
    Ledger(redis, KEYS, "r").open([BULK], POOL_GROUP)
    redis.xgroup_setid(BULK, POOL_GROUP, "0")
    survey = Survey(redis, KEYS, CeleryLists(redis, KEYS), may_read_jobs=may_read_jobs)
    before = num_sent(redis)
    survey.look(["cpu"])
    assert num_sent(redis) - before < 100_000


def num_sent(redis: Redis) -> int:
    """How many bytes the server has sent."""
    about: Any = redis.info("stats")
    return int(about["total_net_output_bytes"])


def test_what_somebody_deleted_is_not_counted(redis: Redis, routers: tuple[Ledger, Ledger]) -> None:
    """Neither an unread entry, of which the group's own lag would not know, nor one in hand."""
    router, _ = routers
    router.open([OWN.jobs], ROUTER_GROUP)
    entries: list[Any] = [redis.xadd(OWN.jobs, {"job": "{}"}) for _ in range(3)]
    survey = Survey(redis, KEYS, CeleryLists(redis, KEYS), may_read_jobs=False)
    redis.xdel(OWN.jobs, entries[1])
    assert survey.look([]).jobs.unread == 2
    router.read([OWN.jobs], ROUTER_GROUP, count=2)
    redis.xdel(OWN.jobs, *entries)
    assert survey.look([]).jobs.unread == 0
