"""`tag`: labelled stretches of the text."""

from collections.abc import Iterable, Mapping

from pydantic import Field, JsonValue, TypeAdapter

from smallfirst.answers import Span, SpansAnswer, rounded
from smallfirst.kinds.completions import Completion, InvalidAnswer, as_json, parsed_list
from smallfirst.kinds.fences import unescape
from smallfirst.kinds.labels import LabelsTask, described_labels, label_schema
from smallfirst.kinds.schemas import JsonSchema, closed_object
from smallfirst.kinds.spec import (
    Gold,
    GoldError,
    HeadForm,
    KindSpec,
    LabelledText,
    Prompting,
    RuleMatches,
    Scoring,
    surely,
)
from smallfirst.kinds.votes import commonest

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


def _example_problem(example: TagExample, _task: LabelsTask) -> str | None:
    if any(span.end > len(example.text) for span in example.spans or ()):
        return "has a span that ends after its text"
    return None


def _of_rule(matches: RuleMatches) -> SpansAnswer:
    """Spans are always an answer, even where there are none."""
    return SpansAnswer(spans=matches.spans(), confidence=1.0)


def _compared(spans: Iterable[Span]) -> frozenset[GoldSpan]:
    """Reduce spans to what counts when they are compared."""
    return frozenset((span.start, span.end, span.label) for span in spans)


def _is_gold(gold: Gold) -> bool:
    return isinstance(gold, frozenset) and all(isinstance(span, tuple) for span in gold)


def _read_gold(value: object) -> frozenset[GoldSpan]:
    if not isinstance(value, list):
        raise GoldError("must be an array of objects with start, end and label")
    return _compared(_SPANS.validate_python(tuple(value)))


def _count(said: frozenset[GoldSpan], gold: frozenset[GoldSpan]) -> tuple[int, int]:
    """Count so that the ratio over all texts is the F1 over all their spans (micro)."""
    return 2 * len(said & gold), len(said) + len(gold)


def _as_rows(gold: frozenset[GoldSpan]) -> JsonValue:
    return [{"start": start, "end": end, "label": label} for start, end, label in sorted(gold)]


def _in_words(answer: SpansAnswer) -> str:
    spans = (f"{span.label} {span.start}-{span.end}" for span in answer.spans)
    return surely(", ".join(spans) or "nothing found", answer.confidence)


def _schema(task: LabelsTask) -> JsonSchema:
    span = closed_object({"text": {"type": "string"}, "label": label_schema(task)})
    return {"type": "array", "items": span}


def _write(_task: LabelsTask, example: TagExample) -> str | None:
    if example.spans is None:
        return None
    text = example.text
    return as_json([{"text": text[s.start : s.end], "label": s.label} for s in example.spans])


def _read_answer(task: LabelsTask, text: str, writing: Completion) -> SpansAnswer:
    """Spans, each where its words first stand in the text after the span before."""
    spans: list[Span] = []
    for item in parsed_list(writing):
        found = item if isinstance(item, Mapping) else {}
        words, label = found.get("text"), found.get("label")
        if not isinstance(words, str) or not isinstance(label, str) or len(found) != 2:
            raise InvalidAnswer("the model's spans are not of the form that was asked for")
        if not words or label not in task.labels:
            raise InvalidAnswer("the model's spans are of no words, or of no label of the task's")
        words = unescape(words)
        start = text.find(words, spans[-1].end if spans else 0)
        if start < 0:
            raise InvalidAnswer("the model found words that do not stand in the text")
        spans.append(Span(start=start, end=start + len(words), label=label))
    return SpansAnswer(spans=tuple(spans), confidence=rounded(writing.mean_probability))


TAG = KindSpec[LabelsTask, TagExample, SpansAnswer](
    answer=SpansAnswer,
    in_words=_in_words,
    example_key="spans",
    scoring=Scoring(
        measure="span F1",
        gold=lambda example: _compared(example.spans or ()),
        said=lambda answer: _compared(answer.spans),
        is_gold=_is_gold,
        read=_read_gold,
        count=_count,
        parts=lambda gold: frozenset((label, (start, end)) for start, end, label in gold),
        as_json=_as_rows,
    ),
    prompting=Prompting(
        order='Find what is labelled in the text: answer with a JSON list of {"text", "label"}.',
        cue="Spans?",
        max_tokens=512,
        write=_write,
        read=_read_answer,
        vote=commonest,
        describe=described_labels,
        schema=_schema,
        key="spans",
    ),
    needs=("labels",),
    head=HeadForm.WORDS,
    of_rule=_of_rule,
    allows_rules=True,
    labels_of=_labels_of,
    example_problem=_example_problem,
)
