"""The exporter: what waits, in whose hands, for how long, at what cost; from a real Redis."""

import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis
from tests.support.drifting import OTHERWISE, RAISE, calibrated, see
from tests.support.ledgers import ended
from tests.support.one_task import CATALOGUE
from tests.support.shapes import attempt_for, result_for
from tests.support.waiting import WaitUntil

from smallfirst.audit.reporting import AuditReport
from smallfirst.catalogue import Catalogue
from smallfirst.catalogue.loading import load_catalogue
from smallfirst.catalogue.promises import promise_digest
from smallfirst.exporter import Fleet
from smallfirst.jobs import Job, Priority
from smallfirst.ledger.alarms import Alarms, StandingAlarm
from smallfirst.ledger.audits import Audits
from smallfirst.ledger.books import field_of_use
from smallfirst.ledger.celery_lists import CeleryLists
from smallfirst.ledger.keys import POOL_GROUP, ROUTERS, Keys
from smallfirst.ledger.ledger import Ledger
from smallfirst.ledger.record_streams import RecordStream
from smallfirst.ledger.settlements import Finish
from smallfirst.ledger.slices import Slice
from smallfirst.local.redis_server import free_port
from smallfirst.settings import RouterSettings
from smallfirst_router.__main__ import build

KEYS = Keys()
OWN = KEYS.of_producer("default")
BULK = KEYS.backlog("cpu", Priority.BULK)


@pytest.fixture
def value(redis: Redis) -> Callable[..., float | None]:
    """Read one sample as a scrape would."""
    registry = CollectorRegistry(auto_describe=False)
    catalogue = Catalogue.model_validate(yaml.safe_load(CATALOGUE))
    registry.register(Fleet([Slice(redis, KEYS)], CeleryLists(redis, KEYS), lambda: catalogue))

    def sample(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"smallfirst_{name}", labels)

    return sample


@pytest.fixture
def router(redis_url: str, tmp_path: Path) -> Any:
    """A router over a catalogue with one pool, `cpu`."""
    catalogue = tmp_path / "catalogue.yaml"
    catalogue.write_text(CATALOGUE)
    router = build(RouterSettings.model_validate({"redis_url": redis_url, "catalogue": catalogue}))
    router.open()
    return router


def submit(redis: Any, count: int) -> None:
    """Submit jobs of the one task."""
    for number in range(count):
        job = Job(id=f"j-{number}", task="topic", text=f"parcel {number}")
        redis.xadd(OWN.jobs, {"job": job.model_dump_json()})


def test_an_empty_redis_is_up_and_holds_nothing(value: Callable[..., float | None]) -> None:
    """Before any component was there, every gauge that has no pool in its name is nought."""
    assert value("redis_up") == 1
    assert value("dead_letters") == 0
    assert value("jobs_unread", pool="@router", stream="jobs") == 0
    assert value("workers", pool=ROUTERS) == 0


def test_jobs_are_counted_on_their_way(
    redis: Any, router: Any, value: Callable[..., float | None]
) -> None:
    """Unread by a router; parked; in the queue; in a worker's hands: each is told apart."""
    submit(redis, 5)
    assert value("jobs_unread", pool="@router", stream="jobs") == 5
    assert (value("oldest_job_age_seconds", pool="@router", stream="jobs") or 0) < 60

    Ledger(redis, KEYS, "cpu/h/1/abc").lives.beat("cpu")
    router.step()
    on_bulk = {"pool": "cpu", "stream": "bulk"}
    assert value("jobs_unread", pool="@router", stream="jobs") == 0
    assert value("jobs_pending", **on_bulk) == 5
    assert value("jobs_queued", **on_bulk) == 5
    assert value("queue_batches", pool="cpu") == 1
    assert value("workers", pool="cpu") == 1

    entries = [entry.decode() for entry, _ in redis.xrange(BULK)]
    Ledger(redis, KEYS, "cpu/h/1/abc").claim(BULK, entries[:2])
    assert value("jobs_queued", **on_bulk) == 3
    assert value("jobs_pending", **on_bulk) == 5
    assert (value("oldest_job_age_seconds", **on_bulk) or 0) >= 0


