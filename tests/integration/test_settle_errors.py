"""An error in the midst of a settlement: the entry stays in hand, and ends once that is mended.

Of a script that an error ends Redis undoes nothing. The errors are real: of a right that is
missing, one after another, and of keys that hold something else.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import ResponseError
from tests.support.acl_trace import narrowings
from tests.support.guarded import Guarded, guarded_redis
from tests.support.notices import Notices, listening
from tests.support.shapes import attempt_for, result_for, slip_for

from smallfirst.audit_log.keeping import written
from smallfirst.jobs import Priority, Status
from smallfirst.ledger.keys import EVERY_SLICE, POOL_GROUP, ROUTER_GROUP, Keys
from smallfirst.ledger.ledger import Ledger
from smallfirst.ledger.record_streams import RecordStream
from smallfirst.ledger.settlements import (
    Cancel,
    Finish,
    Move,
    Refuse,
    Settlement,
    Wait,
    dead_letter,
)
from smallfirst.local.redis_server import find_binary, version_of
from smallfirst.redis_access.acl import all_grants
from smallfirst.redis_access.grants import Grant
from smallfirst.redis_access.users import Role

pytestmark = pytest.mark.skipif(
    version_of(find_binary()) < (7, 0), reason="selectors in access rules need Redis 7 on PATH"
)

KEYS = Keys()
OWN = KEYS.of_producer("default")
BULK = KEYS.backlog("cpu", Priority.BULK)
HOLDER = "@router/host/1/f00"
LETTER = dead_letter(b"{}", "for a reason", producer="default", job_id="a1")
Make = Callable[[str], Settlement]


def answer(entry: str) -> Finish:
    """A worker answers."""
    return Finish(
        entry=entry,
        producer="default",
        result=result_for(),
        reply_to="me",
        spent=(attempt_for(cost=0.1),),
    )


def pass_on(entry: str) -> Move:
    """A worker was not sure."""
    slip, spent = slip_for(), attempt_for(cost=0.1)
    return Move(entry=entry, job_id="a1", job=b"{}", slip=slip, to=KEYS.escalations, spent=(spent,))


def park(entry: str) -> Move:
    """A router parks a submission."""
    return Move(
        entry=entry,
        job_id="a1",
        job=b"{}",
        slip=slip_for(),
        to=BULK,
        reply_to="me",
        fingerprint="f1",
        is_first_seen=True,
    )


def wait(entry: str) -> Wait:
    """A router leaves a submission where it is, since its pool is full."""
    return Wait(
        entry=entry,
        producer="default",
        job_id="a1",
        to=KEYS.waiting_for(BULK),
        expires_ms=1,
        reply_to="me",
        fingerprint="f1",
    )


def answer_at_once(entry: str) -> Finish:
    """A router answers a submission by a rule."""
    return Finish(
        entry=entry,
        producer="default",
        result=result_for(fingerprint="f1"),
        reply_to="me",
        is_first_seen=True,
    )


def give_up(entry: str) -> Finish:
    """A router gives a job up."""
    failed = result_for(status=Status.FAILED)
    return Finish(
        entry=entry, producer="default", result=failed, reply_to="me", letter=LETTER, raw=b"{}"
    )


def refuse(entry: str) -> Refuse:
    """A router refuses a submission."""
    refused = result_for(status=Status.REFUSED)
    return Refuse(
        entry=entry, producer="default", letter=LETTER, raw=b"{}", result=refused, reply_to="me"
    )


def cancel(entry: str) -> Cancel:
    """A router carries a cancellation out."""
    return Cancel(entry=entry, producer="default", result=result_for(status=Status.CANCELLED))


#: Who does what, to an entry of which stream, after which state of the job.
WORK: dict[str, tuple[Role, Make, str, str]] = {
    "answer": (Role.WORKER, answer, BULK, "flying"),
    "pass on": (Role.WORKER, pass_on, BULK, "flying"),
    "park": (Role.ROUTER, park, OWN.jobs, "unknown"),
    "park a corrected one": (Role.ROUTER, park, OWN.jobs, "refused"),
    "answer at once": (Role.ROUTER, answer_at_once, OWN.jobs, "unknown"),
    "give up": (Role.ROUTER, give_up, BULK, "flying"),
    "refuse": (Role.ROUTER, refuse, OWN.jobs, "unknown"),
    "cancel": (Role.ROUTER, cancel, OWN.jobs, "parked"),
    "cancel one that is not there yet": (Role.ROUTER, cancel, OWN.jobs, "unknown"),
    "park a cancelled one": (Role.ROUTER, park, OWN.jobs, "cancelled"),
    "wait": (Role.ROUTER, wait, OWN.jobs, "unknown"),
    "join": (Role.ROUTER, park, OWN.jobs, "flying"),
}
#: What ends in a result, and so in a record where the fleet keeps an audit log.
RECORDED = ("answer", "answer at once", "refuse", "cancel", "park a cancelled one")
#: Before, between and after a record and its result.
NEAR_RECORDS = frozenset({"set", "hset", "hdel", "xadd", "exists", "expire", "xdel", "xack"})
#: What stands in the way, and at which key.
BLOCKED = {
    "the job's hash": OWN.job("a1"),
    "the booking": None,
    "the letters": KEYS.dead,
    "what is kept": KEYS.dead_kept,
    "the bytes that are kept": KEYS.dead_bytes,
    "the count of submissions": OWN.submissions,
    "the next stream": KEYS.escalations,
    "the deadlines": KEYS.due,
}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A server that knows every role."""
    with guarded_redis(tmp_path_factory.mktemp("guarded")) as guarded:
        yield guarded


