"""How much a router takes in at once: by bytes as well as by count, unread or recovered."""

from datetime import timedelta
from typing import Any

import pytest

from smallfirst.jobs import Priority
from smallfirst.ledger.bounds import Bounds
from smallfirst.ledger.entries import Portion, StreamEntry
from smallfirst.ledger.keys import POOL_GROUP, QUEUE_CONSUMER, ROUTER_GROUP, Keys
from smallfirst.ledger.ledger import FRAMING_BYTES, RECOVERY_COUNT, TAKEN_BYTES, Ledger

KEYS = Keys()
OWN = KEYS.of_producer("default")
BACKLOG = KEYS.backlog("cpu", Priority.BULK)
LEASE = timedelta(seconds=10)
MAX_JOB_BYTES = 10_000
BOUNDS = Bounds(max_job_bytes=MAX_JOB_BYTES, read_bytes=5_000)
#: Whether a read may wait: what ends a wait is not read by a script.
WAYS = {"at once": None, "after a wait": timedelta(milliseconds=20)}


def ledger_of(redis: Any, holder: str = "router-a", bounds: Bounds = BOUNDS) -> Ledger:
    """Open the ledger as one holder sees it."""
    ledger = Ledger(redis, KEYS, holder, bounds)
    ledger.open([OWN.jobs, KEYS.escalations], ROUTER_GROUP)
    ledger.open([BACKLOG], POOL_GROUP)
    return ledger


def submit(redis: Any, *jobs: bytes) -> list[str]:
    """Write submissions; return their entries."""
    return [redis.xadd(OWN.jobs, {"job": job}).decode() for job in jobs]


def park(redis: Any, count: int, text: str = "x" * 1000) -> list[str]:
    """Put jobs on the backlog, as triage does."""
    fields = [{"id": f"j-{n}", "job": text, "slip": "{}"} for n in range(count)]
    return [redis.xadd(BACKLOG, each).decode() for each in fields]


def leave(redis: Any, stream: str, group: str, holder: str, entries: list[str]) -> None:
    """Let a holder have had entries in hand for a minute."""
    redis.xreadgroup(group, holder, {stream: ">"}, count=10_000)
    redis.xclaim(stream, group, holder, 0, entries, idle=60_000, justid=True)


def read_all(ledger: Ledger, **more: Any) -> list[StreamEntry]:
    """Read the submissions."""
    return ledger.read([OWN.jobs], ROUTER_GROUP, count=100, **more)


@pytest.mark.parametrize("way", WAYS)
def test_a_read_stops_when_enough_bytes_are_in(redis: Any, way: str) -> None:
    """What is left is read next, in order, and nothing is read twice."""
    ledger = ledger_of(redis)
    entries = submit(redis, *[b"x" * 2000] * 10)
    first = read_all(ledger, block=WAYS[way])
    assert len(first) in (3, 4)
    rest = [*first]
    while found := read_all(ledger):
        rest += found
    assert [entry.entry for entry in rest] == entries


@pytest.mark.parametrize("way", WAYS)
def test_a_read_stops_at_its_count(redis: Any, way: str) -> None:
    """Whatever their size."""
    ledger = ledger_of(redis)
    submit(redis, *[b"x"] * 10)
    assert len(ledger.read([OWN.jobs], ROUTER_GROUP, count=4, block=WAYS[way])) == 4


def test_each_stream_has_its_share_of_a_read(redis: Any) -> None:
    """A stream that has enough for ever stands before no other."""
    ledger = ledger_of(redis)
    submit(redis, *[b"x" * 6000] * 3)
    for _ in range(3):
        redis.xadd(KEYS.escalations, {"id": "a1", "job": "x" * 6000, "slip": "{}"})
    read = ledger.read([KEYS.escalations, OWN.jobs], ROUTER_GROUP, count=100)
    assert [entry.stream for entry in read] == [KEYS.escalations, OWN.jobs]