def test_the_age_is_that_of_the_oldest_job(
    redis: Any, value: Callable[..., float | None], wait_until: WaitUntil
) -> None:
    """As old as its entry's id says, which Redis's clock wrote."""
    now_ms = redis.time()[0] * 1000
    redis.xgroup_create(OWN.jobs, "router", id="0", mkstream=True)
    redis.xadd(OWN.jobs, {"job": "{}"}, id=f"{now_ms - 90_000}-0")
    labels = {"pool": "@router", "stream": "jobs"}
    # Nobody has read it, and nobody may look: it is as old as the first scrape that saw it.
    assert value("oldest_job_age_seconds", **labels) == 0
    wait_until(
        lambda: 0 < (value("oldest_job_age_seconds", **labels) or 0) < 30,
        description="its age is that since the first scrape",
    )
    redis.xreadgroup("router", "r", {OWN.jobs: ">"})
    redis.xadd(OWN.jobs, {"job": "{}"})
    assert value("oldest_job_age_seconds", **labels) == pytest.approx(90, abs=10)


def test_what_was_booked_is_counted(
    redis: Any, router: Any, value: Callable[..., float | None]
) -> None:
    """By task, step and outcome: attempts, seconds, cost, tokens and joules; by pool and use."""
    booked = KEYS.booked("2020-01-01")
    redis.hset(booked, "topic:0:accepted:jobs", 9)
    redis.expire(booked, 60)
    labels = {"task": "topic", "step": "0", "tier": "slm", "outcome": "accepted"}
    assert value("attempts_total", **labels) is None
    submit(redis, 1)
    entry = router_entry(redis, router)
    row = Finish(
        entry=entry,
        producer="default",
        result=result_for("j-0"),
        spent=(attempt_for(seconds=0.25, cost=0.5, tokens=9, tokens_written=2, joules=4.5),),
    )
    ledger = Ledger(redis, KEYS, "cpu/h/1/abc")
    ledger.claim(BULK, [entry])
    ledger.settle(BULK, POOL_GROUP, [row])
    assert value("attempts_total", **labels) == 1
    assert value("worker_seconds_total", **labels) == 0.25
    assert value("cost_total", **labels) == 0.5
    assert value("joules_total", **labels) == 4.5
    assert value("tokens_total", **labels, kind="read") == 7
    assert value("tokens_total", **labels, kind="written") == 2
    ledger.book({field_of_use("@router", "idle", "seconds"): 3.0})
    assert value("pool_seconds_total", pool="@router", use="idle") == 3.0


def test_dead_letters_are_counted_as_they_are_written(
    redis: Any, value: Callable[..., float | None]
) -> None:
    """From nought, so that the first one is seen to be one more."""
    assert value("dead_letters_written_total") == 0
    redis.set(KEYS.dead_written, 12_345, ex=60)
    assert value("dead_letters_written_total") == 12_345
    assert value("dead_letters") == 0


def test_records_that_wait_for_the_audit_log_are_counted(
    redis: Any, value: Callable[..., float | None]
) -> None:
    """Whether or not a log is kept; and those that will never be in it."""
    assert (value("audit_log_waiting_records"), value("audit_log_lost_records_total")) == (0, 0)
    RecordStream(redis, KEYS).open()
    ended(redis, "a1")
    ended(redis, "b1")
    redis.hset(KEYS.log_lost, "number", 7)
    assert (value("audit_log_waiting_records"), value("audit_log_lost_records_total")) == (2, 7)


