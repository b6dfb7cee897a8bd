"""What is compared of a result and its record, and what is not asked again at all."""

import json
from typing import Any

import pytest
from tests.support.shapes import attempt_for, result_for

from smallfirst.answers import LabelAnswer
from smallfirst.audit_log.replaying import Recorded, Verdict, compare, why_not_asked
from smallfirst.catalogue import Kind
from smallfirst.jobs import Attempt, Outcome, Result, Status, Tier
from smallfirst.ledger.records import ResultRecord, read_record, record_of
from smallfirst.ledger.settlements import Basis, Finish

TEXT = "where is my parcel?"
SURE = attempt_for(confidence=0.9, threshold=0.8)
UNSURE = attempt_for(confidence=0.5, threshold=0.8, outcome=Outcome.ESCALATED)
NO = LabelAnswer(label="no", confidence=0.9)


def recorded(*trail: Attempt, text: str | None = TEXT, **more: Any) -> Recorded:
    """A result as the log has it."""
    basis = None if text is None else Basis(text, "c" * 16, "d" * 16)
    result = result_for(trail=trail, tier=Tier.SLM, **more)
    finish = Finish(entry="1-1", producer="default", result=result, basis=basis)
    written, salt = record_of(finish)
    record = read_record(json.dumps(json.loads(written)).encode())
    assert isinstance(record, ResultRecord)
    return Recorded(7, salt, record)


def again(*trail: Attempt, **more: Any) -> Result:
    """What comes of it today."""
    return result_for(**{"trail": trail, "tier": Tier.SLM, **more})


def test_the_same_answer_is_equal_however_long_it_took() -> None:
    """Seconds, costs and confidences of the next batch are no part of it."""
    other_batch = SURE.model_copy(update={"confidence": 0.91, "seconds": 3.0, "cost": 1.0})
    assert compare(recorded(SURE), again(other_batch)) == (Verdict.EQUAL, "")


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (again(SURE, answer=NO), "another answer of minilm"),
        (again(UNSURE, SURE), "step 0: accepted then, escalated now"),
        (again(SURE, SURE), "1 attempts then, 2 now"),
        (again(SURE, tier=Tier.LLM), "by slm then, by llm now"),
        (again(SURE, status=Status.ABSTAINED), "answered then, abstained now"),
    ],
)
def test_what_differs_is_said(result: Result, said: str) -> None:
    """The first of it."""
    assert compare(recorded(SURE), result) == (Verdict.DIFFERENT, said)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"model": "other"}, "model minilm then, other now"),
        ({"revision": "2"}, "revision 1 then, 2 now"),
        ({"threshold": 0.85}, "threshold 0.8 then, 0.85 now"),
    ],
)
def test_another_setting_is_no_difference_of_the_answer(changed: Any, said: str) -> None:
    """Whatever the answer is, by other settings it cannot be compared."""
    now = again(SURE.model_copy(update=changed), answer=NO)
    assert compare(recorded(SURE), now) == (Verdict.OTHER_SETTINGS, f"step 0: {said}")


def test_settings_of_steps_that_the_other_did_not_reach_do_not_matter() -> None:
    """Where the ways part, that is the difference."""
    other = SURE.model_copy(update={"model": "other"})
    now = again(SURE)
    assert compare(recorded(UNSURE, other), now)[0] is Verdict.DIFFERENT


@pytest.mark.parametrize(
    ("found", "kind", "text", "reason"),
    [
        (None, Kind.CLASSIFY, TEXT, "the log has no record of it, or its salt was erased"),
        (recorded(SURE), Kind.CLASSIFY, TEXT + "!", "its text is not the one of then"),
        (recorded(SURE, text=None), Kind.CLASSIFY, TEXT, "its record names no text"),
        (recorded(SURE), None, TEXT, "the catalogue has no task 'topic'"),
        (
            recorded(SURE.model_copy(update={"tier": Tier.HUMAN})),
            Kind.CLASSIFY,
            TEXT,
            "a person was asked",
        ),
        (recorded(status=Status.EXPIRED), Kind.CLASSIFY, TEXT, "it ended as expired"),
        (
            recorded(*[UNSURE] * 101),
            Kind.CLASSIFY,
            TEXT,
            "its record has the last attempts alone",
        ),
        (recorded(SURE), Kind.CLASSIFY, TEXT, None),
        (recorded(SURE, status=Status.ABSTAINED), Kind.CLASSIFY, TEXT, None),
    ],
)
def test_what_would_tell_nothing_is_not_asked(
    found: Recorded | None, kind: Kind | None, text: str, reason: str | None
) -> None:
    """With its reason."""
    assert why_not_asked(found, kind, text) == reason


def test_a_vector_is_not_asked() -> None:
    """Its last digits depend on its neighbours in the batch."""
    assert "vector" in str(why_not_asked(recorded(SURE), Kind.EMBED, TEXT))
