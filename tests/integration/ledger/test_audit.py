"""Blind checks on a real Redis: drawn where the result is written, bounded, recorded once."""

import math
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from tests.support.audits import (
    BACKLOG,
    CHECKS,
    KEYS,
    OWN,
    SERIES,
    finish_of,
    order_of,
    parked,
    settled,
)
from tests.support.invariants import lasting_keys
from tests.support.reviews import decision, leased, make_final, review_of

from smallfirst.audit.drawing import RATES, chance_of, stratum_of
from smallfirst.jobs import Job
from smallfirst.ledger.audits import Audits
from smallfirst.ledger.checks import CheckRecord
from smallfirst.ledger.keys import POOL_GROUP
from smallfirst.ledger.ledger import Ledger
from smallfirst.people import checks_of

TOPIC = checks_of("topic")


def record_of(**more: Any) -> CheckRecord:
    """How a check ended."""
    told: dict[str, Any] = {"series": SERIES, "step": 0, "stratum": 3, "share": 1.0, "chance": 1.0}
    ended = {"is_wrong": False, "person": "r1", "decided_ms": 1, "seconds": 2.0, "num_words": 3}
    return CheckRecord(**{**told, **ended, **more})


def test_an_accepted_answer_is_counted_and_put_before_people(redis: Any) -> None:
    """Its text and the machine's answer stand in one entry, with the chance by which it came."""
    settled(redis, 1)
    [(_, fields)] = redis.xrange(CHECKS)
    assert set(fields) == {b"job", b"slip", b"check", b"chance"}
    assert (b"text 0" in fields[b"job"], float(fields[b"chance"])) == (True, 1.0)
    counts = Audits(redis, KEYS).counts("topic", SERIES)
    assert counts.cells == {f"0:{stratum_of(0.95)}": 1}
    assert (counts.num_accepted, counts.num_drawn, counts.num_waiting) == (1, 1, 1)
    assert not lasting_keys(redis)


def test_a_job_that_is_settled_twice_yields_one_check(redis: Any) -> None:
    """By two workers, of which the second took it over, and by one that says it twice."""
    [held] = parked(redis, [Job(id="a1", task="topic", text="hello")])
    finish = finish_of(held, order_of(), confidence=0.9, label="a")
    for holder in ("worker", "other", "worker"):
        Ledger(redis, KEYS, holder).settle(BACKLOG, POOL_GROUP, [finish, finish])
    counts = Audits(redis, KEYS).counts("topic", SERIES)
    assert (redis.xlen(CHECKS), counts.num_accepted, counts.num_drawn) == (1, 1, 1)


def test_a_job_answered_before_counts_no_second_time(redis: Any) -> None:
    """Submitted again under the same id, it is answered by its first result."""
    settled(redis, 1)
    settled(redis, 1)
    assert Audits(redis, KEYS).counts("topic", SERIES).num_accepted == 1


def test_what_is_not_audited_leaves_no_trace(redis: Any) -> None:
    """No key of an audit is made by a task that has none."""
    [held] = parked(redis, [Job(id="a1", task="topic", text="hello")])
    finish = finish_of(held, None, confidence=0.9, label="a")
    Ledger(redis, KEYS, "worker").settle(BACKLOG, POOL_GROUP, [finish])
    assert redis.exists(OWN.result("a1"))
    assert not redis.exists(CHECKS, KEYS.audit("topic"), KEYS.accepted("topic", SERIES))


def test_the_share_holds_overall_and_the_unsure_come_more_often(redis: Any) -> None:
    """Each check's chance is as the rule has it, so that weights count all answers back."""
    share, sure, unsure = 0.2, 2400, 600
    settled(redis, 3000, order_of(share), confidence=lambda n: 0.6 if n % 5 == 0 else 0.9999)
    audits = Audits(redis, KEYS)
    counts = audits.counts("topic", SERIES)
    assert counts.cells == {"0:0": sure, f"0:{stratum_of(0.6)}": unsure}
    chances = [float(fields[b"chance"]) for _, fields in redis.xrange(CHECKS)]
    drawn = Counter(b'"stratum":0' in fields[b"check"] for _, fields in redis.xrange(CHECKS))
    assert drawn[False] / unsure > 1.5 * drawn[True] / sure
    # The inverse chances estimate how many there were: four standard deviations of that.
    spread = 4 * math.sqrt(sum((1 - chance) / chance**2 for chance in chances))
    assert sum(1 / chance for chance in chances) == pytest.approx(sure + unsure, abs=spread)
    mean_rate = (4 * RATES[0] + RATES[-1]) / 5
    assert chances[-1] in [
        pytest.approx(chance_of(share, stratum, mean_rate), rel=0.02)
        for stratum in (0, len(RATES) - 1)
    ]
    assert redis.xlen(CHECKS) == pytest.approx(share * 3000, abs=4 * math.sqrt(3000 * share))


