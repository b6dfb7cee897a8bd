"""A router's round is short: what it has read is settled in parts, and stays its own meanwhile."""

from datetime import timedelta
from math import ceil
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.support import routers

from smallfirst.catalogue import Kind, Rule
from smallfirst.jobs import Job, Priority, Result, Status
from smallfirst.ledger.keys import POOL_GROUP, QUEUE_CONSUMER, ROUTER_GROUP, Keys
from smallfirst.ledger.ledger import Ledger
from smallfirst.settings import RouterSettings
from smallfirst_router.__main__ import build
from smallfirst_router.metrics import RouterMetrics
from smallfirst_router.router import Router
from smallfirst_router.rules import CompiledRule, compile_rule

KEYS = Keys()
OWN = KEYS.of_producer("default")
BULK = KEYS.backlog("cpu", Priority.BULK)
FAR = "9999999999999-0"
#: After it Redis takes no entry any more.
LAST = f"{2**64 - 1}-{2**64 - 1}"
#: Of the routers here: a read of documents takes two and a half of it.
LEASE = timedelta(seconds=1)
#: What a router needs some hundredths of a second to look through.
DOCUMENT = "555-0100 4111-111 " * 700
#: Every finder goes through it, and any text may go to the model.
CATALOGUE = (
    routers.CATALOGUE.replace("    max_chars: 100\n", "")
    .replace("find: [card]", "find: [ssn, card, iban, email, phone]")
    .replace("{card: a card}", "{ssn: a, card: a card, iban: a, email: a, phone: a}")
)


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    """A catalogue with a task for rules and one for a model."""
    path = tmp_path / "catalogue.yaml"
    path.write_text(CATALOGUE)
    return path


class Stepped:
    """A router that is stepped by the test, and what it counts."""

    def __init__(self, redis_url: str, catalogue: Path, **more: object) -> None:
        values = {"redis_url": redis_url, "catalogue": catalogue, "lease_seconds": 1, **more}
        self.metrics = RouterMetrics()
        self.router: Router = build(RouterSettings.model_validate(values), self.metrics)
        self.router.open()

    def counted(self, name: str, **labels: str) -> float:
        """What a metric stands at."""
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


def submit(redis: Any, job: Job, entry: str = "*") -> bytes:
    """Submit a job, under an id of its producer's where one is given; return the entry's."""
    added: bytes = redis.xadd(OWN.jobs, {"job": job.model_dump_json()}, id=entry)
    return added


def seconds_of(rule: CompiledRule) -> float:
    """How long it looks through the document."""
    began = monotonic()
    rule.answer(DOCUMENT)
    return monotonic() - began


def submit_documents(redis: Any) -> int:
    """Submit texts that take a router of this machine two and a half leases; return how many."""
    find = {"find": ["ssn", "card", "iban", "email", "phone"]}
    rule = compile_rule(Rule.model_validate(find), Kind.TAG)
    # The quickest of some: a machine that was busy for one of them will not be for all the rest.
    count = ceil(2.5 * LEASE.total_seconds() / min(seconds_of(rule) for _ in range(5)))
    for number in range(count):
        submit(redis, Job(id=f"d-{number}", task="ids", text=DOCUMENT))
    return count


def num_results(redis: Any) -> int:
    """How many jobs have ended."""
    return len(list(redis.scan_iter(match=OWN.result("*"), count=1000)))


def result_of(redis: Any, job_id: str) -> Result:
    """The result of a job that has one."""
    return Result.model_validate_json(redis.get(OWN.result(job_id)))


def leave(redis: Any, stream: str, group: str, holder: str, entries: list[bytes]) -> None:
    """Let a holder have had entries in hand for a minute."""
    redis.xreadgroup(group, holder, {stream: ">"}, count=1000)
    redis.xclaim(stream, group, holder, 0, entries, idle=60_000, justid=True)


