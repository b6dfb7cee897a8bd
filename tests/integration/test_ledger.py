"""The ledger's laws, on a real Redis: who holds an entry, and how it ends."""

from collections.abc import Iterator
from datetime import timedelta
from time import perf_counter
from typing import Any

import pytest
from redis.exceptions import ResponseError
from tests.support.notices import Notices, listening
from tests.support.shapes import attempt_for, result_for, slip_for

from smallfirst.jobs import Priority, Problem, RecordAnswer, Result, Status
from smallfirst.ledger.keys import POOL_GROUP, QUEUE_CONSUMER, ROUTER_GROUP, Keys
from smallfirst.ledger.ledger import MAX_WAITERS, Bounds, Ledger
from smallfirst.ledger.routing_slips import DeadLetter, RoutingSlip
from smallfirst.ledger.settlements import Cancel, Finish, Move, Refuse, Settled, dead_letter

LEASE = timedelta(seconds=10)
NO_TIME = timedelta(0)
KEYS = Keys()
BACKLOG = KEYS.backlog("cpu", Priority.BULK)


def ledger_of(redis: Any, holder: str = "router-a") -> Ledger:
    """Open the ledger as one holder sees it."""
    ledger = Ledger(redis, KEYS, holder)
    ledger.open([KEYS.jobs, KEYS.escalations], ROUTER_GROUP)
    ledger.open([BACKLOG], POOL_GROUP)
    return ledger


def park(redis: Any, *ids: str) -> list[str]:
    """Put jobs on the backlog, as triage does."""
    return [redis.xadd(BACKLOG, {"id": i, "job": "{}", "slip": "{}"}).decode() for i in ids]


def dispatched(redis: Any, *ids: str) -> list[str]:
    """Put jobs on the backlog and pass them to the queue, as dispatch does."""
    park(redis, *ids)
    router = ledger_of(redis)
    entries = [entry.entry for entry in router.read([BACKLOG], POOL_GROUP, count=100)]
    router.queue(BACKLOG, entries)
    return entries


def finish_of(entry: str, job_id: str = "a1", **more: Any) -> Finish:
    """A result as a worker settles it."""
    return Finish(entry=entry, result=result_for(job_id, **more), reply_to="me")


def submission(redis: Any, job_id: str, fingerprint: str = "f1", *, reply_to: str = "me") -> Move:
    """Submit a job, read it, and say that it should be parked."""
    redis.xadd(KEYS.jobs, {"job": "{}"})
    [entry] = ledger_of(redis).read([KEYS.jobs], ROUTER_GROUP, count=1)
    return Move(
        entry=entry.entry,
        job_id=job_id,
        job=b"{}",
        slip=slip_for(),
        to=BACKLOG,
        reply_to=reply_to,
        fingerprint=fingerprint,
        is_first_seen=True,
    )


def stored(redis: Any, job_id: str = "a1") -> Result | None:
    """The result that stands, as its producer reads it."""
    raw = redis.get(KEYS.result(job_id))
    return None if raw is None else Result.model_validate_json(raw)


def ended(redis: Any, job_id: str = "a1", **more: Any) -> Result:
    """Carry a job from its submission to a result, and return that."""
    ledger = ledger_of(redis)
    ledger.settle(KEYS.jobs, ROUTER_GROUP, [submission(redis, job_id)])
    [entry] = ledger.read([BACKLOG], POOL_GROUP, count=1)
    ledger.settle(BACKLOG, POOL_GROUP, [finish_of(entry.entry, job_id, **more)])
    result = stored(redis, job_id)
    assert result is not None
    return result


def holder_of(redis: Any, entry: str) -> tuple[str, int]:
    """Who holds an entry, and how often it was delivered."""
    [pending] = redis.xpending_range(BACKLOG, POOL_GROUP, entry, entry, 1)
    return pending["consumer"].decode(), pending["times_delivered"]


@pytest.fixture
def notices(redis: Any) -> Iterator[Notices]:
    """What producers are told from here on."""
    with listening(redis) as heard:
        yield heard