def test_a_check_is_leased_decided_and_recorded_like_a_job(redis: Any) -> None:
    """It ends as one record without a text, whoever says so twice; the job's result stands."""
    settled(redis, 1)
    before = redis.get(OWN.result("j0"))
    review, audits = review_of(redis), Audits(redis, KEYS)
    mine = leased(review, "r1", TOPIC)
    assert mine.held.job.text == "text 0"
    assert not mine.held.slip.trail
    review.decide(mine.held, mine.place, decision("r1", mine))
    assert review.undo("r1", mine.place)
    again = leased(review, "r1", TOPIC)
    review.decide(again.held, again.place, decision("r1", again))
    make_final(redis)
    ended = [audits.record("topic", mine.place.entry, record_of()) for _ in range(2)]
    assert ended == [True, False]
    _, found = audits.records("topic")
    assert [each.person for each in found] == ["r1"]
    assert not any(
        b"text 0" in fields[b"record"] for _, fields in redis.xrange(KEYS.audited("topic"))
    )
    assert (redis.xlen(CHECKS), redis.get(OWN.result("j0"))) == (0, before)
    assert int(redis.hget(KEYS.audit("topic"), "bytes")) == 0


def test_what_nobody_answers_is_dropped_after_its_time_and_counted(redis: Any) -> None:
    """A check that was decided is left for a desk to record."""
    settled(redis, 3)
    review, audits = review_of(redis), Audits(redis, KEYS)
    mine = leased(review, "r1", TOPIC)
    review.decide(mine.held, mine.place, decision("r1", mine))
    assert audits.drop_late("topic") == 0
    for member in redis.zrange(KEYS.review(TOPIC), 0, -1):
        redis.zadd(KEYS.review(TOPIC), {member: 1})
    assert audits.drop_late("topic") == 2
    counts = audits.counts("topic", SERIES)
    assert (counts.num_dropped, counts.num_waiting) == (2, 1)


def test_the_checks_of_a_task_have_a_bound(redis: Any) -> None:
    """In bytes: beyond it a check is dropped as it comes, the job is answered all the same."""
    text = "\U0001f600" * 190_000
    jobs = [Job(id=f"a{n}", task="topic", text=text) for n in range(120)]
    held = parked(redis, jobs)
    rows = [finish_of(each, order_of(), confidence=0.9, label="a") for each in held]
    worker = Ledger(redis, KEYS, "worker")
    for row in rows:
        worker.settle(BACKLOG, POOL_GROUP, [row])
    counts = Audits(redis, KEYS).counts("topic", SERIES)
    assert (counts.num_accepted, counts.num_drawn) == (120, 120)
    assert 0 < counts.num_dropped == 120 - redis.xlen(CHECKS)
    assert redis.xlen(CHECKS) * 4 * len(text) < 64 * 2**20


def test_records_are_read_on_from_the_last(redis: Any) -> None:
    """Each once, in order, by whoever remembers where it was."""
    settled(redis, 3)
    review, audits = review_of(redis, undo=timedelta(0)), Audits(redis, KEYS)
    last = "-"
    for person in ("r1", "r2", "r3"):
        mine = leased(review, person, TOPIC)
        review.decide(mine.held, mine.place, decision(person, mine))
        audits.record("topic", mine.place.entry, record_of(person=person))
        last, [found] = audits.records("topic", last)
        assert found.person == person
    assert audits.records("topic", last) == (last, [])


def test_an_audits_trouble_stops_no_job(redis: Any) -> None:
    """Where a key of the audit is of another type, the result is written all the same."""
    redis.set(KEYS.accepted("topic", SERIES), "x", ex=60)
    settled(redis, 1)
    assert redis.exists(OWN.result("j0"))
    assert redis.xpending(BACKLOG, POOL_GROUP)["pending"] == 0


def test_a_record_that_nobody_can_read_counts_for_nothing(redis: Any) -> None:
    """Those before and behind it are read."""
    for raw in (record_of().to_json(), "{", record_of(person="r2").to_json()):
        redis.xadd(KEYS.audited("topic"), {"record": raw})
    redis.expire(KEYS.audited("topic"), 60)
    _, found = Audits(redis, KEYS).records("topic")
    assert [each.person for each in found] == ["r1", "r2"]
