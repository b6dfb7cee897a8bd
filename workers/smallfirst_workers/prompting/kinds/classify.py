"""`classify` for a large model: the labels are scored, or one of them is written."""

from smallfirst.catalogue import Task
from smallfirst_workers.prompting.votes import commonest
from smallfirst_workers.prompting.written_kind import JsonSchema, WrittenKind


def _schema(task: Task) -> JsonSchema:
    return {"type": "string", "enum": list(task.labels)}


WRITTEN = WrittenKind(
    order="Read the text and answer with exactly one of the labels.",
    cue="Label?",
    max_tokens=32,
    write=lambda _task, example: example.label,
    read=None,
    vote=commonest,
    schema=_schema,
    is_json=False,
    key="label",
)