def test_rules_of_an_older_version_hide_the_count_alone(redis_url: str, redis: Any) -> None:
    """In the midst of an upgrade everything else is told."""
    redis.acl_setuser(
        "older", enabled=True, nopass=True, categories=["+@all"], keys=["*"], reset=True
    )
    rights = ("-get", "-hget", "(+get", f"%R~{KEYS.num_slices})")
    redis.execute_command("ACL", "SETUSER", "older", *rights)
    registry = CollectorRegistry(auto_describe=False)
    catalogue = Catalogue.model_validate(yaml.safe_load(CATALOGUE))
    try:
        with Redis.from_url(redis_url, username="older", password="any") as older:  # noqa: S106 - it has none
            fleet = Fleet([Slice(older, KEYS)], CeleryLists(older, KEYS), lambda: catalogue)
            registry.register(fleet)
            assert registry.get_sample_value("smallfirst_dead_letters_written_total") is None
            assert registry.get_sample_value("smallfirst_audit_log_waiting_records") is None
            assert registry.get_sample_value("smallfirst_redis_up") == 1
            assert registry.get_sample_value("smallfirst_dead_letters") == 0
    finally:
        redis.acl_deluser("older")


def test_whether_redis_saves_is_told(redis: Any, value: Callable[..., float | None]) -> None:
    """Of the real one: without its append-only file, and with it."""
    assert value("redis_aof_enabled") == 0
    redis.config_set("appendonly", "yes")
    try:
        assert value("redis_aof_enabled") == 1
        assert value("redis_aof_write_ok") == value("redis_rdb_save_ok") == 1
        assert value("redis_aof_delayed_fsync_total") == 0
    finally:
        redis.config_set("appendonly", "no")
    assert value("redis_evicted_keys_total") == 0
    assert value("redis_aof_delayed_fsync_total") is None
    assert (value("redis_memory_bytes") or 0) > 0


def test_what_an_audit_says_is_told_of_audited_tasks_alone(redis: Redis) -> None:
    """The estimate, its interval, the promise, and whether it is broken; what is unknown is not."""
    written = yaml.safe_load(CATALOGUE)
    written["tasks"]["other"] = written["tasks"]["topic"] | {"audit": 0.1}
    registry = CollectorRegistry(auto_describe=False)
    catalogue = Catalogue.model_validate(written)
    registry.register(Fleet([Slice(redis, KEYS)], CeleryLists(redis, KEYS), lambda: catalogue))
    counts = {"num_accepted": 9, "num_checks": 4, "num_waiting": 1, "num_drawn": 7}
    told = {"series": "0" * 16, "at_ms": 1, "num_dropped": 2, "rate": 0.25, "lower": 0.1}
    report = AuditReport.model_validate({**counts, **told, "upper": 0.5, "is_broken": True})
    for task in ("topic", "other"):
        Audits(redis, KEYS).say(task, report.to_json(), broken=None)

    def value(name: str, task: str = "other") -> float | None:
        return registry.get_sample_value(f"smallfirst_audit_{name}", {"task": task})

    assert (value("error_ratio"), value("error_lower_ratio"), value("error_upper_ratio")) == (
        0.25,
        0.1,
        0.5,
    )
    assert (value("checks"), value("waiting"), value("dropped_checks_total")) == (4, 1, 2)
    assert (value("promise_broken"), value("promised_ratio")) == (1, None)
    assert value("error_ratio", "topic") is None
    redis.hset(KEYS.audit("other"), "said", "{")
    assert value("error_ratio") is None
    assert registry.get_sample_value("smallfirst_redis_up") == 1


def test_a_scrape_tells_of_drift_and_looks_once_a_minute(redis: Redis, tmp_path: Path) -> None:
    """By task, quantity and step; books of attempts are read as before."""
    catalogue, promise = calibrated(tmp_path)
    see(redis, promise, OTHERWISE)
    registry, loaded = CollectorRegistry(auto_describe=False), load_catalogue(catalogue)
    registry.register(Fleet([Slice(redis, KEYS)], CeleryLists(redis, KEYS), lambda: loaded))
    labels = {"task": "topic", "quantity": "length", "step": ""}
    assert registry.get_sample_value("smallfirst_drift_alarm", labels) == 1
    redis.delete(*redis.scan_iter(KEYS.seen("*")))
    assert registry.get_sample_value("smallfirst_drift_alarm", labels) == 1
    assert registry.get_sample_value("smallfirst_redis_up") == 1


