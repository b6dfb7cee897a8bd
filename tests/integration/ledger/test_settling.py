"""How an entry ends: written once, booked once, and nothing is left."""

from datetime import timedelta
from typing import Any

import pytest
from redis.exceptions import ResponseError
from tests.support.ledgers import (
    BACKLOG,
    KEYS,
    OWN,
    dispatched,
    finish_of,
    holder_of,
    ledger_of,
    queued_again,
    stored,
    submission,
)
from tests.support.notices import Notices
from tests.support.shapes import attempt_for, result_for, slip_for

from smallfirst.answers import LabelAnswer
from smallfirst.jobs import Outcome, Status
from smallfirst.ledger.books import Cell, Spent, book_of
from smallfirst.ledger.bounds import Bounds
from smallfirst.ledger.keys import POOL_GROUP, ROUTER_GROUP
from smallfirst.ledger.ledger import Ledger
from smallfirst.ledger.routing_slips import RoutingSlip
from smallfirst.ledger.settlements import Finish, Move, Settled


def test_two_answers_make_one_result(redis: Any, notices: Notices) -> None:
    """Whoever settles first wins; the other is fenced, and the result does not change."""
    [entry] = dispatched(redis, "a1")
    first, second = ledger_of(redis, "worker-a"), ledger_of(redis, "worker-b")
    first.claim(BACKLOG, [entry])
    queued_again(redis, entry)
    second.claim(BACKLOG, [entry])
    assert second.settle(
        BACKLOG, POOL_GROUP, [finish_of(entry, metadata={"from": "b"})]
    ) == Settled(results=1)
    assert first.settle(BACKLOG, POOL_GROUP, [finish_of(entry, metadata={"from": "a"})]) == Settled(
        fenced=1
    )
    assert stored(redis) == result_for(metadata={"from": "b"})
    assert notices.of("me") == ["a1"]


def test_a_job_escalates_once(redis: Any) -> None:
    """Two workers that were both unsure make one escalation."""
    [entry] = dispatched(redis, "a1")
    back = Move(entry=entry, job_id="a1", job=b"{}", slip=slip_for(), to=KEYS.escalations)
    worker = ledger_of(redis, "worker-a")
    worker.claim(BACKLOG, [entry])
    assert worker.settle(BACKLOG, POOL_GROUP, [back]) == Settled(moves=1)
    assert worker.settle(BACKLOG, POOL_GROUP, [back]) == Settled(fenced=1)
    assert redis.xlen(KEYS.escalations) == 1


def test_an_entry_that_could_not_be_settled_stays_pending(redis: Any) -> None:
    """What comes of an entry is written before it is acknowledged: an error leaves it in hand."""
    [entry] = dispatched(redis, "a1")
    worker = ledger_of(redis, "worker-a")
    worker.claim(BACKLOG, [entry])
    redis.set(OWN.job("a1"), "not a hash", ex=60)
    with pytest.raises(ResponseError):
        worker.settle(BACKLOG, POOL_GROUP, [finish_of(entry)])
    assert holder_of(redis, entry)[0] == "worker-a"


def test_a_stream_that_refuses_stops_no_other(redis: Any) -> None:
    """What is settled of several at once is settled of each by itself, scripts forgotten or not."""
    ledger = ledger_of(redis)
    ended = [submission(redis, "a1")]
    broken = KEYS.of_producer("broken").jobs
    redis.set(broken, "no stream")
    redis.script_flush()
    refused = ledger.settle_streams({broken: ended, OWN.jobs: ended}, ROUTER_GROUP)
    assert list(refused) == [broken]
    assert "WRONGTYPE" in str(refused[broken])
    assert redis.xlen(BACKLOG) == 1
    assert redis.xlen(OWN.jobs) == 0


def test_what_was_spent_is_booked_once(redis: Any) -> None:
    """A fenced answer has cost its worker's time: that is booked, and apart from what counts."""
    [entry] = dispatched(redis, "a1")
    ledger = ledger_of(redis)
    ledger.claim(BACKLOG, [entry])
    spent = attempt_for(seconds=0.25, cost=0.001)
    done = Finish(entry=entry, producer="default", result=result_for("a1"), spent=(spent,))
    for _ in range(2):
        ledger.settle(BACKLOG, POOL_GROUP, [done])
    [key] = redis.keys(KEYS.booked("*"))
    booked = redis.hgetall(key)
    assert booked[b"topic:0:accepted:jobs"] == b"1"
    assert float(booked[b"topic:0:accepted:seconds"]) == pytest.approx(0.25)
    assert float(booked[b"topic:0:accepted:cost"]) == pytest.approx(0.001)
    assert booked[b"topic:0:fenced:jobs"] == b"1"
    assert float(booked[b"topic:0:fenced:seconds"]) == pytest.approx(0.25)
    assert not [name for name in booked if name.endswith((b":joules", b":tokens"))]


