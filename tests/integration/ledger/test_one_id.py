"""One id: submitted again, refused, corrected, cancelled; it has one end."""

from dataclasses import replace
from typing import Any

import pytest
from tests.support.ledgers import (
    BACKLOG,
    KEYS,
    OWN,
    cancellation,
    ended,
    finish_of,
    ledger_of,
    refusal_of,
    stored,
    submission,
)
from tests.support.notices import Notices
from tests.support.shapes import result_for, slip_for

from smallfirst.answers import RecordAnswer
from smallfirst.jobs import Problem
from smallfirst.ledger.bounds import MAX_WAITERS
from smallfirst.ledger.keys import POOL_GROUP, ROUTER_GROUP
from smallfirst.ledger.routing_slips import DeadLetter
from smallfirst.ledger.settlements import Finish, Move, Settled
from smallfirst.shadow.copies import SHADOW

#: Words by which scripts, routers and clients decide, as a producer or a model may write them.
WORDS_OF_THE_WIRE: dict[str, Any] = {
    "status": "refused",
    "fingerprint": "f2",
    '"status":"refused"': '"status":"refused"',
    "letter": '{"reason":"id_conflict"}',
    "origin": "0-1",
}


def test_the_same_submission_twice_runs_once(redis: Any, notices: Notices) -> None:
    """The second waits for the first's result, and both producers are told."""
    ledger = ledger_of(redis)
    first, second = submission(redis, "a1"), submission(redis, "a1", reply_to="you")
    assert ledger.settle(OWN.jobs, ROUTER_GROUP, [first, second]) == Settled(moves=1, joined=1)
    assert redis.xlen(BACKLOG) == 1

    [entry] = ledger.read([BACKLOG], POOL_GROUP, count=10)
    ledger.settle(BACKLOG, POOL_GROUP, [finish_of(entry.entry)])
    assert notices.of("me") == notices.of("you") == ["a1"]
    assert redis.xlen(KEYS.dead) == 0


def submitted_again(redis: Any, count: int, first: int) -> float:
    """Submit one job under many names to reply to; return the seconds that settling took."""
    for _ in range(count):
        redis.xadd(OWN.jobs, {"job": "{}"})
    ledger = ledger_of(redis)
    entries = ledger.read([OWN.jobs], ROUTER_GROUP, count=count)
    rows = [
        Move(
            entry=entry.entry,
            job_id="a1",
            job=b"{}",
            slip=slip_for(),
            to=BACKLOG,
            reply_to=f"waiter-{first + number}",
            fingerprint="f1",
            is_first_seen=True,
        )
        for number, entry in enumerate(entries)
    ]
    began = cpu_seconds(redis)
    ledger.settle(OWN.jobs, ROUTER_GROUP, rows)
    return cpu_seconds(redis) - began


def cpu_seconds(redis: Any) -> float:
    """What Redis has computed so far; a busy machine does not lengthen it."""
    used = redis.info("cpu")
    return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])


def test_those_who_wait_for_one_job_are_bounded(redis: Any, notices: Notices) -> None:
    """However often one id is submitted, the record of who waits stays as small, and as quick."""
    seconds = [submitted_again(redis, 2000, 2000 * turn) for turn in range(4)]
    waiting = redis.hget(OWN.job("a1"), "reply").decode().split("\n")
    assert waiting == [f"waiter-{number}" for number in range(MAX_WAITERS)]
    assert seconds[-1] < 5 * seconds[0]
    ledger = ledger_of(redis)
    [entry] = ledger.read([BACKLOG], POOL_GROUP, count=10)
    ledger.settle(BACKLOG, POOL_GROUP, [finish_of(entry.entry)])
    assert notices.of("waiter-0") == notices.of(f"waiter-{MAX_WAITERS - 1}") == ["a1"]
    assert notices.of(f"waiter-{MAX_WAITERS}") == []


def test_a_submission_after_the_result_is_answered_from_it(redis: Any, notices: Notices) -> None:
    """Asking again under the same id gets the result that stands."""
    result = ended(redis)
    ledger = ledger_of(redis)
    again = submission(redis, "a1", reply_to="you")
    assert ledger.settle(OWN.jobs, ROUTER_GROUP, [again]) == Settled(joined=1)
    assert notices.of("you") == ["a1"]
    assert stored(redis) == result
    assert redis.xlen(KEYS.dead) == 0


@pytest.mark.parametrize("is_done", [False, True], ids=["in flight", "done"])
def test_another_job_under_the_same_id_is_a_dead_letter(redis: Any, *, is_done: bool) -> None:
    """The first job stands; the other is not lost without a word."""
    ledger = ledger_of(redis)
    if is_done:
        ended(redis)
    else:
        ledger.settle(OWN.jobs, ROUTER_GROUP, [submission(redis, "a1")])
    ledger.settle(OWN.jobs, ROUTER_GROUP, [submission(redis, "a1", "f2")])
    [(entry, fields)] = redis.xrange(KEYS.dead)
    assert DeadLetter.model_validate_json(fields[b"letter"]).reason == "id_conflict"
    assert redis.get(KEYS.dead_raw(entry.decode())) == b"{}"


