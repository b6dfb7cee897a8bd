"""What a person enters becomes an answer of the task, or is refused in a sentence for them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallfirst.answers import (
    LabelAnswer,
    LabelsAnswer,
    RecordAnswer,
    Span,
    SpansAnswer,
    TextAnswer,
)
from smallfirst.catalogue import Kind, PersonStep, Task
from smallfirst_desk.errors import FormError
from smallfirst_desk.forms import FORMS, lines_of, read_answer

TEXT = "Marta Oliveira wrote.\nMarta Oliveira signed, on 3 May.\U0001f600 Marta"
LABELS = {"name": "A name.", "date": "A date.", "a: b": "A label with a colon."}


def task(kind: Kind, **more: Any) -> Task:
    """A task of a kind that a person answers."""
    return Task.model_validate({"kind": kind, "cascade": [{"person": {"wait": "1h"}}], **more})


LABELLED = task(Kind.CLASSIFY, labels=LABELS)
SEVERAL = task(Kind.MULTILABEL, labels=LABELS)
TAGGED = task(Kind.TAG, labels=LABELS)
JUDGED = task(Kind.JUDGE, question="Is it so?")
WRITTEN = task(Kind.GENERATE)
RECORD = task(
    Kind.EXTRACT,
    fields={
        "number": {},
        "total": {"type": "number"},
        "count": {"type": "integer", "optional": True},
        "due": {"type": "date", "optional": True},
        "paid": {"type": "boolean"},
    },
)


def test_every_kind_that_may_ask_a_person_has_a_form() -> None:
    """And the kind that may not has none."""
    assert set(Kind) - set(FORMS) == {Kind.EMBED}
    assert isinstance(LABELLED.person_step, PersonStep)


def test_a_label_is_one_of_the_tasks() -> None:
    """As sure as a person is."""
    assert read_answer(LABELLED, TEXT, {"label": ["date"]}) == LabelAnswer(
        label="date", confidence=1.0
    )


def test_labels_come_in_the_catalogues_order_and_may_be_none() -> None:
    """Whatever order a browser sends them in."""
    several = read_answer(SEVERAL, TEXT, {"label": ["a: b", "name", "name"]})
    assert several == LabelsAnswer(labels=("name", "a: b"), confidence=1.0)
    assert read_answer(SEVERAL, TEXT, {}) == LabelsAnswer(labels=(), confidence=1.0)


def test_lines_are_spans_of_the_text_in_order() -> None:
    """The first words that are free, or those at a place; blanks and line breaks are as good."""
    lines = "date: 3  May\r\nname: Marta Oliveira\r\nname: Marta Oliveira\nname: Marta @56\n\n"
    answer = read_answer(TAGGED, TEXT, {"spans": [lines]})
    assert isinstance(answer, SpansAnswer)
    assert [(span.label, TEXT[span.start : span.end]) for span in answer.spans] == [
        ("name", "Marta Oliveira"),
        ("name", "Marta Oliveira"),
        ("date", "3 May"),
        ("name", "Marta"),
    ]
    assert read_answer(TAGGED, TEXT, {"spans": [" "]}) == SpansAnswer(spans=(), confidence=1.0)


def test_a_label_may_hold_a_colon() -> None:
    """The longest label of the task that a line begins with is meant."""
    answer = read_answer(TAGGED, TEXT, {"spans": ["a: b: wrote"]})
    assert isinstance(answer, SpansAnswer)
    assert [span.label for span in answer.spans] == ["a: b"]


@given(st.text(min_size=1, max_size=60), st.data())
def test_spans_are_read_as_they_are_written(text: str, data: st.DataObject) -> None:
    """Whatever the text holds, for spans that begin and end with words."""
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    words = text[start:end]
    if words != words.strip() or any(
        c in words for c in "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
    ):
        return
    span = Span(start=start, end=end, label="name")
    answer = read_answer(TAGGED, text, {"spans": [lines_of(text, [span])]})
    assert isinstance(answer, SpansAnswer)
    assert answer.spans == (span,)


def test_a_record_has_every_field_in_its_type() -> None:
    """An empty one is null where that may be."""
    entered = {"field.number": ["A 1"], "field.total": ["12.50"], "field.paid": ["no"]}
    assert read_answer(RECORD, TEXT, entered) == RecordAnswer(
        record={"number": "A 1", "total": 12.5, "count": None, "due": None, "paid": False},
        confidence=1.0,
    )


def test_a_verdict_may_rest_on_the_texts_own_words() -> None:
    """Which are quoted as the text has them."""
    entered = {"verdict": ["no"], "quote": ["Oliveira wrote. Marta Oliveira"]}
    assert read_answer(JUDGED, TEXT, entered) == RecordAnswer(
        record={"verdict": "no", "quote": "Oliveira wrote.\nMarta Oliveira"}, confidence=1.0
    )
    assert read_answer(JUDGED, TEXT, {"verdict": ["unsure"]}) == RecordAnswer(
        record={"verdict": "unsure", "quote": ""}, confidence=1.0
    )


def test_a_text_is_taken_as_it_was_written() -> None:
    """Its lines end as Unix has them."""
    answer = read_answer(WRITTEN, TEXT, {"text": ["Dear Marta,\r\n\r\nyes.\r\n"]})
    assert answer == TextAnswer(text="Dear Marta,\n\nyes.", confidence=1.0)


@pytest.mark.parametrize(
    ("of", "entered", "said"),
    [
        (LABELLED, {}, "Choose a label"),
        (LABELLED, {"label": ["nmae"]}, "one of the task's labels, did you mean 'name'"),
        (LABELLED, {"label": ["<script>"]}, "Choose one of the task's labels."),
        (SEVERAL, {"label": ["name", "x" * 9999]}, "Choose one of the task's labels."),
        (TAGGED, {"spans": ["Marta"]}, "Line 1: write a label of the task, a colon"),
        (TAGGED, {"spans": ["name:  "]}, "Line 1: the words are missing"),
        (TAGGED, {"spans": ["name: @0"]}, "Line 1: the words are missing"),
        (TAGGED, {"spans": ["name: Nobody"]}, "Line 1: these words do not stand in the text."),
        (TAGGED, {"spans": ["name: Marta @1"]}, "do not stand in the text at that place"),
        (TAGGED, {"spans": ["name: Marta @9999999"]}, "do not stand in the text at that place"),
        (TAGGED, {"spans": ["date: 3 May\nname: May"]}, "Line 2: another line has these words"),
        (TAGGED, {"spans": ["name: Marta\n" * 2001]}, "2,000 lines at most"),
        (RECORD, {"field.total": ["1"], "field.paid": ["yes"]}, "number: is required"),
        (RECORD, {"field.number": ["1"], "field.total": ["nan"]}, "total: must be a number"),
        (RECORD, {"field.number": ["1"], "field.total": ["1e999"]}, "total: must be a number"),
        (RECORD, {"field.number": ["1"], "field.total": ["1_0"]}, "total: must be a number"),
        (RECORD, {"field.number": ["1"], "field.total": ["9" * 99]}, "total: must be a number"),
        (
            RECORD,
            {"field.number": ["1"], "field.total": ["1"], "field.count": ["1.5"]},
            "count: must be a whole number",
        ),
        (
            RECORD,
            {"field.number": ["1"], "field.total": ["1"], "field.due": ["2026-02-30"]},
            "due: must be a date",
        ),
        (
            RECORD,
            {"field.number": ["1"], "field.total": ["1"], "field.paid": ["maybe"]},
            "paid: must be yes or no",
        ),
        (JUDGED, {"verdict": ["perhaps"]}, "Choose yes, no or unsure"),
        (JUDGED, {"verdict": ["yes"], "quote": ["never said"]}, "does not stand in the text"),
        (WRITTEN, {"text": [" \r\n"]}, "Write an answer"),
        (WRITTEN, {"text": ["x" * 200_001]}, "more than 200,000 characters"),
        (WRITTEN, {"text": ["\ud800"]}, "no text"),
    ],
)
def test_what_is_no_answer_is_refused_for_a_person_to_mend(
    of: Task, entered: dict[str, list[str]], said: str
) -> None:
    """The sentence names the line or the field, and repeats nothing that was entered."""
    with pytest.raises(FormError, match=said):
        read_answer(of, TEXT, entered)
