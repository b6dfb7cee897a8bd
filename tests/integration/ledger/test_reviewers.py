"""Jobs that two people answer, on a real Redis: neither sees the other's answer; one result."""

from datetime import timedelta
from typing import Any

import pytest
from tests.support.reviews import (
    KEYS,
    OWN,
    STREAM,
    answered,
    decision,
    leased,
    make_final,
    review_of,
    run_out,
    topic,
    wait_for_people,
)
from tests.support.shapes import attempt_for

from smallfirst.answers import LabelAnswer
from smallfirst.jobs import Outcome, Result, Status, Tier
from smallfirst.ledger.decisions import Decisions
from smallfirst.ledger.keys import POOL_GROUP
from smallfirst.ledger.ledger import Ledger
from smallfirst.ledger.review import Place, Refusal, Review
from smallfirst.ledger.settlements import Cancel


def result_of(redis: Any, job_id: str = "a1") -> Result | None:
    """A job's result, where it has one."""
    raw = redis.get(OWN.result(job_id))
    return None if raw is None else Result.model_validate_json(raw)


def label_of(redis: Any, job_id: str = "a1") -> str | None:
    """The label of a job's result."""
    result = result_of(redis, job_id)
    answer = result.answer if result else None
    return answer.label if isinstance(answer, LabelAnswer) else None


def seen_by(review: Review, person: str) -> tuple[int, int, bool, bool, int]:
    """What the counts tell a person: jobs, free ones, an oldest, a first to end, listed ones."""
    load = review.load("topic", person, listed=10)
    ages = load.oldest_ms is not None, load.first_due_ms is not None
    return load.num_jobs, load.num_free, *ages, len(load.listed)


def nothing_is_left(redis: Any) -> bool:
    """Whether nothing is known of any job but its result."""
    names = [KEYS.review("topic"), KEYS.decisions, KEYS.decided]
    others = [*redis.scan_iter(f"{KEYS.tag}:earlier:*"), *redis.scan_iter(f"{KEYS.tag}:answered:*")]
    return not redis.exists(*names) and not others and not redis.xlen(STREAM)


def test_two_who_agree_make_the_result_and_both_stand_in_its_trail(redis: Any) -> None:
    """Booked as one job with the seconds of both; nothing is left, and their pair is noted once."""
    before = attempt_for(outcome=Outcome.ESCALATED, confidence=0.4)
    wait_for_people(redis, topic("a1"), reviewers=2, trail=(before,))
    review = review_of(redis)
    answered(redis, review, "r1", "a")
    assert result_of(redis) is None
    answered(redis, review, "r2", "a")

    result = result_of(redis)
    assert result is not None
    assert (result.status, result.tier, label_of(redis)) == (Status.ANSWERED, Tier.HUMAN, "a")
    told = [(each.revision, each.outcome) for each in result.trail[1:]]
    assert told == [("r1", Outcome.ESCALATED), ("r2", Outcome.ACCEPTED)]
    assert result.trail[-1].reason == "r1 answered the same"
    [booked] = redis.scan_iter(f"{KEYS.tag}:booked:*")
    assert redis.hget(booked, "topic:1:accepted:jobs") == b"1"
    assert [pair.said for pair in review.pairs("topic")] == [("a", "a")]
    assert nothing_is_left(redis)


def test_who_has_answered_sees_the_job_no_more_and_everybody_else_does(redis: Any) -> None:
    """Neither listed, nor counted, nor as the oldest, nor next, nor by its address."""
    wait_for_people(redis, topic("a1"), reviewers=2)
    review = review_of(redis)
    oldest = review.load("topic", "r2").oldest_ms
    mine = answered(redis, review, "r1", "a")
    assert seen_by(review, "r1") == (0, 0, False, False, 0)
    assert seen_by(review, "r2") == (1, 1, True, True, 1)
    assert review.load("topic", "r2").oldest_ms == oldest
    assert review.lease("topic", "r1") is Refusal.NONE
    assert review.lease("topic", "r1", mine.place) is Refusal.GIVEN
    assert review.lease("topic", "r1", mine.place, only_own=True) is Refusal.GIVEN
    theirs = leased(review, "r2")
    assert seen_by(review, "r1")[:2] == (0, 0)
    assert "r1" not in theirs.held.entry.fields[b"slip"].decode()
    assert review.lease("topic", "r3", theirs.place) is Refusal.HELD