def test_an_entry_is_pending_until_it_is_settled(redis: Any, notices: Notices) -> None:
    """Read, queued, claimed: through all of it the entry stays, and then it is gone."""
    [entry] = dispatched(redis, "a1")
    assert holder_of(redis, entry) == (QUEUE_CONSUMER, 1)

    worker = ledger_of(redis, "worker-a")
    [claimed] = worker.claim(BACKLOG, [entry], LEASE)[1]
    assert (claimed.fields[b"id"], claimed.starts) == (b"a1", 1)
    assert holder_of(redis, entry) == ("worker-a", 2)

    assert worker.settle(BACKLOG, POOL_GROUP, [finish_of(entry)]) == Settled(results=1)
    assert redis.xlen(BACKLOG) == 0
    assert redis.xpending(BACKLOG, POOL_GROUP)["pending"] == 0
    assert notices.of("me") == ["a1"]


def test_a_doubled_message_claims_nothing(redis: Any) -> None:
    """What one worker holds, another leaves alone."""
    entries = dispatched(redis, "a1", "a2")
    _, first = ledger_of(redis, "worker-a").claim(BACKLOG, entries, LEASE)
    _, second = ledger_of(redis, "worker-b").claim(BACKLOG, entries, LEASE)
    assert [entry.entry for entry in first] == entries
    assert second == []


def test_a_late_message_claims_nothing(redis: Any) -> None:
    """What is settled stays settled."""
    [entry] = dispatched(redis, "a1")
    worker = ledger_of(redis, "worker-a")
    worker.claim(BACKLOG, [entry], LEASE)
    worker.settle(BACKLOG, POOL_GROUP, [finish_of(entry)])
    assert worker.claim(BACKLOG, [entry], LEASE)[1] == []


def test_a_lease_that_ran_out_can_be_claimed(redis: Any) -> None:
    """A worker that is silent for longer than the lease loses its entry, and the start counts."""
    [entry] = dispatched(redis, "a1")
    ledger_of(redis, "worker-a").claim(BACKLOG, [entry], LEASE)
    [again] = ledger_of(redis, "worker-b").claim(BACKLOG, [entry], NO_TIME)[1]
    assert (again.entry, again.starts) == (entry, 2)


def test_renewing_keeps_the_lease_and_counts_no_start(redis: Any) -> None:
    """A renewed entry is its worker's; one that another started is left with that one."""
    first, second = dispatched(redis, "a1", "a2")
    mine, other = ledger_of(redis, "worker-a"), ledger_of(redis, "worker-b")
    mine.claim(BACKLOG, [first, second], LEASE)
    other.claim(BACKLOG, [second], NO_TIME)
    assert mine.keep(BACKLOG, {first: 1, second: 1}) == {first, second}
    assert holder_of(redis, first) == ("worker-a", 2)
    assert holder_of(redis, second) == ("worker-b", 3)
    other.settle(BACKLOG, POOL_GROUP, [finish_of(second)])
    assert mine.keep(BACKLOG, {first: 1, second: 1}) == {first}


def test_two_answers_make_one_result(redis: Any, notices: Notices) -> None:
    """Whoever settles first wins; the other is fenced, and the result does not change."""
    [entry] = dispatched(redis, "a1")
    first, second = ledger_of(redis, "worker-a"), ledger_of(redis, "worker-b")
    first.claim(BACKLOG, [entry], LEASE)
    second.claim(BACKLOG, [entry], NO_TIME)
    assert second.settle(
        BACKLOG, POOL_GROUP, [finish_of(entry, metadata={"from": "b"})]
    ) == Settled(results=1)
    assert first.settle(BACKLOG, POOL_GROUP, [finish_of(entry, metadata={"from": "a"})]) == Settled(
        fenced=1
    )
    assert stored(redis) == result_for(metadata={"from": "b"})
    assert notices.of("me") == ["a1"]


