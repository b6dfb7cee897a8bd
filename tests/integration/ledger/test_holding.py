"""Who holds an entry, on a real Redis: from its first read to its end."""

from collections.abc import Collection, Iterable
from datetime import timedelta
from typing import Any

import pytest
from tests.support.ledgers import (
    BACKLOG,
    KEYS,
    LEASE,
    NO_TIME,
    OWN,
    cancellation,
    dispatched,
    finish_of,
    holder_of,
    ledger_of,
    park,
    queued_again,
    stored,
    submission,
)
from tests.support.notices import Notices
from tests.support.shapes import result_for

from smallfirst.jobs import Status
from smallfirst.ledger.keys import POOL_GROUP, QUEUE_CONSUMER, ROUTER_GROUP
from smallfirst.ledger.settlements import Settled, Wait


def test_an_entry_is_pending_until_it_is_settled(redis: Any, notices: Notices) -> None:
    """Read, queued, claimed: through all of it the entry stays, and then it is gone."""
    [entry] = dispatched(redis, "a1")
    assert holder_of(redis, entry) == (QUEUE_CONSUMER, 1)

    worker = ledger_of(redis, "worker-a")
    [claimed] = worker.claim(BACKLOG, [entry])[1]
    assert (claimed.fields[b"id"], claimed.starts) == (b"a1", 1)
    assert holder_of(redis, entry) == ("worker-a", 2)

    assert worker.settle(BACKLOG, POOL_GROUP, [finish_of(entry)]) == Settled(results=1)
    assert redis.xlen(BACKLOG) == 0
    assert redis.xpending(BACKLOG, POOL_GROUP)["pending"] == 0
    assert notices.of("me") == ["a1"]


def test_a_doubled_message_claims_nothing(redis: Any) -> None:
    """What one worker holds, another leaves alone."""
    entries = dispatched(redis, "a1", "a2")
    _, first = ledger_of(redis, "worker-a").claim(BACKLOG, entries)
    _, second = ledger_of(redis, "worker-b").claim(BACKLOG, entries)
    assert [entry.entry for entry in first] == entries
    assert second == []


def test_a_late_message_claims_nothing(redis: Any) -> None:
    """What is settled stays settled."""
    [entry] = dispatched(redis, "a1")
    worker = ledger_of(redis, "worker-a")
    worker.claim(BACKLOG, [entry])
    worker.settle(BACKLOG, POOL_GROUP, [finish_of(entry)])
    assert worker.claim(BACKLOG, [entry])[1] == []


def test_a_lease_that_ran_out_is_a_router_s_to_end(redis: Any) -> None:
    """However long its holder is silent, no worker takes an entry but from the queue."""
    [entry] = dispatched(redis, "a1")
    ledger_of(redis, "worker-a").claim(BACKLOG, [entry])
    other, hour_ms = ledger_of(redis, "worker-b"), 3_600_000
    redis.xclaim(BACKLOG, POOL_GROUP, "worker-a", 0, [entry], idle=hour_ms, justid=True)
    assert other.claim(BACKLOG, [entry])[1] == []
    queued_again(redis, entry)
    [again] = other.claim(BACKLOG, [entry], starts=1)[1]
    assert (again.entry, again.starts) == (entry, 2)


def test_what_was_given_back_is_claimed_from_the_queue_alone(redis: Any) -> None:
    """It is nobody's, and a copy of the message that brought it must not start it as it was."""
    [entry] = dispatched(redis, "a1")
    worker, other = ledger_of(redis, "worker-a"), ledger_of(redis, "worker-b")
    worker.claim(BACKLOG, [entry], starts=0)
    worker.give_back(BACKLOG, {entry: 1}, LEASE, is_undone=False)
    assert other.claim(BACKLOG, [entry])[1] == worker.claim(BACKLOG, [entry])[1] == []


def test_an_old_message_claims_nothing_of_what_came_back(redis: Any) -> None:
    """What ended its worker would travel with all its first batch-mates once more."""
    entries = dispatched(redis, "a1", "a2", "a3")
    ledger_of(redis, "worker-a").claim(BACKLOG, entries[:2], starts=0)
    queued_again(redis, *entries)
    old = ledger_of(redis, "worker-b").claim(BACKLOG, entries, starts=0)[1]
    assert [(each.entry, each.starts) for each in old] == [(entries[2], 1)]
    new = ledger_of(redis, "worker-c").claim(BACKLOG, entries[:2], starts=1)[1]
    assert [(each.entry, each.starts) for each in new] == [(each, 2) for each in entries[:2]]