def test_what_waits_behind_a_long_document_stays_its_routers(
    redis: Any, redis_url: str, catalogue: Path
) -> None:
    """A read that takes longer than a lease is decided once; a peer takes none of it over."""
    # One read takes them all, however many a fast machine looks through within its time.
    at_once = {"read_count": 10_000, "read_bytes": 2**27}
    slow, peer = (Stepped(redis_url, catalogue, **at_once) for _ in range(2))
    num_documents = submit_documents(redis)
    counts = [0]
    with capture_logs() as logs:
        while redis.xlen(OWN.jobs):
            slow.router.step()
            peer.router.step()
            counts.append(num_results(redis))
    decided = "smallfirst_triaged_jobs_total"
    assert slow.counted(decided, decision="ended") == num_documents
    assert peer.counted(decided, decision="ended") == 0
    assert len(set(counts)) > 2, "it is settled bit by bit"
    [warning] = [log for log in logs if log["event"] == "triage.slow"]
    assert warning["num_jobs"] == num_documents
    assert "SMALLFIRST_READ_COUNT" in warning["remedy"]


def test_a_router_that_stops_in_the_midst_of_a_read_hands_the_rest_back(
    redis: Any, redis_url: str, catalogue: Path
) -> None:
    """Its peer has it at once, without waiting for a lease."""
    first, peer = Stepped(redis_url, catalogue), Stepped(redis_url, catalogue)
    num_documents = submit_documents(redis)
    first.router.step()
    first.router.close()
    num_left = redis.xlen(OWN.jobs)
    assert 0 < num_left < num_documents
    while num_results(redis) < num_documents:
        peer.router.step()
    assert peer.counted("smallfirst_triaged_jobs_total", decision="ended") == num_left


def test_an_oversized_submission_is_refused_by_its_size(
    redis: Any, redis_url: str, catalogue: Path
) -> None:
    """Its producer is told, its letter has the whole's size and hash, and its beginning is kept."""
    router = Stepped(redis_url, catalogue, max_job_bytes=10_000)
    raw = Job(id="big", task="ids", text="x" * 50_000).model_dump_json()
    redis.xadd(OWN.jobs, {"job": raw})
    router.router.step()
    result = result_of(redis, "big")
    assert result.problem is not None
    assert (result.status, result.problem.code) == (Status.REFUSED, "too_large")
    assert str(len(raw)) in result.problem.message
    [(entry, fields)] = redis.xrange(KEYS.dead)
    assert f'"size":{len(raw)},"digest":"sha1:'.encode() in fields[b"letter"]
    assert redis.get(KEYS.dead_raw(entry.decode())) == raw[:4096].encode()


def test_what_ends_at_dispatch_ends_with_its_text(
    redis: Any, redis_url: str, catalogue: Path
) -> None:
    """A backlog is read without texts; a dead letter has the job as its producer wrote it."""
    router = Stepped(redis_url, catalogue, max_starts=1)
    submit(redis, Job(id="a1", task="topic", text="hello"))
    router.router.step()
    [(entry, fields)] = redis.xrange(BULK)
    redis.xreadgroup(POOL_GROUP, "cpu/host/1/dead", {BULK: ">"})
    redis.xclaim(BULK, POOL_GROUP, "cpu/host/1/dead", 0, [entry], idle=60_000, retrycount=2)
    router.router.recover()
    assert result_of(redis, "a1").status is Status.FAILED
    [(letter, _)] = redis.xrange(KEYS.dead)
    assert redis.get(KEYS.dead_raw(letter.decode())) == fields[b"job"]


def test_a_deadline_counts_from_when_a_job_of_the_future_was_first_seen(
    redis: Any, redis_url: str, catalogue: Path
) -> None:
    """A router read it and died; whoever reads it next finds that its time is up."""
    router = Stepped(redis_url, catalogue)
    entry = submit(
        redis, Job(id="late", task="ids", text="none", deadline=timedelta(seconds=30)), FAR
    )
    leave(redis, OWN.jobs, ROUTER_GROUP, "dead", [entry])
    dead = Ledger(redis, KEYS, "dead")
    now_ms = dead.now_ms()
    redis.set(OWN.first_seen(FAR), now_ms - 60_000, ex=60)
    router.router.step()
    result = result_of(redis, "late")
    assert result.status is Status.EXPIRED
    assert round(result.submitted_at.timestamp() * 1000) == now_ms - 60_000
    assert not redis.exists(OWN.first_seen(FAR))