@pytest.mark.parametrize("next_holder", ["router-b", QUEUE_CONSUMER, "worker-b"])
def test_a_late_answer_counts_while_there_is_none(redis: Any, next_holder: str) -> None:
    """Whoever has the entry by then: the work was done, and who is first ends the job."""
    [entry] = dispatched(redis, "a1")
    late, router = ledger_of(redis, "worker-a"), ledger_of(redis, "router-b")
    late.claim(BACKLOG, [entry], LEASE)
    router.recover(BACKLOG, POOL_GROUP, lease=NO_TIME, queue_timeout=NO_TIME)
    if next_holder == QUEUE_CONSUMER:
        router.queue(BACKLOG, [entry])
    elif next_holder == "worker-b":
        ledger_of(redis, next_holder).claim(BACKLOG, [entry], NO_TIME)
    assert holder_of(redis, entry)[0] == next_holder
    assert late.settle(BACKLOG, POOL_GROUP, [finish_of(entry)]) == Settled(results=1)
    assert stored(redis) == result_for()
    assert redis.xpending(BACKLOG, POOL_GROUP)["pending"] == 0


def test_who_has_not_worked_on_a_job_ends_it_in_its_own_hands_alone(redis: Any) -> None:
    """A router that wants to give a job up must not take it from a worker that took it back."""
    [entry] = dispatched(redis, "a1")
    worker, router = ledger_of(redis, "worker-a"), ledger_of(redis, "router-b")
    worker.claim(BACKLOG, [entry], LEASE)
    router.recover(BACKLOG, POOL_GROUP, lease=NO_TIME, queue_timeout=NO_TIME)
    worker.keep(BACKLOG, {entry: 1})
    failed = finish_of(entry, status=Status.FAILED)
    assert router.settle(BACKLOG, POOL_GROUP, [failed], must_hold=True) == Settled(fenced=1)
    assert holder_of(redis, entry) == ("worker-a", 2)


def test_two_routers_cannot_undo_each_other(redis: Any) -> None:
    """One that took longer than a lease ends what it decided, whoever took its reading over."""
    slow, other = ledger_of(redis, "router-a"), ledger_of(redis, "router-b")
    moves = [submission(redis, "a1"), submission(redis, "a2")]
    other.recover(KEYS.jobs, ROUTER_GROUP, lease=NO_TIME, queue_timeout=NO_TIME)
    assert slow.settle(KEYS.jobs, ROUTER_GROUP, moves) == Settled(moves=2)
    assert other.settle(KEYS.jobs, ROUTER_GROUP, moves) == Settled(fenced=2)
    assert redis.xlen(BACKLOG) == 2


def test_a_job_escalates_once(redis: Any) -> None:
    """Two workers that were both unsure make one escalation."""
    [entry] = dispatched(redis, "a1")
    back = Move(entry=entry, job_id="a1", job=b"{}", slip=slip_for(), to=KEYS.escalations)
    worker = ledger_of(redis, "worker-a")
    worker.claim(BACKLOG, [entry], LEASE)
    assert worker.settle(BACKLOG, POOL_GROUP, [back]) == Settled(moves=1)
    assert worker.settle(BACKLOG, POOL_GROUP, [back]) == Settled(fenced=1)
    assert redis.xlen(KEYS.escalations) == 1


def test_recovery_takes_what_a_dead_holder_had(redis: Any) -> None:
    """Past the lease an entry is its finder's, with its text and its starts."""
    [entry] = dispatched(redis, "a1")
    ledger_of(redis, "worker-a").claim(BACKLOG, [entry], LEASE)
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
    worker.claim(BACKLOG, [entry], LEASE)
    worker.give_back(BACKLOG, {entry: 1}, LEASE, is_undone=True)
    router = ledger_of(redis, "router-b")
    [found] = router.recover(BACKLOG, POOL_GROUP, lease=LEASE, queue_timeout=LEASE)
    assert (found.entry, found.starts) == (entry, 0)


