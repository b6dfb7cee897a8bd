"""Pairs: how two endings are put together, what is counted, and what is said of it."""

from typing import Any

import pytest
from tests.support.shapes import MOMENT

from smallfirst.answers import AnyAnswer, LabelAnswer, Span, SpansAnswer
from smallfirst.jobs import Attempt, Job, Outcome, Priority, Problem, Result, Status, Tier
from smallfirst.shadow.copies import SHADOW, copy_id, copy_of, is_drawn
from smallfirst.shadow.pairing import (
    Ending,
    Judged,
    Judgement,
    cell_of,
    ending_of,
    is_alike,
    pair_of,
    standing,
)
from smallfirst.shadow.reporting import ShadowReport, sentences


def tried(cost: float, tier: Tier = Tier.SLM) -> Attempt:
    """A step that was asked."""
    said: dict[str, Any] = {"tier": tier, "model": "m", "outcome": Outcome.ESCALATED}
    return Attempt(step=0, revision="1", seconds=0.1, cost=cost, **said)


def label(word: str) -> LabelAnswer:
    """An answer."""
    return LabelAnswer(label=word, confidence=0.9, distribution={word: 0.9})


def ended(status: Status, answer: AnyAnswer | None = None, **more: Any) -> Result:
    """How a job ended, after one step."""
    times = {"submitted_at": MOMENT, "finished_at": MOMENT}
    told = {"trail": (tried(0.5),), **times, **more}
    return Result(id="a", task="topic", status=status, answer=answer, **told)


@pytest.mark.parametrize(
    ("result", "ending"),
    [
        (ended(Status.ANSWERED, label("a"), tier=Tier.SLM), Ending.ANSWERED),
        (ended(Status.ANSWERED, label("a"), tier=Tier.HUMAN), Ending.PERSON),
        (ended(Status.ANSWERED, label("a"), tier=Tier.SLM, unsure=True), Ending.ABSTAINED),
        (ended(Status.ABSTAINED), Ending.ABSTAINED),
        (ended(Status.FAILED), Ending.FAILED),
        (ended(Status.FAILED, problem=Problem(code="model_error", message="m")), Ending.FAILED),
        (ended(Status.FAILED, problem=Problem(code="unknown_task", message="m")), None),
        (ended(Status.EXPIRED), None),
        (ended(Status.CANCELLED), None),
    ],
)
def test_how_a_result_leaves_its_job(result: Result, ending: Ending | None) -> None:
    """What its producer ended, or a change of the catalogue, says nothing of the cascade."""
    assert ending_of(result) is ending


def test_both_answers_are_compared() -> None:
    """By what they say, however sure; and each side's cost is counted."""
    live, copy = (ended(Status.ANSWERED, label(word), tier=Tier.SLM) for word in "ab")
    pair = pair_of(live, copy)
    assert pair is not None
    costs = {"live_cost": 0.5, "candidate_cost": 0.5}
    assert pair.amounts == {"answered:answered": 1, "unlike": 1, **costs}
    same = pair_of(live, live)
    assert same is not None
    assert same.is_alike is True


def test_a_copy_that_came_to_nothing_is_too_late() -> None:
    """Its answer would not stand."""
    live, copy = ended(Status.ANSWERED, label("a"), tier=Tier.SLM), ended(Status.EXPIRED)
    pair = pair_of(live, copy)
    assert pair is not None
    assert (pair.candidate, pair.is_alike, standing(copy)) == (Ending.LATE, None, None)


def test_a_persons_time_is_no_cost_of_a_cascade() -> None:
    """While a person is waited for, the cost is that of the machines before."""
    pair = pair_of((tried(0.25), tried(99.0, Tier.HUMAN)), ended(Status.ABSTAINED))
    assert pair is not None
    assert (pair.live, pair.live_cost) == (Ending.PERSON, 0.25)


def test_a_cancelled_job_makes_no_pair() -> None:
    """Nobody can say how its cascade would have left it."""
    assert pair_of(ended(Status.CANCELLED), ended(Status.ABSTAINED)) is None
    assert pair_of(ended(Status.ABSTAINED), ended(Status.CANCELLED)) is None


