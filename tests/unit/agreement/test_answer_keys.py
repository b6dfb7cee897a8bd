"""By which it is known that two people answered the same."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallfirst.agreement.answer_keys import answer_key
from smallfirst.answers import (
    Answer,
    LabelAnswer,
    LabelsAnswer,
    RecordAnswer,
    Span,
    SpansAnswer,
    TextAnswer,
)


def label(name: str, confidence: float = 1.0) -> Answer:
    """One label."""
    return LabelAnswer(label=name, confidence=confidence)


def labels(*names: str) -> Answer:
    """A set of labels."""
    return LabelsAnswer(labels=names, confidence=1.0)


def spans(*places: tuple[int, int, str]) -> Answer:
    """Spans, in this order."""
    found = tuple(Span(start=start, end=end, label=name) for start, end, name in places)
    return SpansAnswer(spans=found, confidence=1.0)


def record(**fields: Any) -> Answer:
    """A record."""
    return RecordAnswer(record=fields, confidence=1.0)


def text(words: str) -> Answer:
    """Free text."""
    return TextAnswer(text=words, confidence=1.0)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (label("a"), label("a", 0.5)),
        (labels("a", "b"), labels("b", "a")),
        (spans((0, 3, "x"), (5, 7, "y")), spans((5, 7, "y"), (0, 3, "x"))),
        (record(a=1, b=None), record(b=None, a=1)),
        (record(verdict="yes", quote="here"), record(verdict="yes", quote="there")),
        (text("Dear  Marta,\n"), text(" Dear Marta,")),
    ],
)
def test_the_same_answers_have_the_same_key(one: Answer, other: Answer) -> None:
    """Whatever their order, confidence, quote or white space."""
    assert answer_key(one) == answer_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (label("a"), label("A")),
        (labels("a"), labels("a", "b")),
        (spans((0, 3, "x")), spans((0, 3, "y"))),
        (spans((0, 3, "x")), spans((0, 4, "x"))),
        (record(a="1"), record(a=1)),
        (record(verdict="yes", quote="here"), record(verdict="no", quote="here")),
        (text("Dear Marta,"), text("dear Marta,")),
    ],
)
def test_answers_that_differ_have_different_keys(one: Answer, other: Answer) -> None:
    """In a label, a border, a field, a letter."""
    assert answer_key(one) != answer_key(other)


@given(st.text(min_size=4))
def test_no_word_of_a_text_stands_in_a_key(words: str) -> None:
    """Of text and of records a hash does, of bounded length."""
    for answer in (text(words), record(number=words)):
        key = answer_key(answer)
        assert len(key) == 25
        assert key[0] == "#"
