"""Jobs in people's hands, on a real Redis: leased to one, fenced by the start, settled once."""

from datetime import timedelta
from typing import Any

import pytest
from tests.support.notices import Notices
from tests.support.reviews import (
    KEYS,
    LEASE,
    OWN,
    STREAM,
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
from smallfirst.ledger.review import Leased, Refusal


def result_of(redis: Any, job_id: str) -> Result | None:
    """A job's result, where it has one."""
    raw = redis.get(OWN.result(job_id))
    return None if raw is None else Result.model_validate_json(raw)


def label_of(redis: Any, job_id: str) -> str | None:
    """The label of a job's result."""
    result = result_of(redis, job_id)
    answer = result.answer if result else None
    return answer.label if isinstance(answer, LabelAnswer) else None


def test_a_persons_answer_is_the_jobs_result(redis: Any, notices: Notices) -> None:
    """Under its id, with the trail before and the person's attempt, by pseudonym; then all ends."""
    before = attempt_for(outcome=Outcome.ESCALATED, confidence=0.4)
    wait_for_people(redis, topic("a1", reply_to="me"), trail=(before,))
    review = review_of(redis)
    mine = leased(review, "r1")
    assert mine.held.job.text == "hello"
    review.decide(mine.held, mine.place, decision("r1", mine))
    assert result_of(redis, "a1") is None
    make_final(redis)
    [decided] = review.settle_decided()

    assert (decided.held.job.id, decided.last.person) == ("a1", "r1")
    result = result_of(redis, "a1")
    assert result is not None
    assert (result.status, result.tier, result.unsure) == (Status.ANSWERED, Tier.HUMAN, False)
    assert [attempt.model for attempt in result.trail] == ["minilm", "person"]
    assert (result.trail[1].revision, result.trail[1].pool) == ("r1", "@people.topic")
    assert notices.of("me") == ["a1"]
    assert not redis.xlen(STREAM)
    assert redis.xpending(STREAM, POOL_GROUP)["pending"] == 0
    assert not redis.exists(KEYS.review("topic"), KEYS.decisions, KEYS.decided)


def test_the_job_whose_wait_ends_first_is_given_first(redis: Any) -> None:
    """Whenever it came, and whichever its priority."""
    wait_for_people(
        redis,
        topic("a1"),
        topic("a2", priority="interactive"),
        topic("a3"),
        waits={"a1": timedelta(hours=3), "a2": timedelta(hours=2), "a3": timedelta(hours=1)},
    )
    review = review_of(redis)
    assert [leased(review, f"r{n}").held.job.id for n in range(3)] == ["a3", "a2", "a1"]
    assert review.lease("topic", "r4") is Refusal.NONE


def test_two_people_never_have_one_job_in_hand(redis: Any) -> None:
    """The second is given another; who asks for that very one is told that it is taken."""
    wait_for_people(redis, topic("a1"), topic("a2"))
    review, other = review_of(redis), review_of(redis)
    mine, theirs = leased(review, "r1"), leased(other, "r2")
    assert {mine.held.job.id, theirs.held.job.id} == {"a1", "a2"}
    assert other.lease("topic", "r2", mine.place) is Refusal.HELD


def test_a_second_tab_of_a_person_shows_the_same_lease(redis: Any) -> None:
    """Both may answer; the first answer stands, and the second is told so."""
    wait_for_people(redis, topic("a1"))
    review = review_of(redis)
    first, second = leased(review, "r1"), leased(review, "r1")
    assert (first.place, first.start) == (second.place, second.start)
    assert isinstance(review.decide(first.held, first.place, decision("r1", first)), int)
    again = decision("r1", second, LabelAnswer(label="b", confidence=1.0))
    assert review.decide(second.held, second.place, again) is Refusal.ANSWERED
    make_final(redis)
    review.settle_decided()
    assert label_of(redis, "a1") == "a"


def test_a_lapsed_job_is_free_at_once_and_its_late_answer_is_told_so(redis: Any) -> None:
    """Where another has started it meanwhile; the answer of the two that is not late stands."""
    wait_for_people(redis, topic("a1"))
    review = review_of(redis)
    late = leased(review, "r1")
    run_out(redis, late.place.entry)
    assert review.load("topic").num_free == 1
    mine = leased(review, "r2")
    assert mine.start == late.start + 1
    assert review.renew("topic", "r1", late.place, late.start) is Refusal.LOST
    assert review.decide(late.held, late.place, decision("r1", late)) is Refusal.LOST
    said = decision("r2", mine, LabelAnswer(label="b", confidence=1.0))
    assert isinstance(review.decide(mine.held, mine.place, said), int)
    make_final(redis)
    review.settle_decided()
    assert label_of(redis, "a1") == "b"


def test_a_late_answer_counts_where_nobody_has_started_the_job_since(redis: Any) -> None:
    """By the ledger's rule for every holder: a closed laptop loses nothing by being closed."""
    wait_for_people(redis, topic("a1"))
    review = review_of(redis)
    late = leased(review, "r1")
    run_out(redis, late.place.entry)
    assert isinstance(review.decide(late.held, late.place, decision("r1", late)), int)
    make_final(redis)
    review.settle_decided()
    assert label_of(redis, "a1") == "a"


def test_an_open_page_keeps_its_lease_until_the_wait_ends(redis: Any) -> None:
    """It begins afresh with each sign of life; past the deadline it is not renewed."""
    wait_for_people(redis, topic("a1"))
    review = review_of(redis)
    mine = leased(review, "r1")
    run_out(redis, mine.place.entry)
    assert review.renew("topic", "r1", mine.place, mine.start) is None
    [pending] = redis.xpending_range(STREAM, POOL_GROUP, "-", "+", 1)
    left = 600_000 - pending["time_since_delivered"]
    assert 0 < left <= LEASE.total_seconds() * 1000
    redis.zadd(KEYS.review("topic"), {mine.place.member: 1})
    assert review.renew("topic", "r1", mine.place, mine.start) is Refusal.DUE


def test_a_decision_is_taken_back_until_it_is_final_and_never_after(redis: Any) -> None:
    """By the person who made it alone; the answer that stands is the one given last."""
    wait_for_people(redis, topic("a1"))
    review = review_of(redis)
    mine = leased(review, "r1")
    review.decide(mine.held, mine.place, decision("r1", mine))
    assert review.settle_decided() == []
    assert review.undo("r2", mine.place) is None
    start = review.undo("r1", mine.place)
    assert start is not None
    again = leased(review, "r1")
    assert again.start == start > mine.start
    said = decision("r1", again, LabelAnswer(label="b", confidence=1.0))
    assert isinstance(review.decide(again.held, again.place, said), int)
    make_final(redis)
    assert review.undo("r1", mine.place) is None
    review.settle_decided()
    assert review.undo("r1", mine.place) is None
    assert label_of(redis, "a1") == "b"


def test_what_is_skipped_is_anothers_at_once_and_comes_again_when_all_else_is_done(
    redis: Any,
) -> None:
    """Its page answers it no more once another has started it."""
    wait_for_people(redis, topic("a1"), topic("a2"))
    review = review_of(redis)
    first = leased(review, "r1")
    assert review.skip("topic", "r1", first.place, first.start)
    second = leased(review, "r1")
    assert second.place != first.place
    assert review.skip("topic", "r1", second.place, second.start)
    assert leased(review, "r2").place == first.place
    assert leased(review, "r1").place == second.place
    assert review.decide(first.held, first.place, decision("r1", first)) is Refusal.LOST


def test_a_decision_outlives_the_desk_that_took_it(redis: Any) -> None:
    """Another desk settles it; and two that settle at once make one result."""
    wait_for_people(redis, *(topic(f"a{n}") for n in range(5)))
    dead = review_of(redis)
    for _ in range(5):
        mine = leased(dead, "r1")
        dead.decide(mine.held, mine.place, decision("r1", mine))
    make_final(redis)
    one, two = review_of(redis), review_of(redis)
    rows = one._scripts.run("take_decided", [KEYS.decisions, KEYS.decided], [POOL_GROUP, 100])
    assert len(rows) == 5
    assert len(two.settle_decided()) == 5
    assert one.settle_decided() == []
    assert {label_of(redis, f"a{n}") for n in range(5)} == {"a"}
    assert not redis.xlen(STREAM)


def test_a_cancelled_job_takes_no_answer(redis: Any) -> None:
    """Who has it on the screen is told that it is over."""
    wait_for_people(redis, topic("a1"))
    review = review_of(redis)
    mine = leased(review, "r1")
    redis.set(OWN.result("a1"), "{}", ex=60)
    assert review.decide(mine.held, mine.place, decision("r1", mine)) is Refusal.ENDED
    run_out(redis, mine.place.entry)
    assert review.lease("topic", "r2") is Refusal.NONE
    assert not redis.xlen(STREAM)
    assert not redis.exists(KEYS.review("topic"))


def test_the_list_tells_counts_and_ages_and_no_text(redis: Any) -> None:
    """Of one task; what was decided is in nobody's hands and waits for nobody."""
    words = "words-of-the-text"
    wait_for_people(redis, *(topic(f"a{n}", words) for n in range(4)))
    review = review_of(redis)
    mine = leased(review, "r1")
    review.decide(mine.held, mine.place, decision("r1", mine))
    leased(review, "r2")
    load = review.load("topic", listed=10)
    assert (load.num_jobs, load.num_decided, load.num_held, load.num_free) == (4, 1, 1, 2)
    assert load.first_due_ms is not None
    assert load.oldest_ms is not None
    assert load.oldest_ms <= load.now_ms < load.first_due_ms
    assert [each.person for each in load.listed] == ["decided", "r2", None, None]
    assert words not in repr(load)
    assert review.load("other").num_jobs == 0


def test_a_job_that_is_due_is_given_to_nobody(redis: Any) -> None:
    """A router ends it; who has it already may answer still."""
    wait_for_people(redis, topic("a1"), topic("a2"))
    review = review_of(redis)
    mine = leased(review, "r1")
    for member in redis.zrange(KEYS.review("topic"), 0, -1):
        redis.zadd(KEYS.review("topic"), {member: 1})
    assert review.lease("topic", "r2") is Refusal.NONE
    assert isinstance(review.decide(mine.held, mine.place, decision("r1", mine)), int)


def test_an_entry_that_nobody_can_read_stops_no_other(redis: Any) -> None:
    """It fails with a dead letter, and the next is given."""
    wait_for_people(redis, topic("a2"))
    odd = redis.xadd(STREAM, {"producer": "default", "id": "a1", "job": "{", "slip": "{}"})
    redis.zadd(KEYS.review("topic"), {f"bulk:{odd.decode()}": 4e12, "bulk:what": 1, "odd": 1})
    redis.expire(KEYS.review("topic"), 600)
    review = review_of(redis)
    assert leased(review, "r1").held.job.id == "a2"
    assert review.lease("topic", "r2") is Refusal.ENDED
    result = result_of(redis, "a1")
    assert result is not None
    assert result.status is Status.FAILED
    assert redis.xlen(KEYS.dead) == 1


@pytest.mark.timeout(300)
def test_a_thousand_lapsed_leases_lose_no_job(redis: Any) -> None:
    """Each is given again, to one person, and answered once."""
    ids = [f"a{n}" for n in range(1000)]
    wait_for_people(redis, *map(topic, ids))
    review = review_of(redis)
    late = [leased(review, f"old{n}") for n in range(1000)]
    run_out(redis, *(each.place.entry for each in late))
    for n in range(1000):
        mine = leased(review, f"new{n % 20}")
        review.decide(mine.held, mine.place, decision(f"new{n % 20}", mine))
    for each in late:
        refusal = review.decide(each.held, each.place, decision("old", each))
        assert refusal in {Refusal.ANSWERED, Refusal.LOST}
    make_final(redis)
    settled = [held.job.id for _ in range(10) for held, *_ in review.settle_decided()]
    assert sorted(settled) == sorted(ids)
    assert redis.exists(*map(OWN.result, ids)) == 1000
    assert not redis.xlen(STREAM)


@pytest.mark.parametrize("task", ["topic", "other"])
def test_what_is_decided_is_read_by_its_entry(redis: Any, task: str) -> None:
    """And nothing where nothing was."""
    assert Decisions(redis, KEYS).read(task, ["1-0"]) == {}
    assert isinstance(review_of(redis).place_of(task, "bulk", "1-0"), object)
    assert review_of(redis).place_of(task, "urgent", "1-0") is None
    place = review_of(redis).place_of(task, "bulk", "1-0")
    assert place is not None
    assert not isinstance(review_of(redis).lease(task, "r1", place), Leased)