def test_several_portions_are_read_at_once_each_by_its_own_bounds(redis: Any) -> None:
    """As single reads would; a stream whose group is gone gets it anew, and stops no other."""
    ledger = ledger_of(redis)
    others = KEYS.of_producer("other").jobs
    entries = submit(redis, *[b"x" * 2000] * 5)
    for _ in range(3):
        redis.xadd(KEYS.escalations, {"id": "a1", "job": "x", "slip": "{}"})
    portions = [
        Portion([others], 9, 5000),
        Portion([KEYS.escalations], 2, 5000),
        Portion([OWN.jobs], 9, 3000),
    ]
    read = ledger.read_portions(portions, ROUTER_GROUP)
    assert [entry.stream for entry in read] == [KEYS.escalations] * 2 + [OWN.jobs] * 2
    assert [entry.entry for entry in read[2:]] == entries[:2]
    redis.xadd(others, {"job": "x"})
    assert [each.stream for each in ledger.read_portions(portions[:1], ROUTER_GROUP)] == [others]


def test_what_is_taken_back_at_once_has_a_bound_over_all_producers(redis: Any) -> None:
    """However many producers have documents waiting for room; each gives one at least."""
    ledger, size = ledger_of(redis), TAKEN_BYTES // 8
    streams = [KEYS.of_producer(f"p{number}").jobs for number in range(8)]
    ledger.open(streams, ROUTER_GROUP)
    for stream in streams:
        for _ in range(3):
            redis.xadd(stream, {"job": b"x" * size})
        redis.xreadgroup(ROUTER_GROUP, KEYS.waiting_for(BACKLOG), {stream: ">"})
    taken = ledger.take_waiting(BACKLOG, dict.fromkeys(streams, 3))
    assert [entry.stream for entry in taken] == streams


@pytest.mark.parametrize("way", WAYS)
def test_a_submission_that_is_too_large_is_never_taken_in_whole(redis: Any, way: str) -> None:
    """Its size, hash and beginning are what its dead letter needs; the next one comes whole."""
    ledger = ledger_of(redis)
    raw = b'{"id": "big", "text": "' + b"x" * 2 * MAX_JOB_BYTES
    submit(redis, raw, b"{}")
    [large, *_] = entries = [*read_all(ledger, block=WAYS[way]), *read_all(ledger)]
    assert large.excerpt is not None
    assert large.fields == {}
    digest = "sha1:" + redis.eval("return redis.sha1hex(ARGV[1])", 0, raw).decode()
    assert large.excerpt.size == len(raw)
    assert large.excerpt.digest == digest
    assert large.excerpt.head == raw[:4096]
    assert [entry.fields for entry in entries[1:]] == [{b"job": b"{}"}]


@pytest.mark.parametrize("way", WAYS)
def test_what_stands_beside_a_job_counts_too(redis: Any, way: str) -> None:
    """An entry of many fields is as large as one of a long one."""
    ledger = ledger_of(redis)
    fields: dict[Any, Any] = {f"field-{n}": "x" * 100 for n in range(200)}
    redis.xadd(OWN.jobs, {"job": "{}", **fields})
    [large] = read_all(ledger, block=WAYS[way])
    assert large.excerpt is not None
    assert large.excerpt.size > MAX_JOB_BYTES + FRAMING_BYTES
    assert large.excerpt.head.startswith(b"job={}\nfield-0=x")


def test_what_the_fleet_wrote_is_taken_in_whole(redis: Any) -> None:
    """A slip that grew with its trail is no reason to lose a job."""
    ledger = ledger_of(redis)
    slip = "x" * 2 * MAX_JOB_BYTES
    redis.xadd(KEYS.escalations, {"id": "a1", "job": "{}", "slip": slip})
    [entry] = ledger.read([KEYS.escalations], ROUTER_GROUP, count=1)
    assert entry.fields[b"slip"] == slip.encode()


