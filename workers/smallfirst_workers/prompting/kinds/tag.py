"""`tag` for a large model: a JSON list of words and their labels, found again in the text."""

from collections.abc import Mapping

from smallfirst.answers import rounded
from smallfirst.catalogue import Example, Task
from smallfirst.jobs import Span, SpansAnswer
from smallfirst_workers.prompting.completions import Completion, InvalidAnswer, parsed_list
from smallfirst_workers.prompting.fences import unescape
from smallfirst_workers.prompting.votes import commonest
from smallfirst_workers.prompting.written_kind import (
    JsonSchema,
    WrittenKind,
    as_json,
    closed_object,
)


def _schema(task: Task) -> JsonSchema:
    labels: JsonSchema = {"type": "string", "enum": list(task.labels)}
    return {"type": "array", "items": closed_object({"text": {"type": "string"}, "label": labels})}


def _write(_task: Task, example: Example) -> str | None:
    if example.spans is None:
        return None
    text = example.text
    return as_json([{"text": text[s.start : s.end], "label": s.label} for s in example.spans])


def _read(task: Task, text: str, writing: Completion) -> SpansAnswer:
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


WRITTEN = WrittenKind(
    order='Find what is labelled in the text: answer with a JSON list of {"text", "label"}.',
    cue="Spans?",
    max_tokens=512,
    write=_write,
    read=_read,
    vote=commonest,
    schema=_schema,
    key="spans",
)
