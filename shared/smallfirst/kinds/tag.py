"""`tag`: labelled stretches of the text."""

from collections.abc import Iterable

from pydantic import Field, TypeAdapter

from smallfirst.jobs import Span, SpansAnswer
from smallfirst.kinds.labels import LabelsTask, unknown_label
from smallfirst.kinds.spec import (
    Gold,
    GoldError,
    HeadForm,
    KindSpec,
    LabelledText,
    RuleMatches,
    Scoring,
    surely,
)

#: A span as gold files and answers are compared: start, end, label.
GoldSpan = tuple[int, int, str]
_SPANS: TypeAdapter[tuple[Span, ...]] = TypeAdapter(tuple[Span, ...])


class TagExample(LabelledText):
    """An example's answer to a `tag` task."""

    spans: tuple[Span, ...] | None = Field(
        default=None, description="The answer of a `tag` task, in characters; may be empty."
    )


def _labels_of(example: TagExample) -> tuple[str, ...]:
    return tuple(span.label for span in example.spans or ())


def _example_problem(example: TagExample, task: LabelsTask) -> str | None:
    if any(span.end > len(example.text) for span in example.spans or ()):
        return "has a span that ends after its text"
    return unknown_label(_labels_of(example), task)


def _of_rule(matches: RuleMatches) -> SpansAnswer:
    """Spans are always an answer, even where there are none."""
    return SpansAnswer(spans=matches.spans(), confidence=1.0)


def _compared(spans: Iterable[Span]) -> frozenset[GoldSpan]:
    """Reduce spans to what counts when they are compared."""
    return frozenset((span.start, span.end, span.label) for span in spans)


def _is_gold(gold: Gold) -> bool:
    return isinstance(gold, frozenset) and all(isinstance(span, tuple) for span in gold)


def _read(value: object) -> frozenset[GoldSpan]:
    if not isinstance(value, list):
        raise GoldError("must be an array of objects with start, end and label")
    return _compared(_SPANS.validate_python(tuple(value)))


def _count(said: frozenset[GoldSpan], gold: frozenset[GoldSpan]) -> tuple[int, int]:
    """Count so that the ratio over all texts is the F1 over all their spans (micro)."""
    return 2 * len(said & gold), len(said) + len(gold)


def _in_words(answer: SpansAnswer) -> str:
    spans = (f"{span.label} {span.start}-{span.end}" for span in answer.spans)
    return surely(", ".join(spans) or "nothing found", answer.confidence)


TAG = KindSpec[LabelsTask, TagExample, SpansAnswer](
    answer=SpansAnswer,
    in_words=_in_words,
    example_key="spans",
    scoring=Scoring(
        measure="span F1",
        gold=lambda example: _compared(example.spans or ()),
        said=lambda answer: _compared(answer.spans),
        is_gold=_is_gold,
        read=_read,
        count=_count,
    ),
    needs=("labels",),
    head=HeadForm.WORDS,
    of_rule=_of_rule,
    allows_rules=True,
    labels_of=_labels_of,
    example_problem=_example_problem,
)