def test_no_result_was_submitted_in_the_future(redis: Any, redis_url: str, catalogue: Path) -> None:
    """Whatever the ids of a job and of its cancellation claim."""
    router = Stepped(redis_url, catalogue)
    submit(redis, Job(id="gone", task="topic", text="hello"), FAR)
    router.router.step()
    redis.xadd(OWN.jobs, {"cancel": "gone"})
    router.router.step()
    result = result_of(redis, "gone")
    assert result.status is Status.CANCELLED
    assert result.submitted_at <= result.finished_at
    assert list(redis.scan_iter(match=OWN.first_seen("*"))) == []


@pytest.mark.parametrize("entry", [FAR, LAST])
def test_ids_from_the_future_are_told_of_and_mended_at_rest(
    redis: Any, redis_url: str, catalogue: Path, entry: str
) -> None:
    """All later ids would claim the future too; an empty stream is made anew, for all routers."""
    router, peer = Stepped(redis_url, catalogue), Stepped(redis_url, catalogue)
    gauge = "smallfirst_job_ids_ahead_seconds"
    submit(redis, Job(id="a1", task="ids", text="none"), entry)
    with capture_logs() as logs:
        router.router.look_at_ids()
        router.router.look_at_ids()
    [error] = [log for log in logs if log["log_level"] == "error"]
    assert error["event"] == "ids.ahead"
    assert "XADD" in error["remedy"]
    assert router.counted(gauge) > 1e9

    router.router.step()
    router.router.look_at_ids()
    assert router.counted(gauge) == 0
    submit(redis, Job(id="a2", task="ids", text="none"))
    [(added, _)] = redis.xrange(OWN.jobs)
    assert int(added.partition(b"-")[0]) <= Ledger(redis, KEYS, "x").now_ms()
    peer.router.step()
    assert result_of(redis, "a2").status is Status.ANSWERED


def test_ids_a_little_ahead_are_nobodys_fault(redis: Any, redis_url: str, catalogue: Path) -> None:
    """Redis keeps its ids growing when its clock is set back."""
    router = Stepped(redis_url, catalogue)
    entry = f"{Ledger(redis, KEYS, 'x').now_ms() + 30_000}-0"
    submit(redis, Job(id="a1", task="ids", text="none"), entry)
    router.router.look_at_ids()
    assert router.counted("smallfirst_job_ids_ahead_seconds") == 0
    router.router.step()
    router.router.look_at_ids()
    assert redis.xinfo_stream(OWN.jobs)["last-generated-id"] == entry.encode()


def test_jobs_that_only_waited_are_not_counted_as_recovered(
    redis: Any, redis_url: str, catalogue: Path
) -> None:
    """A slow pool has lost nothing; its entries are sent again, and counted apart."""
    router = Stepped(redis_url, catalogue, queue_timeout_seconds=10)
    Ledger(redis, KEYS, "w1").lives.beat("cpu")
    for number in range(3):
        submit(redis, Job(id=f"j-{number}", task="topic", text="hello"))
    router.router.step()
    entries = [entry for entry, _ in redis.xrange(BULK)]
    assert redis.llen(KEYS.queue("cpu", Priority.BULK)) == 1
    redis.xclaim(BULK, POOL_GROUP, QUEUE_CONSUMER, 0, entries, idle=60_000, justid=True)
    router.router.recover()
    assert router.counted("smallfirst_recovered_jobs_total", pool="cpu") == 0
    assert router.counted("smallfirst_republished_jobs_total", pool="cpu") == 3

    redis.xclaim(BULK, POOL_GROUP, "cpu/host/1/dead", 0, entries, idle=60_000, justid=True)
    router.router.recover()
    assert router.counted("smallfirst_recovered_jobs_total", pool="cpu") == 3
    assert router.counted("smallfirst_republished_jobs_total", pool="cpu") == 3


def test_more_than_a_page_is_recovered_at_once(redis: Any, redis_url: str, catalogue: Path) -> None:
    """A dead worker's jobs start elsewhere within seconds, however long their texts are."""
    router = Stepped(redis_url, catalogue, read_bytes=65_536)
    for number in range(10):
        submit(redis, Job(id=f"j-{number}", task="topic", text="x" * 40_000))
    while redis.xlen(OWN.jobs):
        router.router.step()
    entries = [entry for entry, _ in redis.xrange(BULK)]
    leave(redis, BULK, POOL_GROUP, "cpu/host/1/dead", entries)
    router.router.recover()
    assert router.counted("smallfirst_recovered_jobs_total", pool="cpu") == 10