def test_where_two_differ_a_third_decides(redis: Any) -> None:
    """The answer that two gave stands; the pair that is noted is the first two's."""
    wait_for_people(redis, topic("a1"), reviewers=2)
    review = review_of(redis)
    answered(redis, review, "r1", "a")
    answered(redis, review, "r2", "b")
    assert [review.lease("topic", each) for each in ("r1", "r2")] == [Refusal.NONE] * 2
    assert result_of(redis) is None
    answered(redis, review, "r3", "a")
    result = result_of(redis)
    assert result is not None
    assert label_of(redis) == "a"
    assert [each.revision for each in result.trail] == ["r1", "r2", "r3"]
    assert result.trail[-1].reason == "r1 answered the same, r2 otherwise"
    assert [(pair.people, pair.said) for pair in review.pairs("topic")] == [
        (("r1", "r2"), ("a", "b"))
    ]
    assert nothing_is_left(redis)


def test_where_all_three_differ_the_last_answer_stands(redis: Any) -> None:
    """And its trail says so."""
    wait_for_people(redis, topic("a1"), reviewers=2)
    review = review_of(redis)
    for person, label in (("r1", "a"), ("r2", "b"), ("r3", "c")):
        answered(redis, review, person, label)
    result = result_of(redis)
    assert result is not None
    assert label_of(redis) == "c"
    assert result.trail[-1].reason is not None
    assert "all differ" in result.trail[-1].reason


def test_each_answer_may_be_taken_back_until_it_is_final_and_never_after(redis: Any) -> None:
    """The first and the second; what is not final hides nothing, and makes no result."""
    wait_for_people(redis, topic("a1"), reviewers=2)
    review = review_of(redis)
    mine = leased(review, "r1")
    review.decide(mine.held, mine.place, decision("r1", mine))
    assert review.settle_decided() == []
    assert review.lease("topic", "r2") is Refusal.NONE
    assert review.undo("r1", mine.place)
    answered(redis, review, "r1", "b")
    assert review.undo("r1", mine.place) is None
    theirs = leased(review, "r2")
    review.decide(theirs.held, theirs.place, decision("r2", theirs))
    assert review.undo("r1", mine.place) is None
    assert review.undo("r2", theirs.place)
    answered(redis, review, "r2", "b")
    assert label_of(redis) == "b"


def test_a_page_that_was_open_before_answers_no_more(redis: Any) -> None:
    """A person's second tab neither answers twice, nor keeps or skips the other person's lease."""
    wait_for_people(redis, topic("a1"), reviewers=2)
    review = review_of(redis)
    tab = leased(review, "r1")
    answered(redis, review, "r1", "a")
    again = decision("r1", tab, LabelAnswer(label="a", confidence=1.0))
    assert review.decide(tab.held, tab.place, again) is Refusal.LOST
    theirs = leased(review, "r2")
    assert review.renew("topic", "r1", tab.place, tab.start) is Refusal.LOST
    assert not review.skip("topic", "r1", tab.place, tab.start)
    assert review.renew("topic", "r2", theirs.place, theirs.start) is None


def test_a_lapsed_lease_of_the_second_person_is_anothers(redis: Any) -> None:
    """As of any job; the first answer stays."""
    wait_for_people(redis, topic("a1"), reviewers=2)
    review = review_of(redis)
    answered(redis, review, "r1", "a")
    late = leased(review, "r2")
    run_out(redis, late.place.entry)
    answered(redis, review, "r3", "a")
    assert review.decide(late.held, late.place, decision("r2", late)) is Refusal.ENDED
    assert label_of(redis) == "a"


def test_a_desk_that_is_late_undoes_nothing(redis: Any) -> None:
    """What it read as final was kept by another since, and the next person has answered."""
    wait_for_people(redis, topic("a1"), reviewers=2)
    slow, quick = review_of(redis), review_of(redis)
    mine = leased(quick, "r1")
    quick.decide(mine.held, mine.place, decision("r1", mine))
    make_final(redis)
    raw = Decisions(redis, KEYS).read(STREAM, [mine.place.entry])[mine.place.entry]
    quick.settle_decided()
    theirs = leased(quick, "r2")
    quick.decide(theirs.held, theirs.place, decision("r2", theirs))
    assert slow._settle_jobs(STREAM, [(mine.held.entry, raw)], lambda _made: None) == ([], [])
    assert result_of(redis) is None
    make_final(redis)
    assert [each.last.person for each in slow.settle_decided()] == ["r2"]
    assert quick.settle_decided() == []
    assert label_of(redis) == "a"
    assert len(quick.pairs("topic")) == 1