def test_a_job_that_has_its_result_is_not_started(redis: Any) -> None:
    """A cancelled job is dropped when a worker reaches for it."""
    [entry] = dispatched(redis, "a1")
    redis.set(KEYS.result("a1"), "{}", ex=60)
    assert ledger_of(redis, "worker-a").claim(BACKLOG, [entry], LEASE)[1] == []
    assert redis.xlen(BACKLOG) == 0


def test_the_same_submission_twice_runs_once(redis: Any, notices: Notices) -> None:
    """The second waits for the first's result, and both producers are told."""
    ledger = ledger_of(redis)
    first, second = submission(redis, "a1"), submission(redis, "a1", reply_to="you")
    assert ledger.settle(KEYS.jobs, ROUTER_GROUP, [first, second]) == Settled(moves=1, joined=1)
    assert redis.xlen(BACKLOG) == 1

    [entry] = ledger.read([BACKLOG], POOL_GROUP, count=10)
    ledger.settle(BACKLOG, POOL_GROUP, [finish_of(entry.entry)])
    assert notices.of("me") == notices.of("you") == ["a1"]
    assert redis.xlen(KEYS.dead) == 0


def submitted_again(redis: Any, count: int, first: int) -> float:
    """Submit one job under many names to reply to; return the seconds that settling took."""
    for _ in range(count):
        redis.xadd(KEYS.jobs, {"job": "{}"})
    ledger = ledger_of(redis)
    entries = ledger.read([KEYS.jobs], ROUTER_GROUP, count=count)
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
    began = perf_counter()
    ledger.settle(KEYS.jobs, ROUTER_GROUP, rows)
    return perf_counter() - began


def test_those_who_wait_for_one_job_are_bounded(redis: Any, notices: Notices) -> None:
    """However often one id is submitted, the record of who waits stays as small, and as quick."""
    seconds = [submitted_again(redis, 2000, 2000 * turn) for turn in range(4)]
    waiting = redis.hget(KEYS.job("a1"), "reply").decode().split("\n")
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
    assert ledger.settle(KEYS.jobs, ROUTER_GROUP, [again]) == Settled(joined=1)
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
        ledger.settle(KEYS.jobs, ROUTER_GROUP, [submission(redis, "a1")])
    ledger.settle(KEYS.jobs, ROUTER_GROUP, [submission(redis, "a1", "f2")])
    [(entry, fields)] = redis.xrange(KEYS.dead)
    assert DeadLetter.model_validate_json(fields[b"letter"]).reason == "id_conflict"
    assert redis.get(KEYS.dead_raw(entry.decode())) == b"{}"


def test_a_job_that_was_cancelled_is_no_conflict_with_itself(redis: Any) -> None:
    """The cancelled result answers the same job again, and no dead letter is left."""
    ledger = ledger_of(redis)
    ledger.settle(KEYS.jobs, ROUTER_GROUP, [submission(redis, "a1")])
    ledger.settle(KEYS.jobs, ROUTER_GROUP, [cancellation(redis)])
    assert ledger.settle(KEYS.jobs, ROUTER_GROUP, [submission(redis, "a1")]) == Settled(joined=1)
    assert redis.xlen(KEYS.dead) == 0


#: Words by which scripts, routers and clients decide, as a producer or a model may write them.
WORDS_OF_THE_WIRE: dict[str, Any] = {
    "status": "refused",
    "fingerprint": "f2",
    '"status":"refused"': '"status":"refused"',
    "letter": '{"reason":"id_conflict"}',
    "origin": "0-1",
}


