"""`extract` for a large model: a JSON object of the task's fields."""

from smallfirst.answers import rounded
from smallfirst.catalogue import Example, Task
from smallfirst.jobs import RecordAnswer
from smallfirst.kinds.records import fits_field, record_schema
from smallfirst_workers.prompting.completions import Completion, InvalidAnswer, parsed_object
from smallfirst_workers.prompting.votes import field_by_field
from smallfirst_workers.prompting.written_kind import WrittenKind, as_json


def _write(task: Task, example: Example) -> str | None:
    if example.record is None:
        return None
    return as_json({name: example.record.get(name) for name in task.fields})


def _read(task: Task, _text: str, writing: Completion) -> RecordAnswer:
    """A record as sure as its weakest field, whose probability is that of its value's tokens."""
    record, places = parsed_object(writing)
    if set(record) != set(task.fields):
        raise InvalidAnswer("the model's record has other fields than the task's")
    for name, field in task.fields.items():
        if not fits_field(field, record[name]):
            raise InvalidAnswer(f"the model's {name!r} is no {field.type}")
    weakest = min(writing.probability(*places[name]) for name in task.fields)
    return RecordAnswer(record=record, confidence=rounded(weakest))


WRITTEN = WrittenKind(
    order="Read the fields out of the text and answer with one JSON object.",
    cue="Record?",
    max_tokens=512,
    write=_write,
    read=_read,
    vote=field_by_field,
    schema=lambda task: record_schema(task.fields),
)