@pytest.mark.parametrize("is_done", [False, True], ids=["in flight", "done"])
def test_a_copy_in_shadow_leaves_no_letter_though_another_has_its_id(
    redis: Any, *, is_done: bool
) -> None:
    """One candidate was put in another's place; the job's text is kept nowhere for that."""
    ledger = ledger_of(redis)
    own = KEYS.of_producer(SHADOW)

    def copied(fingerprint: str) -> Move:
        redis.xadd(KEYS.escalations, {"producer": SHADOW, "id": "c1", "job": "{}", "slip": "{}"})
        [entry] = ledger.read([KEYS.escalations], ROUTER_GROUP, count=1)
        slip = slip_for(producer=SHADOW)
        return replace(
            submission(redis, "c1", fingerprint), entry=entry.entry, slip=slip, job=b'"a text"'
        )

    ledger.settle(KEYS.escalations, ROUTER_GROUP, [copied("f1")])
    if is_done:
        [entry] = ledger.read([BACKLOG], POOL_GROUP, count=1)
        end = replace(finish_of(entry.entry, "c1"), producer=SHADOW)
        ledger.settle(BACKLOG, POOL_GROUP, [end])
        assert redis.exists(own.result("c1"))
    ended_so = ledger.settle(KEYS.escalations, ROUTER_GROUP, [copied("f2")])
    assert ended_so == Settled(joined=1)
    assert (redis.xlen(KEYS.dead), redis.keys(KEYS.dead_raw("*"))) == (0, [])


def at_once(redis: Any, fingerprint: str = "f1") -> Finish:
    """Submit a job, and say that the router answers it without a step in between."""
    move = submission(redis, "a1", fingerprint)
    result = result_for("a1", fingerprint=fingerprint)
    return Finish(
        entry=move.entry, producer="default", result=result, reply_to="me", is_first_seen=True
    )


def test_what_is_answered_at_once_is_one_job_under_its_id(redis: Any, notices: Notices) -> None:
    """A repeat is told of the result, another job is a dead letter, and none was ever in flight."""
    ledger = ledger_of(redis)
    same, other = at_once(redis), at_once(redis, "f2")
    assert ledger.settle(OWN.jobs, ROUTER_GROUP, [at_once(redis)]) == Settled(results=1)
    assert redis.hgetall(OWN.job("a1")) == {b"status": b"answered", b"fingerprint": b"f1"}
    assert ledger.settle(OWN.jobs, ROUTER_GROUP, [same, other]) == Settled(joined=2)
    assert notices.of("me") == ["a1", "a1", "a1"]
    assert stored(redis) == result_for("a1", fingerprint="f1")
    [(entry, _)] = redis.xrange(KEYS.dead)
    assert redis.get(KEYS.dead_raw(entry.decode())) == b"{}"
    assert (redis.xlen(OWN.jobs), redis.zcard(KEYS.due)) == (0, 0)


def test_a_submission_that_is_gone_stops_none_beside_it(redis: Any) -> None:
    """A producer may delete one between its read and its end; the letter has no text then."""
    ledger = ledger_of(redis)
    ledger.settle(OWN.jobs, ROUTER_GROUP, [at_once(redis)])
    gone, beside = at_once(redis, "f2"), refusal_of(redis, "b1", "broken")
    redis.xdel(OWN.jobs, gone.entry)
    assert ledger.settle(OWN.jobs, ROUTER_GROUP, [gone, beside]) == Settled(results=1, joined=1)
    letters = [fields[b"letter"] for _, fields in redis.xrange(KEYS.dead)]
    reasons = [DeadLetter.model_validate_json(letter).reason for letter in letters]
    assert reasons == ["id_conflict", "not_json"]
    assert redis.xpending(OWN.jobs, ROUTER_GROUP)["pending"] == 0


def test_what_an_error_ended_before_its_result_begins_anew(redis: Any) -> None:
    """How a job ended may stand without a result only where the script is tried again."""
    ledger, job = ledger_of(redis), at_once(redis)
    redis.hset(OWN.job("a1"), mapping={"status": "answered", "fingerprint": "f1"})
    assert ledger.settle(OWN.jobs, ROUTER_GROUP, [job]) == Settled(results=1)
    assert stored(redis) == job.result
    assert redis.ttl(OWN.job("a1")) > 0