@pytest.mark.parametrize("where", ["metadata", "record"])
def test_no_word_inside_a_result_decides(redis: Any, where: str) -> None:
    """Whatever stands in metadata or in a model's record, the result's bytes stay."""
    answer = RecordAnswer(record=WORDS_OF_THE_WIRE, confidence=1.0)
    more = {"metadata": WORDS_OF_THE_WIRE} if where == "metadata" else {"answer": answer}
    ended(redis, **more)
    before = redis.get(KEYS.result("a1"))
    ledger = ledger_of(redis)
    again, other = submission(redis, "a1"), submission(redis, "a1", "f2")
    refusal = refusal_of(redis, "a1", "broken")
    assert ledger.settle(KEYS.jobs, ROUTER_GROUP, [again, other, refusal]) == Settled(joined=3)
    assert redis.get(KEYS.result("a1")) == before
    assert redis.xlen(BACKLOG) == 0
    reasons = [
        DeadLetter.model_validate_json(f[b"letter"]).reason for _, f in redis.xrange(KEYS.dead)
    ]
    assert reasons == ["id_conflict", "not_json"]


def test_a_refusal_takes_no_id(redis: Any) -> None:
    """A corrected job may be submitted under the id that was refused."""
    ledger = ledger_of(redis)
    ledger.settle(KEYS.jobs, ROUTER_GROUP, [refusal_of(redis, "a1", "wrong")])
    assert ledger.settle(KEYS.jobs, ROUTER_GROUP, [submission(redis, "a1")]) == Settled(moves=1)
    assert stored(redis) is None


def refusal_of(redis: Any, job_id: str, reason: str) -> Refuse:
    """Submit what is no job, under an id, and say that it should be refused."""
    redis.xadd(KEYS.jobs, {"job": "x"})
    [entry] = ledger_of(redis).read([KEYS.jobs], ROUTER_GROUP, count=1)
    letter = dead_letter(b"x", "not_json", is_refusal=True)
    problem = Problem(code="not_json", message=reason)
    result = result_for(job_id, Status.REFUSED, problem=problem)
    return Refuse(entry=entry.entry, letter=letter, raw=b"x", result=result, reply_to="you")


def cancellation(redis: Any, job_id: str = "a1") -> Cancel:
    """Ask for a cancellation, read it, and say that it should be carried out."""
    redis.xadd(KEYS.jobs, {"cancel": job_id})
    [request] = ledger_of(redis).read([KEYS.jobs], ROUTER_GROUP, count=1)
    return Cancel(entry=request.entry, result=result_for(job_id, Status.CANCELLED))


def test_a_refusal_ends_no_job_in_flight(redis: Any, notices: Notices) -> None:
    """A broken submission under the id of somebody's job is a dead letter; both hear of the end."""
    ledger = ledger_of(redis)
    ledger.settle(KEYS.jobs, ROUTER_GROUP, [submission(redis, "a1")])
    refusal = refusal_of(redis, "a1", "broken")
    assert ledger.settle(KEYS.jobs, ROUTER_GROUP, [refusal]) == Settled(joined=1)
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
    assert ledger.settle(KEYS.jobs, ROUTER_GROUP, [refusal]) == Settled(joined=1)
    assert stored(redis) == result
    assert notices.of("you") == ["a1"]


def test_a_second_refusal_tells_its_own_reason(redis: Any) -> None:
    """Who mends one fault and makes another reads of the other."""
    ledger = ledger_of(redis)
    for reason in ("one", "two"):
        ledger.settle(KEYS.jobs, ROUTER_GROUP, [refusal_of(redis, "a1", reason)])
    found = stored(redis)
    assert found is not None
    assert found.problem == Problem(code="not_json", message="two")


def test_an_entry_that_could_not_be_settled_stays_pending(redis: Any) -> None:
    """What comes of an entry is written before it is acknowledged: an error leaves it in hand."""
    [entry] = dispatched(redis, "a1")
    worker = ledger_of(redis, "worker-a")
    worker.claim(BACKLOG, [entry], LEASE)
    redis.set(KEYS.job("a1"), "not a hash", ex=60)
    with pytest.raises(ResponseError):
        worker.settle(BACKLOG, POOL_GROUP, [finish_of(entry)])
    assert holder_of(redis, entry)[0] == "worker-a"