def group_of(stream: str) -> str:
    """By which group a stream is read."""
    return POOL_GROUP if stream == BULK else ROUTER_GROUP


def in_hand(redis: Any, stream: str, state: str) -> str:
    """An entry in the hands of somebody, of a job in this state."""
    redis.flushall()
    if state == "cancelled":
        redis.hset(OWN.job("a1"), "cancelled", result_for(status=Status.CANCELLED).to_json())
    if state in ("flying", "parked"):
        redis.hset(
            OWN.job("a1"), mapping={"origin": "1-1", "fingerprint": "f1", "reply": "me\nyou"}
        )
    if state == "refused":
        redis.hset(OWN.job("a1"), mapping={"status": "refused", "fingerprint": ""})
        redis.set(OWN.result("a1"), "refused before")
    ledger = Ledger(redis, KEYS, HOLDER)
    ledger.open([stream], group_of(stream))
    if state == "parked":
        parked = redis.xadd(BULK, {"producer": "default", "id": "a1", "job": "{}", "slip": "{}"})
        ledger.open([BULK], POOL_GROUP)
        ledger.read([BULK], POOL_GROUP, count=1)
        redis.hset(OWN.job("a1"), mapping={"at": BULK, "entry": parked})
    redis.xadd(stream, {"producer": "default", "id": "a1", "job": "{}", "slip": "{}"})
    [entry] = ledger.read([stream], group_of(stream), count=1)
    return entry.entry


@pytest.fixture
def notices(guarded: Guarded) -> Iterator[Notices]:
    """What producers are told."""
    with guarded.connect() as admin, listening(admin) as heard:
        yield heard


def state_of(redis: Any, notices: Notices, stream: str) -> dict[str, object]:
    """How a job has ended, as far as it must be the same whatever happened on the way."""
    others = {OWN.jobs, KEYS.escalations, BULK} - {stream}
    return {
        "result": redis.get(OWN.result("a1")),
        "next": sum(redis.xlen(other) for other in others),
        "told": [bool(notices.of(name)) for name in ("me", "you")],
        "letters": bool(redis.exists(KEYS.dead)),
        "job": sorted(redis.hkeys(OWN.job("a1"))),
        "due": redis.zcard(KEYS.due),
        "source": redis.xlen(stream),
        "pending": redis.xpending(stream, group_of(stream))["pending"],
    }


def settled(redis: Redis, make: Make, stream: str, entry: str) -> None:
    """Settle one entry."""
    Ledger(redis, KEYS, HOLDER).settle(stream, group_of(stream), [make(entry)])