@pytest.mark.parametrize("at", ["noted", "kept"])
def test_a_desk_that_dies_between_loses_and_doubles_nothing(redis: Any, at: str) -> None:
    """Whether it died once the pair was noted, or before anything was."""
    wait_for_people(redis, topic("a1"), reviewers=2)
    dead, alive = review_of(redis), review_of(redis)
    answered(redis, dead, "r1", "a")
    mine = leased(dead, "r2")
    decided = decision("r2", mine)
    dead.decide(mine.held, mine.place, decided)
    make_final(redis)
    if at == "noted":
        earlier = dead.earlier(STREAM, mine.place.entry)
        assert Decisions(redis, KEYS).note_pair_of(mine.held, (*earlier, decided))
    kept: list[Any] = []
    alive.settle_decided(keep=kept.extend)
    assert [each.held.job.id for each in kept] == ["a1"]
    assert label_of(redis) == "a"
    assert len(alive.pairs("topic")) == 1


def test_a_job_that_is_cancelled_between_leaves_nothing(redis: Any) -> None:
    """The second person is told that it is over."""
    wait_for_people(redis, topic("a1"), reviewers=2)
    review = review_of(redis)
    answered(redis, review, "r1", "a")
    theirs = leased(review, "r2")
    router = Ledger(redis, KEYS, "@router/test")
    redis.xadd(OWN.jobs, {"cancel": "a1"})
    [entry] = router.read([OWN.jobs], "router", count=1)
    ended = Result.model_validate(
        {
            "id": "a1",
            "status": Status.CANCELLED,
            "submitted_at": "2026-01-01T00:00:00Z",
            "finished_at": "2026-01-01T00:00:00Z",
        },
        strict=False,
    )
    router.settle(OWN.jobs, "router", [Cancel(entry=entry.entry, producer="default", result=ended)])
    assert review.decide(theirs.held, theirs.place, decision("r2", theirs)) is Refusal.ENDED
    assert nothing_is_left(redis)


def test_what_one_person_has_answered_keeps_nobody_from_what_is_behind(redis: Any) -> None:
    """However much it is: a look goes through all of it, and through 5,000 others."""
    wait_for_people(redis, topic("a1"), reviewers=2, waits={"a1": timedelta(hours=9)})
    review = review_of(redis)
    now_ms = review.now_ms()
    names = {f"bulk:{n}-1": now_ms + n for n in range(60_000, 66_000)}
    redis.zadd(KEYS.review("topic"), names)
    redis.zadd(KEYS.answered("topic", "r1"), names)
    redis.expire(KEYS.answered("topic", "r1"), 60)
    odd = {"odd": now_ms + 1, "bulk:what": now_ms + 2}
    redis.zadd(KEYS.review("topic"), odd)
    assert [each.job_id for each in review.load("topic", "r1", listed=5).listed] == ["a1"]
    redis.zrem(KEYS.review("topic"), *odd)
    assert leased(review, "r1").held.job.id == "a1"
    assert seen_by(review, "r1")[0] == 1
    assert review.load("topic", "r2").num_jobs == 6001


def test_an_earlier_answer_that_nobody_can_read_counts_for_nothing(redis: Any) -> None:
    """The job waits for one more, and is answered."""
    wait_for_people(redis, topic("a1"), reviewers=2)
    review = review_of(redis)
    mine = answered(redis, review, "r1", "a")
    redis.hset(KEYS.earlier_of(STREAM, mine.place.entry), "r1", "{")
    answered(redis, review, "r2", "b")
    assert result_of(redis) is None
    answered(redis, review, "r3", "b")
    assert label_of(redis) == "b"


def test_everything_that_is_kept_between_has_an_end(redis: Any) -> None:
    """A day after the job's wait at the latest, or a bound."""
    wait_for_people(redis, topic("a1"), reviewers=2)
    review = review_of(redis)
    mine = answered(redis, review, "r1", "a")
    answered(redis, review, "r2", "b")
    place: Place = mine.place
    assert 86_400 < redis.ttl(KEYS.earlier_of(STREAM, place.entry)) <= 86_400 + 3600
    assert redis.ttl(KEYS.answered("topic", "r1")) > 30 * 86_400
    assert redis.ttl(KEYS.pairs("topic")) > 90 * 86_400
    assert redis.xpending(STREAM, POOL_GROUP)["pending"] == 1
