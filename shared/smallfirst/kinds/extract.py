"""`extract`: a record of fields, read out of the text."""

from pydantic import Field, JsonValue

from smallfirst.answers import RecordAnswer, rounded
from smallfirst.kinds.completions import Completion, InvalidAnswer, as_json, parsed_object
from smallfirst.kinds.entries import Entry
from smallfirst.kinds.records import (
    FieldName,
    RecordField,
    described_fields,
    fits_field,
    record_in_words,
    record_schema,
)
from smallfirst.kinds.spec import (
    GoldError,
    KindSpec,
    LabelledText,
    Part,
    Prompting,
    Scoring,
)
from smallfirst.kinds.votes import field_by_field


class FieldsTask(Entry):
    """What a task with fields says of them."""

    fields: dict[FieldName, RecordField] = Field(
        default_factory=dict,
        description="The fields that an `extract` task reads, in the order in which they are"
        " written.",
    )


class ExtractExample(LabelledText):
    """An example's answer to an `extract` task."""

    record: dict[FieldName, JsonValue] | None = Field(
        default=None, description="The answer of an `extract` task; null where the text says none."
    )


def _example_problem(example: ExtractExample, task: FieldsTask) -> str | None:
    record = example.record or {}
    if set(record) != set(task.fields):
        wrong = min(set(record) ^ set(task.fields))
        return f"has a record whose fields are not the task's: {wrong!r}"
    for name, field in task.fields.items():
        if not fits_field(field, record[name]):
            return f"has a record whose {name!r} is no {field.type}"
    return None


def _read_gold(value: object) -> dict[str, JsonValue]:
    if not isinstance(value, dict):
        raise GoldError("must be an object of fields and values")
    return value


def _parts(record: dict[str, JsonValue]) -> frozenset[Part]:
    """Its fields; null says that the text has none."""
    return frozenset((name, as_json(value)) for name, value in record.items() if value is not None)


def _write(task: FieldsTask, example: ExtractExample) -> str | None:
    if example.record is None:
        return None
    return as_json({name: example.record.get(name) for name in task.fields})


def _read_answer(task: FieldsTask, _text: str, writing: Completion) -> RecordAnswer:
    """A record as sure as its weakest field, whose probability is that of its value's tokens."""
    record, places = parsed_object(writing)
    if set(record) != set(task.fields):
        raise InvalidAnswer("the model's record has other fields than the task's")
    for name, field in task.fields.items():
        if not fits_field(field, record[name]):
            raise InvalidAnswer(f"the model's {name!r} is no {field.type}")
    weakest = min(writing.probability(*places[name]) for name in task.fields)
    return RecordAnswer(record=record, confidence=rounded(weakest))


EXTRACT = KindSpec[FieldsTask, ExtractExample, RecordAnswer](
    answer=RecordAnswer,
    in_words=record_in_words,
    example_key="record",
    scoring=Scoring(
        measure="exact record",
        gold=lambda example: example.record,
        said=lambda answer: answer.record,
        is_gold=lambda gold: isinstance(gold, dict),
        read=_read_gold,
        parts=_parts,
    ),
    prompting=Prompting(
        order="Read the fields out of the text and answer with one JSON object.",
        cue="Record?",
        max_tokens=512,
        write=_write,
        read=_read_answer,
        vote=field_by_field,
        describe=lambda task: described_fields(task.fields),
        schema=lambda task: record_schema(task.fields),
    ),
    needs=("fields",),
    example_problem=_example_problem,
)