def test_a_router_that_died_after_reading_harms_nobody(redis: Any) -> None:
    """The same entry, triaged again by another router, is no duplicate of itself."""
    ledger = ledger_of(redis)
    first = submission(redis, "a1")
    redis.hset(KEYS.job("a1"), mapping={"origin": first.entry, "fingerprint": "f1", "reply": "me"})
    redis.expire(KEYS.job("a1"), 60)
    assert ledger.settle(KEYS.jobs, ROUTER_GROUP, [first]) == Settled(moves=1)


def test_a_dead_letter_keeps_the_text_apart_from_the_reason(redis: Any) -> None:
    """The reason tells size and hash; the raw submission is a key of its own, with a TTL."""
    redis.xadd(KEYS.jobs, {"job": "canary"})
    ledger = ledger_of(redis)
    [entry] = ledger.read([KEYS.jobs], ROUTER_GROUP, count=1)
    letter = dead_letter(b"canary", "not_json")
    refusal = Refuse(entry=entry.entry, letter=letter, raw=b"canary")
    assert ledger.settle(KEYS.jobs, ROUTER_GROUP, [refusal]) == Settled(results=1)
    [(dead, fields)] = redis.xrange(KEYS.dead)
    found = DeadLetter.model_validate_json(fields[b"letter"])
    assert (found.reason, found.size) == ("not_json", 6)
    assert b"canary" not in fields[b"letter"]
    assert redis.get(KEYS.dead_raw(dead.decode())) == b"canary"


def bury(redis: Any, bounds: Bounds, *raws: bytes) -> list[str]:
    """Refuse these submissions in one go; return the entries of the letters that are left."""
    ledger = Ledger(redis, KEYS, "router-a", bounds)
    ledger.open([KEYS.jobs], ROUTER_GROUP)
    for raw in raws:
        redis.xadd(KEYS.jobs, {"job": raw})
    entries = ledger.read([KEYS.jobs], ROUTER_GROUP, count=len(raws))
    rows = [
        Refuse(entry=entry.entry, letter=dead_letter(raw, "not_json"), raw=raw)
        for entry, raw in zip(entries, raws, strict=True)
    ]
    ledger.settle(KEYS.jobs, ROUTER_GROUP, rows)
    return [entry.decode() for entry, _ in redis.xrange(KEYS.dead)]


def kept_raws(redis: Any) -> dict[str, bytes]:
    """The raw submissions that are kept, by their letters' entries."""
    keys = [key.decode() for key in redis.scan_iter(match=KEYS.dead_raw("*-*"))]
    return {key.rpartition(":")[2]: redis.get(key) for key in keys}


def test_raw_submissions_go_with_their_letters(redis: Any) -> None:
    """Beyond the bound in letters nothing is kept that no letter tells of."""
    letters = bury(redis, Bounds(max_dead=3), *(b"%d" % number for number in range(50)))
    assert len(letters) == 3
    assert kept_raws(redis) == dict(zip(letters, (b"47", b"48", b"49"), strict=True))
    assert redis.get(KEYS.dead_bytes) == b"6"


def test_raw_submissions_are_bounded_in_bytes(redis: Any) -> None:
    """The oldest go first, also where one alone is too large; their letters stay."""
    bounds = Bounds(max_dead_bytes=1000)
    letters = bury(redis, bounds, *(b"x" * 100 for _ in range(30)))
    assert len(letters) == 30
    assert set(kept_raws(redis)) == set(letters[-10:])
    letters = bury(redis, bounds, b"y" * 950)
    assert kept_raws(redis) == {letters[-1]: b"y" * 950}
    bury(redis, bounds, b"z" * 1001)
    assert kept_raws(redis) == {}
    assert not redis.exists(KEYS.dead_bytes)


def test_what_is_told_of_raw_submissions_ends_with_them(redis: Any) -> None:
    """Where nothing is refused any more, all that was kept goes after the time that it is kept."""
    bounds = Bounds(dead_ttl=timedelta(seconds=60))
    [entry] = bury(redis, bounds, b"x")
    for key in (KEYS.dead_raw(entry), KEYS.dead_kept, KEYS.dead_bytes):
        assert 0 < redis.ttl(key) <= 60