def test_a_job_that_was_cancelled_is_no_conflict_with_itself(redis: Any) -> None:
    """The cancelled result answers the same job again, and no dead letter is left."""
    ledger = ledger_of(redis)
    ledger.settle(OWN.jobs, ROUTER_GROUP, [submission(redis, "a1")])
    ledger.settle(OWN.jobs, ROUTER_GROUP, [cancellation(redis)])
    assert ledger.settle(OWN.jobs, ROUTER_GROUP, [submission(redis, "a1")]) == Settled(joined=1)
    assert redis.xlen(KEYS.dead) == 0


@pytest.mark.parametrize("where", ["metadata", "record"])
def test_no_word_inside_a_result_decides(redis: Any, where: str) -> None:
    """Whatever stands in metadata or in a model's record, the result's bytes stay."""
    answer = RecordAnswer(record=WORDS_OF_THE_WIRE, confidence=1.0)
    more = {"metadata": WORDS_OF_THE_WIRE} if where == "metadata" else {"answer": answer}
    ended(redis, **more)
    before = redis.get(OWN.result("a1"))
    ledger = ledger_of(redis)
    again, other = submission(redis, "a1"), submission(redis, "a1", "f2")
    refusal = refusal_of(redis, "a1", "broken")
    assert ledger.settle(OWN.jobs, ROUTER_GROUP, [again, other, refusal]) == Settled(joined=3)
    assert redis.get(OWN.result("a1")) == before
    assert redis.xlen(BACKLOG) == 0
    reasons = [
        DeadLetter.model_validate_json(f[b"letter"]).reason for _, f in redis.xrange(KEYS.dead)
    ]
    assert reasons == ["id_conflict", "not_json"]


def test_a_refusal_takes_no_id(redis: Any) -> None:
    """A corrected job may be submitted under the id that was refused."""
    ledger = ledger_of(redis)
    ledger.settle(OWN.jobs, ROUTER_GROUP, [refusal_of(redis, "a1", "wrong")])
    assert ledger.settle(OWN.jobs, ROUTER_GROUP, [submission(redis, "a1")]) == Settled(moves=1)
    assert stored(redis) is None


def test_a_refusal_ends_no_job_in_flight(redis: Any, notices: Notices) -> None:
    """A broken submission under the id of somebody's job is a dead letter; both hear of the end."""
    ledger = ledger_of(redis)
    ledger.settle(OWN.jobs, ROUTER_GROUP, [submission(redis, "a1")])
    refusal = refusal_of(redis, "a1", "broken")
    assert ledger.settle(OWN.jobs, ROUTER_GROUP, [refusal]) == Settled(joined=1)
    assert stored(redis) is None
    [entry] = ledger.read([BACKLOG], POOL_GROUP, count=1)
    assert notices.of("you") == []
    assert ledger.settle(BACKLOG, POOL_GROUP, [finish_of(entry.entry)]) == Settled(results=1)
    assert redis.xlen(KEYS.dead) == 1
    assert notices.of("me") == notices.of("you") == ["a1"]


def test_a_refusal_changes_no_result(redis: Any, notices: Notices) -> None:
    """What was answered stays answered; who sent the broken one is told of it."""
    result = ended(redis)
    ledger = ledger_of(redis)
    refusal = refusal_of(redis, "a1", "broken")
    assert ledger.settle(OWN.jobs, ROUTER_GROUP, [refusal]) == Settled(joined=1)
    assert stored(redis) == result
    assert notices.of("you") == ["a1"]


def test_a_second_refusal_tells_its_own_reason(redis: Any) -> None:
    """Who mends one fault and makes another reads of the other."""
    ledger = ledger_of(redis)
    for reason in ("one", "two"):
        ledger.settle(OWN.jobs, ROUTER_GROUP, [refusal_of(redis, "a1", reason)])
    found = stored(redis)
    assert found is not None
    assert found.problem == Problem(code="not_json", message="two")


def test_cancelling_ends_a_job_in_flight(redis: Any) -> None:
    """The cancelled result stands; the worker's answer, when it comes, is fenced."""
    ledger = ledger_of(redis)
    ledger.settle(OWN.jobs, ROUTER_GROUP, [submission(redis, "a1")])
    [entry] = ledger.read([BACKLOG], POOL_GROUP, count=1)
    cancel = cancellation(redis)
    assert ledger.settle(OWN.jobs, ROUTER_GROUP, [cancel]) == Settled(results=1)
    assert ledger.settle(BACKLOG, POOL_GROUP, [finish_of(entry.entry)]) == Settled(fenced=1)
    assert stored(redis) == cancel.result


def test_cancelling_an_unknown_job_takes_no_id(redis: Any) -> None:
    """A job that was never submitted can still be."""
    ledger = ledger_of(redis)
    assert ledger.settle(OWN.jobs, ROUTER_GROUP, [cancellation(redis)]) == Settled(joined=1)
    assert stored(redis) is None
