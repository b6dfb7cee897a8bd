"""What is given up, and what is destroyed: told, and kept within bounds."""

from datetime import timedelta
from typing import Any

import pytest
from tests.support.ledgers import KEYS, OWN, ledger_of, submission

from smallfirst.ledger.bounds import Bounds
from smallfirst.ledger.keys import ROUTER_GROUP
from smallfirst.ledger.ledger import Ledger
from smallfirst.ledger.routing_slips import DeadLetter
from smallfirst.ledger.settlements import Refuse, Settled, dead_letter


def test_a_dead_letter_keeps_the_text_apart_from_the_reason(redis: Any) -> None:
    """The reason tells size and hash; the raw submission is a key of its own, with a TTL."""
    redis.xadd(OWN.jobs, {"job": "canary"})
    ledger = ledger_of(redis)
    [entry] = ledger.read([OWN.jobs], ROUTER_GROUP, count=1)
    letter = dead_letter(b"canary", "not_json", producer="default")
    refusal = Refuse(entry=entry.entry, producer="default", letter=letter, raw=b"canary")
    assert ledger.settle(OWN.jobs, ROUTER_GROUP, [refusal]) == Settled(results=1)
    [(dead, fields)] = redis.xrange(KEYS.dead)
    found = DeadLetter.model_validate_json(fields[b"letter"])
    assert (found.reason, found.size) == ("not_json", 6)
    assert b"canary" not in fields[b"letter"]
    assert redis.get(KEYS.dead_raw(dead.decode())) == b"canary"


def bury(redis: Any, bounds: Bounds, *raws: bytes) -> list[str]:
    """Refuse these submissions in one go; return the entries of the letters that are left."""
    ledger = Ledger(redis, KEYS, "router-a", bounds)
    ledger.open([OWN.jobs], ROUTER_GROUP)
    for raw in raws:
        redis.xadd(OWN.jobs, {"job": raw})
    entries = ledger.read([OWN.jobs], ROUTER_GROUP, count=len(raws))
    rows = [
        Refuse(
            entry=entry.entry,
            producer="default",
            letter=dead_letter(raw, "not_json", producer="default"),
            raw=raw,
        )
        for entry, raw in zip(entries, raws, strict=True)
    ]
    ledger.settle(OWN.jobs, ROUTER_GROUP, rows)
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


def test_letters_are_counted_beyond_those_that_are_kept(redis: Any) -> None:
    """The count grows on where their number cannot, and a replay takes nothing off it."""
    bury(redis, Bounds(max_dead=3), *(b"%d" % number for number in range(50)))
    assert redis.get(KEYS.dead_written) == b"50"
    [*_, entry] = bury(redis, Bounds(max_dead=3), b"50")
    redis.xdel(KEYS.dead, entry)
    assert redis.get(KEYS.dead_written) == b"51"


def test_a_role_that_may_not_count_letters_writes_them(redis: Any) -> None:
    """In the midst of an upgrade, rules of Redis's may not know the count yet."""
    redis.rpush(KEYS.dead_written, "in the way")
    assert len(bury(redis, Bounds(), b"a", b"b")) == 2
    assert not redis.xlen(OWN.jobs)
    redis.delete(KEYS.dead_written)


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
    for key in (KEYS.dead_raw(entry), KEYS.dead_kept, KEYS.dead_bytes, KEYS.dead_written):
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
    assert ledger.submissions.count_destroyed("default") == 0
    ledger.settle(OWN.jobs, ROUTER_GROUP, [submission(redis_7, "a1")])
    for _ in range(20):
        redis_7.xadd(OWN.jobs, {"job": "{}"})
    if is_read:
        ledger.read([OWN.jobs], ROUTER_GROUP, count=20)
    assert ledger.submissions.count_destroyed("default") == 0
    redis_7.xadd(OWN.jobs, {"job": "{}"}, maxlen=1, approximate=False)
    assert [ledger.submissions.count_destroyed("default") for _ in range(2)] == [20, 0]
    assert redis_7.hget(OWN.submissions, "destroyed") == b"20"


def test_another_stream_is_counted_afresh(redis_7: Any) -> None:
    """A stream that was made anew misses nothing of the one before."""
    ledger = ledger_of(redis_7)
    ledger.submissions.count_destroyed("default")
    for number in range(5):
        ledger.settle(OWN.jobs, ROUTER_GROUP, [submission(redis_7, f"a{number}")])
    redis_7.delete(OWN.jobs)
    ledger.open([OWN.jobs], ROUTER_GROUP)
    redis_7.xadd(OWN.jobs, {"job": "{}"})
    assert ledger.submissions.count_destroyed("default") == 0
    redis_7.xtrim(OWN.jobs, maxlen=0)
    assert ledger.submissions.count_destroyed("default") == 1
