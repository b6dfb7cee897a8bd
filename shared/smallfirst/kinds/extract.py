"""`extract`: a record of fields, read out of the text."""

from pydantic import Field, JsonValue

from smallfirst.jobs import RecordAnswer
from smallfirst.kinds.entries import Entry
from smallfirst.kinds.records import FieldName, RecordField, fits_field, record_in_words
from smallfirst.kinds.spec import GoldError, KindSpec, LabelledText, Scoring


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


def _read(value: object) -> dict[str, JsonValue]:
    if not isinstance(value, dict):
        raise GoldError("must be an object of fields and values")
    return value


EXTRACT = KindSpec[FieldsTask, ExtractExample, RecordAnswer](
    answer=RecordAnswer,
    in_words=record_in_words,
    example_key="record",
    scoring=Scoring(
        measure="exact record",
        gold=lambda example: example.record,
        said=lambda answer: answer.record,
        is_gold=lambda gold: isinstance(gold, dict),
        read=_read,
    ),
    needs=("fields",),
    example_problem=_example_problem,
)
