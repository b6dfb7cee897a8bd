"""`multilabel` for a large model: a JSON list of labels."""

from smallfirst.answers import rounded
from smallfirst.catalogue import Example, Task
from smallfirst.jobs import LabelsAnswer
from smallfirst_workers.prompting.completions import Completion, InvalidAnswer, parsed_list
from smallfirst_workers.prompting.votes import commonest
from smallfirst_workers.prompting.written_kind import JsonSchema, WrittenKind, as_json


def _schema(task: Task) -> JsonSchema:
    labels: JsonSchema = {"type": "string", "enum": list(task.labels)}
    return {"type": "array", "items": labels, "maxItems": len(task.labels)}


def _write(_task: Task, example: Example) -> str | None:
    return None if example.labels is None else as_json(list(example.labels))


def _read(task: Task, _text: str, writing: Completion) -> LabelsAnswer:
    found = parsed_list(writing)
    labels = tuple(dict.fromkeys(label for label in found if isinstance(label, str)))
    if len(labels) != len(found) or not set(labels) <= set(task.labels):
        raise InvalidAnswer("the model's labels are not the task's")
    return LabelsAnswer(labels=labels, confidence=rounded(writing.mean_probability))


WRITTEN = WrittenKind(
    order="Read the text and answer with a JSON list of all the labels that fit it.",
    cue="Labels?",
    max_tokens=128,
    write=_write,
    read=_read,
    vote=commonest,
    schema=_schema,
    key="labels",
)