@pytest.fixture
def redis_7(redis: Any) -> Any:
    """A Redis that tells how many entries a stream ever had."""
    if int(redis.info("server")["redis_version"].partition(".")[0]) < 7:
        pytest.skip("Redis before 7 does not tell")
    return redis


@pytest.mark.parametrize("is_read", [False, True], ids=["unread", "in hand"])
def test_destroyed_submissions_are_missed(redis_7: Any, *, is_read: bool) -> None:
    """What a producer trims away is counted once, whether or not a router had it."""
    ledger = ledger_of(redis_7)
    assert ledger.count_destroyed() == 0
    ledger.settle(KEYS.jobs, ROUTER_GROUP, [submission(redis_7, "a1")])
    for _ in range(20):
        redis_7.xadd(KEYS.jobs, {"job": "{}"})
    if is_read:
        ledger.read([KEYS.jobs], ROUTER_GROUP, count=20)
    assert ledger.count_destroyed() == 0
    redis_7.xadd(KEYS.jobs, {"job": "{}"}, maxlen=1, approximate=False)
    assert [ledger.count_destroyed(), ledger.count_destroyed()] == [20, 0]
    assert redis_7.hget(KEYS.submissions, "destroyed") == b"20"


def test_another_stream_is_counted_afresh(redis_7: Any) -> None:
    """A stream that was made anew misses nothing of the one before."""
    ledger = ledger_of(redis_7)
    ledger.count_destroyed()
    for number in range(5):
        ledger.settle(KEYS.jobs, ROUTER_GROUP, [submission(redis_7, f"a{number}")])
    redis_7.delete(KEYS.jobs)
    ledger.open([KEYS.jobs], ROUTER_GROUP)
    redis_7.xadd(KEYS.jobs, {"job": "{}"})
    assert ledger.count_destroyed() == 0
    redis_7.xtrim(KEYS.jobs, maxlen=0)
    assert ledger.count_destroyed() == 1


def test_cancelling_ends_a_job_in_flight(redis: Any) -> None:
    """The cancelled result stands; the worker's answer, when it comes, is fenced."""
    ledger = ledger_of(redis)
    ledger.settle(KEYS.jobs, ROUTER_GROUP, [submission(redis, "a1")])
    [entry] = ledger.read([BACKLOG], POOL_GROUP, count=1)
    cancel = cancellation(redis)
    assert ledger.settle(KEYS.jobs, ROUTER_GROUP, [cancel]) == Settled(results=1)
    assert ledger.settle(BACKLOG, POOL_GROUP, [finish_of(entry.entry)]) == Settled(fenced=1)
    assert stored(redis) == cancel.result


def test_cancelling_an_unknown_job_takes_no_id(redis: Any) -> None:
    """A job that was never submitted can still be."""
    ledger = ledger_of(redis)
    assert ledger.settle(KEYS.jobs, ROUTER_GROUP, [cancellation(redis)]) == Settled(joined=1)
    assert stored(redis) is None


def test_what_was_spent_is_booked_once(redis: Any) -> None:
    """A fenced answer costs its worker's time, and books nothing."""
    [entry] = dispatched(redis, "a1")
    ledger = ledger_of(redis)
    ledger.claim(BACKLOG, [entry], LEASE)
    spent = attempt_for(seconds=0.25, cost=0.001)
    done = Finish(entry=entry, result=result_for("a1"), spent=spent)
    for _ in range(2):
        ledger.settle(BACKLOG, POOL_GROUP, [done])
    [key] = redis.keys(KEYS.booked("*"))
    booked = redis.hgetall(key)
    assert booked[b"topic:0:accepted:jobs"] == b"1"
    assert float(booked[b"topic:0:accepted:seconds"]) == pytest.approx(0.25)
    assert float(booked[b"topic:0:accepted:cost"]) == pytest.approx(0.001)


