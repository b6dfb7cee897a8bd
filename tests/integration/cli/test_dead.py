"""Dead letters: listed, shown, replayed."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis
from tests.support.shapes import result_for

from smallfirst.cli.dead import needs_new_id, next_id
from smallfirst.jobs import Status
from smallfirst.ledger.keys import ROUTER_GROUP, Keys
from smallfirst.ledger.ledger import Ledger
from smallfirst.ledger.producers import Producer, ProducerRegistry
from smallfirst.ledger.routing_slips import DeadLetter
from smallfirst.ledger.settlements import Finish, Refuse, Settlement, dead_letter
from smallfirst.ledger.slices import keys_of_slices, slice_of

Smallfirst = Callable[..., Any]
KEYS = Keys()
OWN = KEYS.of_producer("default")


def bury(
    redis: Redis,
    raw: bytes,
    reason: str,
    job_id: str | None = None,
    producer: str = "default",
    *,
    keys: Keys = KEYS,
) -> str:
    """Leave a dead letter as the fleet does."""
    stream = keys.of_producer("default").jobs
    ledger = Ledger(redis, keys, "router-test")
    ledger.open([stream], ROUTER_GROUP)
    redis.xadd(stream, {"job": raw})
    [entry] = ledger.read([stream], ROUTER_GROUP, count=1)
    is_refusal = reason != "poison"
    letter = dead_letter(
        raw,
        reason,
        producer=producer,
        detail="because",
        job_id=job_id,
        task="topic",
        is_refusal=is_refusal,
    )
    status = Status.REFUSED if is_refusal else Status.FAILED
    result = result_for(job_id, status) if job_id else None
    ended: Settlement = Refuse(
        entry=entry.entry, producer=producer, letter=letter, raw=raw, result=result
    )
    if result is not None and not is_refusal:
        ended = Finish(entry=entry.entry, producer=producer, result=result, letter=letter, raw=raw)
    ledger.settle(stream, ROUTER_GROUP, [ended])
    found: Any = redis.xrevrange(keys.dead, count=1)
    return str(found[0][0].decode())


def submitted(redis: Redis) -> list[bytes]:
    """What stands in the jobs stream."""
    found: Any = redis.xrange(OWN.jobs)
    return [fields[b"job"] for _, fields in found]


def test_dead_letters_are_listed_without_their_text(smallfirst: Smallfirst, redis: Redis) -> None:
    """Reasons and sizes are shown; a text only when it is asked for."""
    raw = b'{"id": "a", "task": "topic", "text": "secret"}'
    entry = bury(redis, raw, "unknown_task", "a")
    bury(redis, b"garbage", "not_json")
    found = smallfirst("dead", "list", "--json").json
    assert [letter["reason"] for letter in found] == ["not_json", "unknown_task"]
    assert len(smallfirst("dead", "list", "--json", "--reason", "not_json").json) == 1
    for arguments in (["list"], ["show", entry], ["show", entry, "--json"]):
        assert "secret" not in smallfirst("dead", *arguments).out
    assert smallfirst("dead", "show", entry, "--raw", "--json").json["submission"] == raw.decode()


def test_a_letter_that_cannot_be_read_stops_nobody(smallfirst: Smallfirst, redis: Redis) -> None:
    """It is listed with the others and can be dropped; nobody knows whose it is to submit again."""
    bury(redis, b"garbage", "not_json")
    odd = redis.xadd(KEYS.dead, {"letter": b"\xff"}).decode()  # type: ignore[union-attr]
    redis.set(KEYS.dead_raw(odd), "secret", ex=60)
    found = smallfirst("dead", "list", "--json").json
    assert [letter["reason"] for letter in found] == ["unreadable_letter", "not_json"]
    assert smallfirst("dead", "show", odd).code == 0
    assert smallfirst("queues", "--json").json["dead_letters"] == 2
    replayed = smallfirst("dead", "replay", odd)
    assert (replayed.code, f"smallfirst dead drop {odd}" in replayed.out) == (1, True)
    assert submitted(redis) == []
    assert smallfirst("dead", "drop", "--reason", "unreadable_letter").out == "dropped: 1\n"
    assert not redis.exists(KEYS.dead_raw(odd))


def test_refusals_are_counted_apart_from_jobs_given_up(
    smallfirst: Smallfirst, redis: Redis
) -> None:
    """A producer's mistake is none of the fleet's: a doctor warns of the fleet's alone."""
    bury(redis, b"garbage", "not_json")
    checks = {check["name"]: check for check in smallfirst("doctor", "--json").json}
    told = (checks["dead letters"]["state"], checks["dead letters"]["detail"])
    assert told == ("ok", "0 jobs given up, 1 submission refused")
    bury(redis, b'{"id": "a", "task": "topic", "text": "billing"}', "poison", "a")
    checks = {check["name"]: check for check in smallfirst("doctor", "--json").json}
    told = (checks["dead letters"]["state"], checks["dead letters"]["detail"])
    assert told == ("warn", "1 job given up, 1 submission refused")
    found = smallfirst("queues", "--json").json
    assert (found["dead_letters"], found["given_up"], found["refused"]) == (2, 1, 1)
    assert "1 job given up, 1 submission refused" in smallfirst("dead", "list").err