def test_a_message_that_tells_no_starts_claims_what_is_queued(redis: Any) -> None:
    """A router of the version before wrote it, while a new one is rolled out."""
    [entry, other] = dispatched(redis, "a1", "a2")
    ledger_of(redis, "worker-a").claim(BACKLOG, [entry])
    queued_again(redis, entry, other)
    claimed = ledger_of(redis, "worker-b").claim(BACKLOG, [entry, other])[1]
    assert [each.starts for each in claimed] == [2, 1]


def test_a_start_that_was_taken_back_leaves_its_number(redis: Any) -> None:
    """The message that is published next tells as many starts, and claims the entry."""
    [entry] = dispatched(redis, "a1")
    worker = ledger_of(redis, "worker-a")
    worker.claim(BACKLOG, [entry], starts=0)
    worker.give_back(BACKLOG, {entry: 1}, LEASE, is_undone=True)
    queued_again(redis, entry)
    [again] = ledger_of(redis, "worker-b").claim(BACKLOG, [entry], starts=0)[1]
    assert again.starts == 1


def test_renewing_keeps_the_lease_and_counts_no_start(redis: Any) -> None:
    """A renewed entry is its worker's; one that another started is left with that one."""
    first, second = dispatched(redis, "a1", "a2")
    mine, other = ledger_of(redis, "worker-a"), ledger_of(redis, "worker-b")
    mine.claim(BACKLOG, [first, second])
    queued_again(redis, second)
    other.claim(BACKLOG, [second])
    assert mine.keep(BACKLOG, {first: 1, second: 1}) == {first, second}
    assert holder_of(redis, first) == ("worker-a", 2)
    assert holder_of(redis, second) == ("worker-b", 3)
    other.settle(BACKLOG, POOL_GROUP, [finish_of(second)])
    assert mine.keep(BACKLOG, {first: 1, second: 1}) == {first}


@pytest.mark.parametrize("next_holder", ["router-b", QUEUE_CONSUMER, "worker-b"])
def test_a_late_answer_counts_while_there_is_none(redis: Any, next_holder: str) -> None:
    """Whoever has the entry by then: the work was done, and who is first ends the job."""
    [entry] = dispatched(redis, "a1")
    late, router = ledger_of(redis, "worker-a"), ledger_of(redis, "router-b")
    late.claim(BACKLOG, [entry])
    router.recover(BACKLOG, POOL_GROUP, lease=NO_TIME, queue_timeout=NO_TIME)
    if next_holder != "router-b":
        router.queue(BACKLOG, [entry])
    if next_holder == "worker-b":
        ledger_of(redis, next_holder).claim(BACKLOG, [entry])
    assert holder_of(redis, entry)[0] == next_holder
    assert late.settle(BACKLOG, POOL_GROUP, [finish_of(entry)]) == Settled(results=1)
    assert stored(redis) == result_for()
    assert redis.xpending(BACKLOG, POOL_GROUP)["pending"] == 0


def test_who_has_not_worked_on_a_job_ends_it_in_its_own_hands_alone(redis: Any) -> None:
    """A router that wants to give a job up must not take it from a worker that took it back."""
    [entry] = dispatched(redis, "a1")
    worker, router = ledger_of(redis, "worker-a"), ledger_of(redis, "router-b")
    worker.claim(BACKLOG, [entry])
    router.recover(BACKLOG, POOL_GROUP, lease=NO_TIME, queue_timeout=NO_TIME)
    worker.keep(BACKLOG, {entry: 1})
    failed = finish_of(entry, status=Status.FAILED)
    assert router.settle(BACKLOG, POOL_GROUP, [failed], must_hold=True) == Settled(fenced=1)
    assert holder_of(redis, entry) == ("worker-a", 2)


def test_two_routers_cannot_undo_each_other(redis: Any) -> None:
    """One that took longer than a lease ends what it decided, whoever took its reading over."""
    slow, other = ledger_of(redis, "router-a"), ledger_of(redis, "router-b")
    moves = [submission(redis, "a1"), submission(redis, "a2")]
    other.recover(OWN.jobs, ROUTER_GROUP, lease=NO_TIME, queue_timeout=NO_TIME)
    assert slow.settle(OWN.jobs, ROUTER_GROUP, moves) == Settled(moves=2)
    assert other.settle(OWN.jobs, ROUTER_GROUP, moves) == Settled(fenced=2)
    assert redis.xlen(BACKLOG) == 2