def usual_end(redis: Any, notices: Notices, work: str) -> dict[str, object]:
    """How it ends where nothing is in the way."""
    _, make, stream, state = WORK[work]
    settled(redis, make, stream, in_hand(redis, stream, state))
    return state_of(redis, notices, stream)


def is_pending(redis: Any, stream: str, entry: str) -> bool:
    """Whether an entry is in somebody's hands."""
    return bool(redis.xpending_range(stream, group_of(stream), entry, entry, 1))


def user_with(admin: Any, guarded: Guarded, grants: tuple[Grant, ...]) -> Redis:
    """Connect as a user with these rights."""
    rules = [one.rule() for one in grants]
    admin.execute_command("ACL", "SETUSER", "cut", "reset", "on", "nopass", *rules)
    return Redis.from_url(f"redis://cut:any@127.0.0.1:{guarded.port}/0")


@pytest.mark.parametrize("work", WORK)
def test_a_right_that_is_missing_loses_no_job(
    guarded: Guarded, notices: Notices, work: str
) -> None:
    """Whichever it is, and so at whichever command of the script the error is.

    But that a notice may be missed: its producer finds the result.
    """
    role, make, stream, state = WORK[work]
    failed = set()
    with guarded.connect() as admin:
        usual = usual_end(admin, notices, work)
        for right, selector, grants in narrowings(all_grants(role, "sf")):
            notices.forget()
            entry = in_hand(admin, stream, state)
            with user_with(admin, guarded, grants) as cut:
                try:
                    settled(cut, make, stream, entry)
                except ResponseError:
                    failed.add(right)
                    assert is_pending(admin, stream, entry), (right, selector)
                    settled(admin, make, stream, entry)
            ended = state_of(admin, notices, stream)
            if right in ("publish", Keys(slice=EVERY_SLICE).of_producer("*").results("*")):
                ended["told"] = usual["told"]
            assert ended == usual, (right, selector)
    ending = {"xclaim"} if usual["pending"] else {"xdel", "xack"}
    assert {"xpending", *ending} <= failed


@pytest.mark.parametrize("blocked", BLOCKED)
@pytest.mark.parametrize("work", WORK)
def test_a_key_that_holds_something_else_loses_no_job(
    guarded: Guarded, notices: Notices, work: str, blocked: str
) -> None:
    """It is cleared away, and the job ends as usual."""
    _, make, stream, state = WORK[work]
    with guarded.connect() as admin:
        usual = usual_end(admin, notices, work)
        notices.forget()
        entry = in_hand(admin, stream, state)
        ledger = Ledger(admin, KEYS, HOLDER)
        key = BLOCKED[blocked] or KEYS.booked_at(ledger.now_ms())
        saved = admin.dump(key)
        admin.delete(key)
        admin.lpush(key, "in the way")
        try:
            settled(admin, make, stream, entry)
        except ResponseError:
            assert is_pending(admin, stream, entry)
            admin.delete(key)
            if saved:
                admin.restore(key, 0, saved)
            settled(admin, make, stream, entry)
            assert state_of(admin, notices, stream) == usual


def num_recorded(redis: Any) -> int:
    """How many records the log's keeper would write: those that are not void."""
    return len(written(0, RecordStream(redis, KEYS).read("", 100)))


@pytest.mark.parametrize("work", RECORDED)
def test_a_right_that_is_missing_doubles_no_record_and_loses_none(
    guarded: Guarded, work: str
) -> None:
    """Where the fleet keeps an audit log: whatever fails near the two, but the sight of the log."""
    role, make, stream, state = WORK[work]
    num_failed = 0
    with guarded.connect() as admin:
        for right, selector, grants in narrowings(all_grants(role, "sf")):
            if right not in NEAR_RECORDS:
                continue
            entry = in_hand(admin, stream, state)
            RecordStream(admin, KEYS).open()
            if state == "cancelled":
                admin.hset(OWN.job("a1"), mapping={"record": "", "salt": ""})
            with user_with(admin, guarded, grants) as cut:
                try:
                    settled(cut, make, stream, entry)
                except ResponseError:
                    num_failed += 1
                    settled(admin, make, stream, entry)
            assert num_recorded(admin) == 1 or right == "exists", (right, selector)
    assert num_failed >= 3