def test_a_refused_job_is_replayed_under_its_own_id(smallfirst: Smallfirst, redis: Redis) -> None:
    """What was refused is submitted as it was, once, and its dead letter is gone."""
    raw = b'{"id": "a", "task": "topic", "text": "billing"}'
    entry = bury(redis, raw, "unknown_task", "a")
    assert smallfirst("dead", "replay", entry).out == "a\n"
    assert submitted(redis) == [raw]
    assert redis.xlen(KEYS.dead) == 0
    assert not redis.exists(KEYS.dead_raw(entry))
    assert smallfirst("dead", "replay", entry).code == 1
    assert submitted(redis) == [raw]


def test_a_job_with_a_result_is_replayed_under_a_new_id(
    smallfirst: Smallfirst, redis: Redis
) -> None:
    """A result never changes, so a poisonous job tries again as another one."""
    entry = bury(redis, b'{"id": "a", "task": "topic", "text": "billing"}', "poison", "a")
    [replayed] = smallfirst("dead", "replay", entry, "--json").json
    assert replayed == {"entry": entry, "id": "a.replay1", "problem": None}
    [job] = map(json.loads, submitted(redis))
    assert job == {"id": "a.replay1", "task": "topic", "text": "billing"}


def test_what_is_no_longer_kept_cannot_be_replayed(smallfirst: Smallfirst, redis: Redis) -> None:
    """A dead letter without its text stays, and the command says that it did nothing."""
    entry = bury(redis, b"garbage", "not_json")
    redis.delete(KEYS.dead_raw(entry))
    done = smallfirst("dead", "replay", "--all")
    assert done.code == 1
    assert "its text is no longer kept" in done.out
    assert redis.xlen(KEYS.dead) == 1
    assert smallfirst("dead", "list").out.splitlines()[-1].split()[-1] == "no"


def test_the_beginning_of_a_submission_is_not_submitted(
    smallfirst: Smallfirst, redis: Redis
) -> None:
    """Of what was too large the beginning is kept, to look at; it is no job."""
    entry = bury(redis, b"{" * 100, "too_large")
    redis.set(KEYS.dead_raw(entry), b"{" * 10, ex=60)
    done = smallfirst("dead", "replay", entry)
    assert (done.code, submitted(redis)) == (1, [])
    assert "only its first 10 bytes are kept" in done.out
    assert smallfirst("dead", "list", "--json").json[0]["kept_bytes"] == 10


def test_what_is_replayed_or_dropped_makes_room(smallfirst: Smallfirst, redis: Redis) -> None:
    """Whatever is kept of dead letters can be dropped, and counts no more."""
    raw = b'{"id": "a", "task": "topic", "text": "billing"}'
    first, second = bury(redis, raw, "unknown_task", "a"), bury(redis, b"garbage", "not_json")
    bury(redis, raw, "poison", "b")
    assert smallfirst("dead", "replay", first).code == 0
    assert redis.get(KEYS.dead_bytes) == str(len(raw + b"garbage")).encode()
    assert smallfirst("dead", "drop", "--reason", "not_json").out == "dropped: 1\n"
    assert not redis.exists(KEYS.dead_raw(second))
    assert smallfirst("dead", "drop", "--all", "--json").json != []
    assert redis.xlen(KEYS.dead) == redis.xlen(KEYS.dead_kept) == 0
    assert redis.get(KEYS.dead_bytes) == b"0"
    assert smallfirst("dead", "drop").code == 2