def test_nothing_is_kept_for_ever(redis: Any) -> None:
    """Results, job records and raw dead letters all have a TTL; who waits leaves no key."""
    bounds = Bounds(result_ttl=timedelta(seconds=5))
    ledger = Ledger(redis, KEYS, "router-a", bounds)
    ledger.open([KEYS.jobs], ROUTER_GROUP)
    ledger.settle(KEYS.jobs, ROUTER_GROUP, [submission(redis, "a1")])
    [entry] = ledger_of(redis).read([BACKLOG], POOL_GROUP, count=1)
    assert redis.ttl(KEYS.job("a1")) > 0
    ledger.settle(BACKLOG, POOL_GROUP, [finish_of(entry.entry)])
    assert 0 < redis.ttl(KEYS.result("a1")) <= 5
    assert not redis.exists(KEYS.results("me"))
    assert 0 < redis.ttl(KEYS.job("a1")) <= 5
    assert set(redis.hkeys(KEYS.job("a1"))) == {b"status", b"fingerprint"}


def test_workers_are_counted_while_they_beat(redis: Any) -> None:
    """A worker counts from its first beat until it leaves, or is silent for too long."""
    one, two = ledger_of(redis, "worker-a"), ledger_of(redis, "worker-b")
    assert one.beat("cpu") == 1
    assert two.beat("cpu") == 2
    assert one.beat("cpu", leaving=True) == 1
    redis.zadd(KEYS.workers("cpu"), {"worker-b": 1})
    assert one.count_workers("cpu") == 0


def test_a_flushed_redis_gets_its_groups_back(redis: Any) -> None:
    """A failover to an empty replica costs what was on it, and no restart."""
    ledger = ledger_of(redis)
    redis.flushall()
    assert ledger.read([KEYS.jobs], ROUTER_GROUP, count=1) == []
    redis.xadd(KEYS.jobs, {"job": "{}"})
    assert len(ledger.read([KEYS.jobs], ROUTER_GROUP, count=1)) == 1


def test_holders_that_hold_nothing_are_forgotten(redis: Any) -> None:
    """Restarts do not make the list of consumers grow; who holds something stays."""
    park(redis, "a1")
    ledger_of(redis, "holds").read([BACKLOG], POOL_GROUP, count=1)
    ledger_of(redis, "idles").read([BACKLOG], POOL_GROUP, count=1)
    ledger_of(redis).tidy([BACKLOG], POOL_GROUP, idle=timedelta(milliseconds=-1))
    names = {consumer["name"] for consumer in redis.xinfo_consumers(BACKLOG, POOL_GROUP)}
    assert names == {b"holds"}


def test_a_text_of_any_kind_passes_through_unchanged(redis: Any) -> None:
    """Bytes are bytes: quotes, NUL, line breaks and emoji survive a move and a result."""
    body = '{"text":"a\\u0000\\n\\" \U0001f9c2"}'
    ledger = ledger_of(redis)
    redis.xadd(KEYS.jobs, {"job": body})
    [entry] = ledger.read([KEYS.jobs], ROUTER_GROUP, count=1)
    slip = slip_for(task=body)
    move = Move(entry=entry.entry, job_id="a1", job=body.encode(), slip=slip, to=BACKLOG)
    ledger.settle(KEYS.jobs, ROUTER_GROUP, [move])
    [parked] = ledger.read([BACKLOG], POOL_GROUP, count=1)
    assert parked.fields[b"job"].decode() == body
    assert RoutingSlip.model_validate_json(parked.fields[b"slip"]) == slip


def test_a_result_reads_back_as_it_was_written(redis: Any) -> None:
    """What a worker wrote is what the producer's model reads."""
    [entry] = dispatched(redis, "a1")
    ledger = ledger_of(redis)
    ledger.claim(BACKLOG, [entry], LEASE)
    written = result_for("a1", Status.EXPIRED, metadata={"a": '\u0000\n" \U0001f9c2'})
    ledger.settle(BACKLOG, POOL_GROUP, [Finish(entry=entry, result=written)])
    assert stored(redis) == written