def test_of_many_entries_each_is_renewed_for_itself(redis: Any) -> None:
    """In whatever order they are named, and whoever has every third of them by now."""
    router, worker = ledger_of(redis, "@router/r"), ledger_of(redis, "worker-a")
    entries = dispatched(redis, *(f"a{number}" for number in range(600)))
    redis.xclaim(BACKLOG, POOL_GROUP, "@router/r", 0, entries, justid=True)
    taken, kept = entries[::3], set(entries) - set(entries[::3])
    redis.xclaim(BACKLOG, POOL_GROUP, QUEUE_CONSUMER, 0, taken, justid=True)
    _make_silent(redis, "@router/r", kept)
    backwards = sorted(entries, reverse=True)
    assert router.renew(BACKLOG, POOL_GROUP, backwards) == kept
    assert _silent_for(redis, "@router/r", kept) < 60_000
    assert router.queue(BACKLOG, backwards) == kept
    assert len(worker.claim(BACKLOG, backwards)[1]) == 600


def test_of_many_starts_each_is_kept_for_itself(redis: Any) -> None:
    """What has ended is left out, what a router took over is taken back, no other's start is."""
    entries = dispatched(redis, *(f"a{number}" for number in range(400)))
    worker, other = ledger_of(redis, "worker-a"), ledger_of(redis, "worker-b")
    started = {claimed.entry: claimed.starts for claimed in worker.claim(BACKLOG, entries)[1]}
    ended, taken_over, restarted = entries[::4], entries[1::4], entries[2::4]
    worker.settle(
        BACKLOG, POOL_GROUP, [finish_of(entry, f"a{4 * n}") for n, entry in enumerate(ended)]
    )
    queued_again(redis, *restarted)
    assert len(other.claim(BACKLOG, restarted, starts=1)[1]) == len(restarted)
    redis.xclaim(BACKLOG, POOL_GROUP, "@router/r", 0, taken_over, justid=True)
    assert worker.keep(BACKLOG, started) == set(entries) - set(ended)
    assert {holder_of(redis, entry) for entry in taken_over} == {("worker-a", 2)}
    assert {holder_of(redis, entry) for entry in restarted} == {("worker-b", 3)}


def test_a_cancelled_entry_among_many_is_settled_no_second_time(redis: Any) -> None:
    """The cancellation takes it out of the hands that settle it in the same call."""
    router = ledger_of(redis, "@router/r")
    moves = [submission(redis, f"a{number}") for number in range(20)]
    waiting = Wait(
        entry=moves[7].entry,
        producer="default",
        job_id="a7",
        to=KEYS.waiting_for(BACKLOG),
        expires_ms=2**42,
        fingerprint="f1",
    )
    assert router.settle(OWN.jobs, ROUTER_GROUP, [waiting]) == Settled(waiting=1)
    asked, entries = cancellation(redis, "a7"), [move.entry for move in moves]
    redis.xclaim(OWN.jobs, ROUTER_GROUP, "@router/r", 0, [*entries, asked.entry], justid=True)
    settled = router.settle(OWN.jobs, ROUTER_GROUP, [asked, *moves])
    assert settled == Settled(results=1, moves=19, fenced=1)
    assert (redis.xlen(OWN.jobs), redis.xlen(BACKLOG)) == (0, 19)


def _make_silent(redis: Any, holder: str, entries: Iterable[str]) -> None:
    """Let a minute pass since a holder was heard of."""
    redis.xclaim(BACKLOG, POOL_GROUP, holder, 0, list(entries), idle=60_000, justid=True)


def _silent_for(redis: Any, holder: str, entries: Collection[str]) -> int:
    """The longest silence about any of these entries, in milliseconds."""
    found = redis.xpending_range(BACKLOG, POOL_GROUP, "-", "+", 10_000, consumername=holder)
    silent: dict[str, int] = {
        each["message_id"].decode(): each["time_since_delivered"] for each in found
    }
    return max(silent[entry] for entry in entries)


def test_recovery_takes_what_a_dead_holder_had(redis: Any) -> None:
    """Past the lease an entry is its finder's, with its text and its starts."""
    [entry] = dispatched(redis, "a1")
    ledger_of(redis, "worker-a").claim(BACKLOG, [entry])
    router = ledger_of(redis, "router-b")
    assert router.recover(BACKLOG, POOL_GROUP, lease=LEASE, queue_timeout=LEASE) == []
    [found] = router.recover(BACKLOG, POOL_GROUP, lease=NO_TIME, queue_timeout=NO_TIME)
    assert (found.entry, found.starts, found.fields[b"id"]) == (entry, 1, b"a1")
    assert holder_of(redis, entry) == ("router-b", 2)