def test_a_letter_of_a_producer_that_is_gone_is_kept(smallfirst: Smallfirst, redis: Redis) -> None:
    """Nobody reads its stream; the letter can be replayed once it is registered again."""
    raw = b'{"id": "a", "task": "topic", "text": "billing"}'
    entry, shop = bury(redis, raw, "unknown_task", "a", "shop"), KEYS.of_producer("shop")
    done = smallfirst("dead", "replay", entry)
    assert (done.code, redis.xlen(KEYS.dead), redis.exists(shop.jobs)) == (1, 1, 0)
    assert "smallfirst producer add shop" in done.out
    ProducerRegistry(redis, KEYS).write("shop", Producer())
    assert smallfirst("dead", "replay", entry).code == 0
    assert (redis.xlen(KEYS.dead), redis.xlen(shop.jobs)) == (0, 1)


def test_what_is_no_json_keeps_its_letter_where_its_id_is_taken(
    smallfirst: Smallfirst, redis: Redis
) -> None:
    """A submission that cannot be given another id is not submitted, and is not lost."""
    entry = bury(redis, b"garbage", "not_json", "a")
    redis.hset(OWN.job("a"), "status", "answered")
    redis.expire(OWN.job("a"), 60)
    done = smallfirst("dead", "replay", entry)
    assert (done.code, redis.xlen(KEYS.dead)) == (1, 1)
    assert "its id is taken" in done.out


@pytest.mark.parametrize(
    ("job_id", "following"),
    [("a", "a.replay1"), ("a.replay1", "a.replay2"), ("x" * 128, "x" * 120 + ".replay1")],
)
def test_replays_are_numbered(job_id: str, following: str) -> None:
    """The next id is the same job's, one higher, and never longer than an id may be."""
    assert next_id(job_id) == following


def test_an_id_is_free_where_nothing_lasting_has_it() -> None:
    """A refusal takes no id; a result, a job in flight and a poisonous job do."""
    refused = DeadLetter(reason="invalid", size=1, digest="sha256:0", is_refusal=True)
    poison = DeadLetter(reason="poison", size=1, digest="sha256:0")
    assert not needs_new_id(refused, None, is_in_flight=False)
    assert not needs_new_id(refused, b"refused", is_in_flight=False)
    assert needs_new_id(refused, b"answered", is_in_flight=False)
    assert needs_new_id(refused, None, is_in_flight=True)
    assert needs_new_id(poison, None, is_in_flight=False)


def test_dead_letters_of_all_slices_are_one_list(smallfirst: Smallfirst, redis: Redis) -> None:
    """Named by entry and slice, the newest first; each is replayed and dropped where it is."""
    places = keys_of_slices("sf", 2)
    for keys in places:
        redis.set(keys.num_slices, 2)
    ids = {slice_of(f"j{n}", 2): f"j{n}" for n in range(9)}
    raws = {number: json.dumps({"id": ids[number], "text": "x"}).encode() for number in (0, 1)}
    entries = [
        bury(redis, raws[number], "unknown_task", ids[number], keys=places[number])
        for number in (0, 1, 0)
    ]
    names = [f"{entry}@{number}" for entry, number in zip(entries, (0, 1, 0), strict=True)]
    found = smallfirst("dead", "list", "--json", SMALLFIRST_SLICES="2").json
    assert [letter["entry"] for letter in found] == names[::-1]
    assert smallfirst("dead", "replay", names[1], SMALLFIRST_SLICES="2").out == f"{ids[1]}\n"
    waiting: Any = redis.xrange(places[1].of_producer("default").jobs)
    assert [fields[b"job"] for _, fields in waiting] == [raws[1]]
    smallfirst("dead", "drop", names[0], SMALLFIRST_SLICES="2")
    assert [redis.xlen(keys.dead) for keys in places] == [1, 0]
    for name in (entries[2], f"{entries[2]}@2"):
        done = smallfirst("dead", "show", name, SMALLFIRST_SLICES="2")
        assert (done.code, "is no dead letter" in done.err) == (2, True)
    done = smallfirst("dead", "list")
    assert "its fleet has 2 slices, and SMALLFIRST_SLICES says 1" in done.err