def test_every_attempt_of_a_row_is_booked_and_what_it_changed(redis: Any) -> None:
    """A router asks several steps in one round; a submission that was answered before costs too."""
    ledger = ledger_of(redis)
    unsure = attempt_for(outcome=Outcome.ESCALATED, seconds=0.5, joules=2.0, tokens=3, **said("a"))
    sure = attempt_for(step=1, seconds=0.25, tokens=4, tokens_written=1, **said("b"))
    for _ in range(2):
        redis.xadd(OWN.jobs, {"job": "{}"})
        [entry] = ledger.read([OWN.jobs], ROUTER_GROUP, count=1)
        result = result_for("a1", trail=(unsure, sure), fingerprint="f1")
        row = Finish(
            entry=entry.entry,
            producer="default",
            result=result,
            is_first_seen=True,
            spent=(unsure, sure),
        )
        ledger.settle(OWN.jobs, ROUTER_GROUP, [row])
    [key] = redis.keys(KEYS.booked("*"))
    told = {name.decode(): float(value) for name, value in redis.hgetall(key).items()}
    assert book_of(told) == {
        Cell("topic", 0, "escalated"): Spent(1, 0.5, num_tokens=3, joules=2.0, metered_seconds=0.5),
        Cell("topic", 1, "accepted"): Spent(
            1, 0.25, num_tokens=4, num_written=1, num_compared=1, num_changed=1
        ),
        Cell("topic", 0, "fenced"): Spent(1, 0.5, num_tokens=3, joules=2.0, metered_seconds=0.5),
        Cell("topic", 1, "fenced"): Spent(1, 0.25, num_tokens=4, num_written=1),
    }


def said(label: str) -> dict[str, Any]:
    """An answer of an attempt."""
    return {"answer": LabelAnswer(label=label, confidence=0.5)}


def test_nothing_is_kept_for_ever(redis: Any) -> None:
    """Results, job records and raw dead letters all have a TTL; who waits leaves no key."""
    bounds = Bounds(result_ttl=timedelta(seconds=5))
    ledger = Ledger(redis, KEYS, "router-a", bounds)
    ledger.open([OWN.jobs], ROUTER_GROUP)
    ledger.settle(OWN.jobs, ROUTER_GROUP, [submission(redis, "a1")])
    [entry] = ledger_of(redis).read([BACKLOG], POOL_GROUP, count=1)
    assert redis.ttl(OWN.job("a1")) > 0
    ledger.settle(BACKLOG, POOL_GROUP, [finish_of(entry.entry)])
    assert 0 < redis.ttl(OWN.result("a1")) <= 5
    assert not redis.exists(OWN.results("me"))
    assert 0 < redis.ttl(OWN.job("a1")) <= 5
    assert set(redis.hkeys(OWN.job("a1"))) == {b"status", b"fingerprint"}


def test_a_text_of_any_kind_passes_through_unchanged(redis: Any) -> None:
    """Bytes are bytes: quotes, NUL, line breaks and emoji survive a move and a result."""
    body = '{"text":"a\\u0000\\n\\" \U0001f9c2"}'
    ledger = ledger_of(redis)
    redis.xadd(OWN.jobs, {"job": body})
    [entry] = ledger.read([OWN.jobs], ROUTER_GROUP, count=1)
    slip = slip_for(task=body)
    move = Move(entry=entry.entry, job_id="a1", job=body.encode(), slip=slip, to=BACKLOG)
    ledger.settle(OWN.jobs, ROUTER_GROUP, [move])
    [parked] = ledger.read([BACKLOG], POOL_GROUP, count=1)
    assert parked.fields[b"job"].decode() == body
    assert RoutingSlip.model_validate_json(parked.fields[b"slip"]) == slip


def test_a_result_reads_back_as_it_was_written(redis: Any) -> None:
    """What a worker wrote is what the producer's model reads."""
    [entry] = dispatched(redis, "a1")
    ledger = ledger_of(redis)
    ledger.claim(BACKLOG, [entry])
    written = result_for("a1", Status.EXPIRED, metadata={"a": '\u0000\n" \U0001f9c2'})
    ledger.settle(BACKLOG, POOL_GROUP, [Finish(entry=entry, producer="default", result=written)])
    assert stored(redis) == written
