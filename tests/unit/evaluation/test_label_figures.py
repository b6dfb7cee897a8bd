"""Figures by label, of whole answers and of their parts."""

import pytest

from smallfirst.answers import Answer, LabelAnswer, LabelsAnswer, RecordAnswer, Span, SpansAnswer
from smallfirst.catalogue import Kind
from smallfirst.evaluation.label_figures import label_figures
from smallfirst.kinds import KINDS, Example

ROWS: list[tuple[Kind, dict[str, object], Answer]] = [
    (Kind.CLASSIFY, {"label": "a"}, LabelAnswer(label="a", confidence=1.0)),
    (Kind.MULTILABEL, {"labels": ["a", "b"]}, LabelsAnswer(labels=("b", "a"), confidence=1.0)),
    (
        Kind.TAG,
        {"spans": [{"start": 0, "end": 2, "label": "a"}, {"start": 3, "end": 4, "label": "b"}]},
        SpansAnswer(
            spans=(Span(start=0, end=2, label="a"), Span(start=3, end=4, label="b")), confidence=0.5
        ),
    ),
    (Kind.EXTRACT, {"record": {"a": 1}}, RecordAnswer(record={"a": 1}, confidence=1.0)),
    (
        Kind.JUDGE,
        {"verdict": "yes"},
        RecordAnswer(record={"verdict": "yes", "quote": "x"}, confidence=1.0),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "row", "answer"), ROWS)
def test_every_kind_is_taken_apart_and_written_as_its_rows_are(
    kind: Kind, row: dict[str, object], answer: Answer
) -> None:
    """A right answer has the row's own form in JSON, and the same parts as the row."""
    spec = KINDS[kind]
    gold, said = spec.gold_of(Example(text="texts", **row)), spec.said_by(answer)
    assert spec.as_json(said) == spec.as_json(gold) == next(iter(row.values()))
    assert spec.parts_of(said) == spec.parts_of(gold) != frozenset()
    assert spec.parts_of(None) == frozenset()
    assert spec.as_json(None) is None


def test_parts_are_counted_each_for_itself() -> None:
    """A span counts where its place and label are right, and so do two of one label in a text."""
    right = [frozenset({("who", (0, 3)), ("who", (5, 9)), ("when", (10, 12))}), frozenset()]
    said = [frozenset({("who", (0, 3)), ("who", (5, 8))}), frozenset({("where", (0, 1))})]
    who, never, when, where = label_figures(right, said, ["who", "never"])
    assert (who.num_there, who.num_said, who.num_right) == (2, 2, 1)
    assert (who.precision, who.recall) == (0.5, 0.5)
    assert (never.precision, never.recall, never.recall_interval) == (None, None, None)
    assert (when.label, when.precision, when.recall) == ("when", None, 0.0)
    assert (where.label, where.precision, where.recall) == ("where", 0.0, None)