def test_a_scrape_tells_whether_anything_is_done_about_drift(redis: Redis, tmp_path: Path) -> None:
    """By task and alarm; nothing of a task that only tells."""
    catalogue, promise = calibrated(tmp_path, drift=RAISE)
    loaded, labels = load_catalogue(catalogue), {"task": "topic", "alarm": "raise_threshold"}
    for alarms in ({}, {"topic": StandingAlarm(promise=promise_digest(promise), since_ms=1)}):
        Alarms(redis, KEYS).say(alarms)
        registry = CollectorRegistry(auto_describe=False)
        registry.register(Fleet([Slice(redis, KEYS)], CeleryLists(redis, KEYS), lambda: loaded))
        told = registry.get_sample_value("smallfirst_drift_in_force", labels)
        assert told == float(bool(alarms))


def test_what_the_catalogue_has_no_longer_is_counted_without_a_tier(
    redis: Any, value: Callable[..., float | None]
) -> None:
    """A step or a task that went away today was answered by somebody all the same."""
    booked = KEYS.booked(f"{datetime.now(UTC):%Y-%m-%d}")
    redis.hset(booked, mapping={"topic:7:accepted:jobs": 3, "gone:0:accepted:jobs": 4})
    redis.expire(booked, 60)
    kept = {"tier": "", "outcome": "accepted"}
    assert value("attempts_total", task="topic", step="7", **kept) == 3
    assert value("attempts_total", task="gone", step="0", **kept) == 4


def router_entry(redis: Any, router: Any) -> str:
    """Let the router park and dispatch the one job; return its entry."""
    Ledger(redis, KEYS, "cpu/h/1/abc").lives.beat("cpu")
    router.step()
    [(entry, _)] = redis.xrange(BULK)
    return str(entry.decode())


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Start exporters over a catalogue with one pool; give the address of each one's metrics."""
    catalogue = tmp_path / "catalogue.yaml"
    catalogue.write_text(CATALOGUE)
    started: list[subprocess.Popen[bytes]] = []

    def start_one(redis_url: str) -> str:
        port = free_port()
        own = {
            "SMALLFIRST_REDIS_URL": redis_url,
            "SMALLFIRST_METRICS_PORT": str(port),
            "SMALLFIRST_CATALOGUE": str(catalogue),
        }
        command = [sys.executable, "-m", "smallfirst.exporter"]
        started.append(subprocess.Popen(command, env={**os.environ, **own}))
        return f"http://127.0.0.1:{port}/metrics"

    yield start_one
    for process in started:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def scrape(url: str) -> dict[str, float]:
    """Read our samples that have no labels; libraries tell of the process beside them."""
    with urllib.request.urlopen(url, timeout=30) as reply:  # noqa: S310 - our own address
        families = text_string_to_metric_families(reply.read().decode())
        ours = (
            s for family in families for s in family.samples if s.name.startswith("smallfirst_")
        )
        return {sample.name: sample.value for sample in ours if not sample.labels}


def answers(url: str) -> bool:
    """Whether somebody answers there."""
    try:
        return bool(scrape(url))
    except OSError:
        return False


def test_prometheus_gets_it_from_a_process(
    redis: Any, redis_url: str, start: Callable[[str], str], wait_until: WaitUntil
) -> None:
    """In its own form, with no job's text in it."""
    redis.xadd(OWN.jobs, {"job": Job(id="a", task="topic", text="canary-2b7d").to_json()})
    url = start(redis_url)
    wait_until(lambda: answers(url), description="it answers", timeout=30)
    assert scrape(url)["smallfirst_redis_up"] == 1
    with urllib.request.urlopen(url, timeout=30) as reply:  # noqa: S310
        assert "canary" not in reply.read().decode()


def test_a_redis_that_is_away_is_told_of(
    start: Callable[[str], str], wait_until: WaitUntil
) -> None:
    """The exporter lives on, and says so; nothing else is claimed."""
    url = start(f"redis://127.0.0.1:{free_port()}/0")
    wait_until(lambda: answers(url), description="it answers", timeout=60)
    assert scrape(url) == {"smallfirst_redis_up": 0.0}
