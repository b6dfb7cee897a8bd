"""What is counted of a step that was asked after another: whether it changed the answer."""

from typing import Any

import pytest
from tests.support.shapes import attempt_for

from smallfirst.answers import LabelAnswer, SpansAnswer
from smallfirst.jobs import Attempt, Outcome, Tier
from smallfirst.ledger.booking import booking_of, changes_of


def said(step: int, label: str | None, tier: Tier = Tier.SLM, **more: Any) -> Attempt:
    """An attempt with its answer, if any."""
    answer = LabelAnswer(label=label, confidence=0.5) if label else None
    return attempt_for(step=step, tier=tier, answer=answer, **more)


UNSURE: dict[str, Any] = {"outcome": Outcome.ESCALATED}


@pytest.mark.parametrize(
    ("trail", "counted"),
    [
        ([said(0, "a")], ""),
        ([said(0, "a", **UNSURE), said(1, "a")], "1:accepted:compared"),
        ([said(0, "a", **UNSURE), said(1, "b")], "1:accepted:compared 1:accepted:changed"),
        ([said(0, None, **UNSURE), said(1, "b")], ""),
        ([said(0, "a", **UNSURE), said(1, None, outcome=Outcome.FAILED)], ""),
        (
            [said(0, "a", **UNSURE), said(1, "b", **UNSURE), said(2, "b", Tier.HUMAN)],
            "2:accepted:compared 1:escalated:judged 1:escalated:better",
        ),
        (
            [said(0, "a", **UNSURE), said(1, "b", **UNSURE), said(2, "a", Tier.HUMAN)],
            "2:accepted:compared 2:accepted:changed 1:escalated:judged 1:escalated:worse",
        ),
        (
            [said(0, "a", **UNSURE), said(1, "b", **UNSURE), said(2, "c", Tier.HUMAN)],
            "2:accepted:compared 2:accepted:changed 1:escalated:judged",
        ),
    ],
    ids=["first", "same", "changed", "no answer before", "failed", "better", "worse", "both wrong"],
)
def test_a_change_is_counted_and_a_person_says_which_way(
    trail: list[Attempt], counted: str
) -> None:
    """A machine's change is for the better or the worse only by what a person answered."""
    found = " ".join(changes_of("topic", trail, trail[-1:]))
    assert found.replace("topic:", "") == counted


def test_spans_are_the_same_in_any_order_and_confidence() -> None:
    """It is the answer that is compared, not how sure it is."""
    one = attempt_for(answer=SpansAnswer(spans=(), confidence=0.1), outcome=Outcome.ESCALATED)
    other = attempt_for(step=1, answer=SpansAnswer(spans=(), confidence=0.9))
    assert list(changes_of("pii", [one, other], [other])) == ["pii:1:accepted:compared"]


def test_what_no_meter_measured_is_not_booked_as_nothing() -> None:
    """A dash is no zero."""
    spent: dict[str, Any] = {"seconds": 0.25, "cost": 0.001, "tokens": 9, "tokens_written": 2}
    assert booking_of("t", attempt_for(**spent)) == "t:0:accepted 0.250000 0.001000000 9 2 -"
    told = booking_of("t", attempt_for(**spent, joules=1.5))
    assert told == "t:0:accepted 0.250000 0.001000000 9 2 1.500000"
