"""Records: the fields of one, in words, as a schema and as a check, and a record in words."""

import re
from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Annotated, Final, Literal

from pydantic import Field, JsonValue, StringConstraints

from smallfirst.answers import RecordAnswer
from smallfirst.kinds.entries import Entry
from smallfirst.kinds.schemas import JsonSchema, closed_object
from smallfirst.kinds.spec import surely

#: How a date is written in a record: ISO 8601, its day one that the month has in some year.
DATE_PATTERN: Final = (
    "^[0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])"
    "|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|[12][0-9]))$"
)
#: What a value of each type of a record's field is in Python, as JSON is read.
_PYTHON_TYPES: Final[Mapping[str, tuple[type, ...]]] = MappingProxyType(
    {
        "string": (str,),
        "number": (int, float),
        "integer": (int,),
        "boolean": (bool,),
        "date": (str,),
    }
)

FieldName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]


class RecordField(Entry):
    """One field of the record that an `extract` task reads out of a text."""

    type: Literal["string", "number", "integer", "boolean", "date"] = Field(
        default="string", description="The type of its value; a date is written 2026-11-23."
    )
    description: str = Field(default="", description="One line that says what to look for.")
    optional: bool = Field(
        default=False, description="Whether null stands where the text has none."
    )


def described_fields(fields: Mapping[str, RecordField]) -> list[str]:
    """Tell a large model which fields there are, a line each."""
    lines = (
        f"- {name} ({field.type}{' or null' if field.optional else ''})"
        f"{': ' if field.description else ''}{field.description}"
        for name, field in fields.items()
    )
    return ["Fields:", *lines]


def record_schema(fields: Mapping[str, RecordField]) -> JsonSchema:
    """Write the JSON Schema of the record that these fields make.

    Every field is required, in the order given: one that the text does not have is null, so that
    each has a confidence of its own and none can be left out by mistake.
    """
    return closed_object({name: _value_schema(field) for name, field in fields.items()})


def _value_schema(field: RecordField) -> JsonSchema:
    schema: JsonSchema = {"type": field.type}
    if field.type == "date":
        schema = {"type": "string", "pattern": DATE_PATTERN}
    return {"anyOf": [schema, {"type": "null"}]} if field.optional else schema


def fits_field(field: RecordField, value: JsonValue) -> bool:
    """Whether a value may stand in a record's field."""
    if value is None:
        return field.optional
    if isinstance(value, bool) and field.type != "boolean":
        return False
    if field.type == "date" and isinstance(value, str):
        return _is_date(value)
    return isinstance(value, _PYTHON_TYPES[field.type])


def _is_date(value: str) -> bool:
    """Whether the calendar has a day: the pattern knows no leap years."""
    if re.fullmatch(DATE_PATTERN, value) is None:
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


def record_in_words(answer: RecordAnswer) -> str:
    """Write a record as one line for people."""
    said = ", ".join(f"{name}={value!r}" for name, value in answer.record.items())
    return surely(said, answer.confidence)
