"""What a run came to: results, and the right answers where they are known, summed up as rows.

Pure, and bounded: a report of a million results is as large as one of a hundred. How a row looks on
a screen is `cli.tables`' business.
"""

from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue

from smallfirst.jobs import (
    Answer,
    LabelAnswer,
    LabelsAnswer,
    RecordAnswer,
    Span,
    SpansAnswer,
)

#: A span as gold files and answers are compared: start, end, label.
GoldSpan = tuple[int, int, str]
#: The right answer of one job: a label or a verdict, a set of labels, a set of spans, or a record.
Gold = str | frozenset[str] | frozenset[GoldSpan] | dict[str, JsonValue]


@dataclass
class Score:
    """How often answers were right, by the measure that fits their kind.

    `right` and `total` count answers for labels and verdicts (equal), for sets of labels and for
    records (all of it right, or not). For spans they are twice the spans found, and the spans said
    plus the spans there are, so that the ratio is the F1 over all spans of all texts (micro), where
    a span counts only when its start, end and label are all right.
    """

    measure: str | None = None
    right: int = 0
    total: int = 0
    num_scored: int = 0

    def add(self, answer: Answer | None, gold: Gold) -> None:
        """Compare one answer with the gold of its kind; gold of another kind is left alone."""
        compared = _compare(answer, gold)
        if compared is None:
            return
        measure, right, total = compared
        self.measure = measure
        self.right += right
        self.total += total
        self.num_scored += 1

    @property
    def value(self) -> float | None:
        """Between 0 and 1; None where nothing was compared.

        To say no spans where there are none is right.
        """
        if not self.num_scored:
            return None
        return self.right / self.total if self.total else 1.0


def _compare(answer: Answer | None, gold: Gold) -> tuple[str, int, int] | None:
    match answer, gold:
        case LabelAnswer(label=label), str():
            return "accuracy", int(label == gold), 1
        case LabelsAnswer(labels=labels), frozenset() if _holds(gold, str):
            return "exact set", int(frozenset(labels) == gold), 1
        case SpansAnswer(spans=spans), frozenset() if _holds(gold, tuple):
            said = {gold_span(span) for span in spans}
            return "span F1", 2 * len(said & gold), len(said) + len(gold)
        case RecordAnswer(record=record), dict():
            return "exact record", int(record == gold), 1
        case RecordAnswer(record={"verdict": str(verdict)}), str():
            return "accuracy", int(verdict == gold), 1
    return None


def _holds(gold: frozenset[Any], kind: type) -> bool:
    """Whether every member is of this kind; the empty set fits any."""
    return all(isinstance(member, kind) for member in gold)


def gold_span(span: Span) -> GoldSpan:
    """Reduce a span to what counts when it is compared."""
    return (span.start, span.end, span.label)