def test_spans_are_alike_only_as_a_whole() -> None:
    """One more is another answer."""
    one, two = (Span(start=n, end=n + 2, label="id") for n in (0, 5))
    answers = [SpansAnswer(spans=spans, confidence=1.0) for spans in ((one,), (one, two), ())]
    found = [[is_alike(a, b) for b in answers] for a in answers]
    assert found == [[a is b for b in answers] for a in answers]
    assert not is_alike(label("a"), answers[0])
    assert not is_alike(None, label("a"))


def test_what_a_person_says_is_counted_for_both() -> None:
    """The candidate is right, wrong, or has no answer that stands."""
    said = [label("a"), label("b"), None]
    judgement = Judgement(live=Judged.WRONG, answer=label("a"))
    assert [cell_of(judgement, each) for each in said] == [
        "wrong:right",
        "wrong:wrong",
        "wrong:none",
    ]


def test_a_copy_is_of_its_producers_job_alone() -> None:
    """Two producers' jobs of one id have two copies; of a copy nothing tells whose it is."""
    job = Job(id="a", task="topic", text="x", priority=Priority.INTERACTIVE, metadata={"k": "v"})
    one, other = (copy_of(job, name, "next") for name in ("shop", "office"))
    assert one.id != other.id
    assert one == Job(id=copy_id("shop", "a"), task="next", text="x")
    assert SHADOW.startswith("@")


def test_a_share_is_drawn_evenly() -> None:
    """About as many as it says, and a smaller share is part of a larger one."""
    jobs = [("default", f"job-{n}", 1_000 + n) for n in range(4_000)]
    small, large = (sum(is_drawn(share, *job) for job in jobs) for share in (0.05, 0.2))
    assert 150 < small < 250
    assert 700 < large < 900
    assert all(is_drawn(0.2, *job) for job in jobs if is_drawn(0.05, *job))


COUNTS = {
    "copied": 12.0,
    "left_out": 3.0,
    "answered:answered": 6.0,
    "alike": 5.0,
    "unlike": 1.0,
    "answered:late": 1.0,
    "person:answered": 2.0,
    "abstained:answered": 1.0,
    "live_cost": 0.5,
    "candidate_cost": 0.1,
    "judged:right:right": 4.0,
    "judged:right:wrong": 1.0,
    "judged:right:none": 2.0,
    "judged:wrong:right": 3.0,
    "judged:none:right": 1.0,
    "judged:none:wrong": 1.0,
    "to_judge:answered": 20.0,
    "to_judge:person": 2.0,
    "dropped": 1.0,
}


SAID = """\
topic: next runs in shadow on 5.00% of its jobs.
Of 10 jobs that ended in both, both have an answer that stands in 6; in 5 (83.3%) it is the same.
The live cascade left 7 answered, 2 for people, 1 without an answer; the candidate 9 answered, \
1 too late.
A thousand of them cost 50 USD live and 10 in shadow, people aside.
People have answered 10 of 20 that they are to check, and 2 of 2 that they were given; \
`smallfirst promote topic --from-shadow --dry-run` judges by these.
3 more were drawn while the fleet had no capacity to spare, and have no copy.
Of 1 more nothing is counted: they were cancelled, are gone, or were copied for a candidate \
that was stopped."""


def test_what_a_shadow_tells() -> None:
    """In words and figures; a live answer that is none is not right."""
    report = ShadowReport("topic", "next", 0.05, COUNTS)
    assert "\n".join(sentences(report)) == SAID
    assert (report.judged.standing, report.judged.wrong, report.num_unjudged) == (10, 2, 1)
    assert (report.judged.lost, report.judged.won, report.judged.total) == (3, 4, 12)
    assert report.as_json()["cost_per_thousand"] == {"live": 50.0, "shadow": 10.0}


def test_a_shadow_that_has_seen_nothing_says_why() -> None:
    """No figure is made of nothing."""
    none = ShadowReport("topic", "next", 0.05)
    assert sentences(none)[1].startswith("No pair is counted yet: none of its jobs was drawn")
    busy = ShadowReport("topic", "next", 0.05, {"left_out": 4.0})
    assert "4 jobs were drawn while the fleet had no capacity to spare" in sentences(busy)[1]
    assert none.as_json()["cost_per_thousand"] == {"live": None, "shadow": None}
