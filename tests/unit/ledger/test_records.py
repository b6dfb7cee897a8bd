"""Records of results: all that an audit needs, and no word of a text, an id or an answer."""

import re
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.shapes import attempt_for, result_for, slip_for

from smallfirst.answers import LabelAnswer, TextAnswer
from smallfirst.jobs import Outcome, Problem, Status, Tier
from smallfirst.ledger.records import (
    MAX_ATTEMPTS,
    ResultRecord,
    read_record,
    record_of,
    salted,
)
from smallfirst.ledger.settlements import Basis, Cancel, Finish, Move, Refuse, dead_letter

PRIVATE = "Call Ada on 555-0199 ☎"


def finish(basis: Basis | None = None, **more: Any) -> Finish:
    """A result of the producer `default`."""
    return Finish(entry="1-1", producer="default", result=result_for(**more), basis=basis)


def recorded(settlement: Any) -> tuple[ResultRecord, bytes]:
    """The record of what ends an entry, as its readers have it, and its salt."""
    raw, salt = record_of(settlement)
    record = read_record(raw.encode())
    assert isinstance(record, ResultRecord)
    return record, salt


def test_a_record_tells_what_answered_by_which_rules() -> None:
    """Models with their digests, thresholds, the promise, the catalogue, times and costs."""
    first = attempt_for(outcome=Outcome.ESCALATED, confidence=0.4, threshold=0.9, cost=0.25)
    person = attempt_for(step=1, tier=Tier.HUMAN, model="person", revision="r7", seconds=31.0)
    basis = Basis("text", "c1", "p1")
    record, salt = recorded(finish(basis, trail=(first, person), tier=Tier.HUMAN, late=True))
    assert (record.catalogue, record.promise, record.task) == ("c1", "p1", "topic")
    assert (record.status, record.tier, record.late) == (Status.ANSWERED, Tier.HUMAN, True)
    assert [each.revision for each in record.trail] == ["1", "r7"]
    assert (record.trail[0].threshold, record.trail[0].cost) == (0.9, 0.25)
    assert record.finished_at == "2026-01-01T00:00:00.000+00:00"
    assert record.input == sha256(salt + b"input\0text").hexdigest()
    assert record.job == sha256(salt + b"job\0default\0a1").hexdigest()
    assert record.answer == sha256(salt + b"answer\0yes").hexdigest()
    assert record.salt == sha256(salt).hexdigest()[:16]


def test_no_word_of_a_job_is_in_its_record() -> None:
    """Not where an answer, a reason, a problem, its metadata or its id has some."""
    answer = TextAnswer(text=PRIVATE, confidence=0.9)
    attempt = attempt_for(reason=PRIVATE, answer=LabelAnswer(label=PRIVATE, confidence=0.5))
    problem = Problem(code="unsure", message=PRIVATE)
    for more in (
        {"answer": answer, "trail": (attempt,), "metadata": {"person": PRIVATE}},
        {"status": Status.ABSTAINED, "problem": problem, "trail": (attempt,)},
    ):
        raw, _ = record_of(finish(Basis(PRIVATE, "c", "p"), job_id="Ada-555", **more))
        # A hash may hold three digits by chance.
        said = re.sub("[0-9a-f]{16,}", "", raw)
        assert not any(word in said for word in ("Ada", "555", "\\u260e", "Call"))


@given(st.text(max_size=50), st.text(max_size=50))
def test_records_of_equal_jobs_have_nothing_in_common(one: str, other: str) -> None:
    """Each has a salt of its own; whoever has it sees which text it is, and which not."""
    (first, salt), (second, _) = (recorded(finish(Basis(one, "c", ""))) for _ in range(2))
    assert len({first.input, second.input, first.job, second.job}) == 4
    assert (salted(salt, "input", other) == first.input) == (one == other)


@pytest.mark.parametrize("text", ["\ud800", "\0", ""])
def test_a_text_of_any_kind_is_recorded(text: str) -> None:
    """One that no router lets in, too."""
    record, salt = recorded(finish(Basis(text, "c", "p")))
    assert record.input == salted(salt, "input", text)


def test_what_ends_without_a_text_is_recorded_without_one() -> None:
    """Refused and cancelled; and what has no result has no record."""
    letter = dead_letter(b"x", "not_json", producer="default")
    refused = result_for(status=Status.REFUSED)
    refusal = Refuse(entry="1-1", producer="default", letter=letter, raw=b"x", result=refused)
    cancelled = result_for(status=Status.CANCELLED)
    for settlement in (refusal, Cancel(entry="1-1", producer="default", result=cancelled)):
        record, _ = recorded(settlement)
        assert (record.input, record.answer) == (None, None)
        assert record.problem is not None
    nameless = Refuse(entry="1-1", producer="default", letter=letter, raw=b"x")
    moved = Move(entry="1-1", job_id="a1", job=b"{}", slip=slip_for(), to="x")
    assert record_of(nameless) == record_of(moved) == ("", b"")


def test_a_trail_without_end_is_recorded_by_its_end() -> None:
    """So that a record is never larger than the log takes."""
    trail = tuple(attempt_for(step=number) for number in range(3 * MAX_ATTEMPTS))
    record, _ = recorded(finish(trail=trail))
    assert record.num_attempts == 3 * MAX_ATTEMPTS
    assert [each.step for each in record.trail] == list(range(2 * MAX_ATTEMPTS, 3 * MAX_ATTEMPTS))