def test_a_backlog_is_read_without_its_texts(redis: Any) -> None:
    """Batches are formed by slips; a text is fetched where a job ends here, a few at a time."""
    ledger = ledger_of(redis)
    park(redis, 12)
    found: list[StreamEntry] = []
    while read := ledger.read([BACKLOG], POOL_GROUP, count=100, left_out="job"):
        found += read
    assert {frozenset(entry.fields) for entry in found} == {frozenset({b"id", b"slip"})}
    redis.xdel(BACKLOG, found[1].entry)

    pages = list(ledger.whole(found))
    assert [len(page) for page in pages] == [4, 5, 2]
    assert {entry.fields[b"job"] for page in pages for entry in page} == {b"x" * 1000}


def test_recovery_goes_on_page_by_page(redis: Any) -> None:
    """A page has so many bytes; what is not in it stays with whoever left it, for any router."""
    ledger = ledger_of(redis)
    entries = park(redis, 12)
    leave(redis, BACKLOG, POOL_GROUP, "dead", entries)
    found = []
    while page := ledger.recover(BACKLOG, POOL_GROUP, lease=LEASE, queue_timeout=LEASE):
        assert len(page) <= 5
        found += [entry.entry for entry in page]
    assert found == entries


def test_recovery_never_takes_a_submission_in_that_is_too_large(redis: Any) -> None:
    """Whoever read it first may have died of it."""
    ledger = ledger_of(redis)
    entries = submit(redis, b"x" * 3 * MAX_JOB_BYTES)
    leave(redis, OWN.jobs, ROUTER_GROUP, "dead", entries)
    [found] = ledger.recover(OWN.jobs, ROUTER_GROUP, lease=LEASE, queue_timeout=LEASE)
    assert found.excerpt is not None
    assert (found.excerpt.size, len(found.excerpt.head)) == (3 * MAX_JOB_BYTES, 4096)


def test_the_queue_stands_before_no_dead_worker(redis: Any) -> None:
    """Work of the dead is found at once, however much waits in patience before it."""
    ledger = ledger_of(redis)
    entries = park(redis, RECOVERY_COUNT + 10, "x")
    waiting, left = entries[:-10], entries[-10:]
    leave(redis, BACKLOG, POOL_GROUP, QUEUE_CONSUMER, waiting)
    redis.xclaim(BACKLOG, POOL_GROUP, "dead", 0, left, idle=60_000, justid=True)
    patience = timedelta(hours=1)
    found = ledger.recover(BACKLOG, POOL_GROUP, lease=LEASE, queue_timeout=patience)
    assert [entry.entry for entry in found] == left


def test_the_dead_come_before_what_waited_too_long(redis: Any) -> None:
    """Where both are due, the first page has what somebody had begun."""
    ledger = ledger_of(redis)
    entries = park(redis, 12)
    leave(redis, BACKLOG, POOL_GROUP, QUEUE_CONSUMER, entries[:-2])
    redis.xclaim(BACKLOG, POOL_GROUP, "worker-z", 0, entries[-2:], idle=60_000, justid=True)
    found = ledger.recover(BACKLOG, POOL_GROUP, lease=LEASE, queue_timeout=LEASE)
    assert [entry.holder for entry in found[:3]] == ["worker-z", "worker-z", QUEUE_CONSUMER]


def test_when_a_job_from_the_future_was_first_seen_is_known_to_all(redis: Any) -> None:
    """Whoever reads it next, its deadline does not begin anew, until it has ended."""
    far = "9999999999999-0"
    entries = [StreamEntry(OWN.jobs, far, {}), StreamEntry(OWN.jobs, "1000-0", {})]
    [first, past] = ledger_of(redis).first_seen.note(entries, now_ms=5_000)
    [again, _] = ledger_of(redis, "router-b").first_seen.note(entries, now_ms=9_000)
    assert (first.written_ms(9_000), again.written_ms(9_000)) == (5_000, 5_000)
    assert past.written_ms(9_000) == 1_000
    ledger_of(redis).first_seen.forget([first, past])
    assert not redis.exists(OWN.first_seen(far))