def test_recovery_is_more_patient_with_the_queue(redis: Any) -> None:
    """A batch that waits its turn is not lost: it has not started, so it has no lease."""
    [entry] = dispatched(redis, "a1")
    router = ledger_of(redis, "router-b")
    assert router.recover(BACKLOG, POOL_GROUP, lease=NO_TIME, queue_timeout=LEASE) == []
    [found] = router.recover(BACKLOG, POOL_GROUP, lease=NO_TIME, queue_timeout=NO_TIME)
    assert (found.entry, found.starts) == (entry, 0)


def test_a_router_that_comes_back_publishes_nothing_it_lost(redis: Any) -> None:
    """What another router took over while this one was paused is not passed to the queue."""
    park(redis, "a1")
    paused, other = ledger_of(redis, "router-a"), ledger_of(redis, "router-b")
    [entry] = paused.read([BACKLOG], POOL_GROUP, count=1)
    other.recover(BACKLOG, POOL_GROUP, lease=NO_TIME, queue_timeout=NO_TIME)
    assert paused.queue(BACKLOG, [entry.entry]) == set()
    assert other.queue(BACKLOG, [entry.entry]) == {entry.entry}


def test_what_is_released_is_found_at_once(redis: Any) -> None:
    """A draining holder's work starts elsewhere without waiting for its lease."""
    [entry] = dispatched(redis, "a1")
    worker = ledger_of(redis, "worker-a")
    worker.claim(BACKLOG, [entry])
    worker.give_back(BACKLOG, {entry: 1}, LEASE, is_undone=True)
    router = ledger_of(redis, "router-b")
    [found] = router.recover(BACKLOG, POOL_GROUP, lease=LEASE, queue_timeout=LEASE)
    assert (found.entry, found.starts) == (entry, 0)


def test_a_job_that_has_its_result_is_not_started(redis: Any) -> None:
    """A cancelled job is dropped when a worker reaches for it."""
    [entry] = dispatched(redis, "a1")
    redis.set(OWN.result("a1"), "{}", ex=60)
    assert ledger_of(redis, "worker-a").claim(BACKLOG, [entry])[1] == []
    assert redis.xlen(BACKLOG) == 0


def test_a_router_that_died_after_reading_harms_nobody(redis: Any) -> None:
    """The same entry, triaged again by another router, is no duplicate of itself."""
    ledger = ledger_of(redis)
    first = submission(redis, "a1")
    redis.hset(OWN.job("a1"), mapping={"origin": first.entry, "fingerprint": "f1", "reply": "me"})
    redis.expire(OWN.job("a1"), 60)
    assert ledger.settle(OWN.jobs, ROUTER_GROUP, [first]) == Settled(moves=1)


def test_workers_are_counted_while_they_beat(redis: Any) -> None:
    """A worker counts from its first beat until it leaves, or is silent for too long."""
    one, two = ledger_of(redis, "worker-a"), ledger_of(redis, "worker-b")
    assert one.lives.beat("cpu") == 1
    assert two.lives.beat("cpu") == 2
    assert one.lives.beat("cpu", leaving=True) == 1
    redis.zadd(KEYS.workers("cpu"), {"worker-b": 1})
    assert one.lives.count("cpu") == 0


def test_a_flushed_redis_gets_its_groups_back(redis: Any) -> None:
    """A failover to an empty replica costs what was on it, and no restart."""
    ledger = ledger_of(redis)
    redis.flushall()
    assert ledger.read([OWN.jobs], ROUTER_GROUP, count=1) == []
    redis.xadd(OWN.jobs, {"job": "{}"})
    assert len(ledger.read([OWN.jobs], ROUTER_GROUP, count=1)) == 1


def test_holders_that_hold_nothing_are_forgotten(redis: Any) -> None:
    """Restarts do not make the list of consumers grow; who holds something stays."""
    park(redis, "a1")
    ledger_of(redis, "holds").read([BACKLOG], POOL_GROUP, count=1)
    ledger_of(redis, "idles").read([BACKLOG], POOL_GROUP, count=1)
    ledger_of(redis).tidy([BACKLOG], POOL_GROUP, idle=timedelta(milliseconds=-1))
    names = {consumer["name"] for consumer in redis.xinfo_consumers(BACKLOG, POOL_GROUP)}
    assert names == {b"holds"}
