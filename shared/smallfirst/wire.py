"""How what crosses a process boundary is read and written: writers are strict, readers lenient.

While a new version is rolled out, and wherever an older client stays, one version reads what
another wrote. So a field or a value that a newer version adds is no reason to lose a job or a
result. What this version writes holds nothing that it does not know itself.
"""

from enum import StrEnum
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.config import ExtraValues
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

#: Most characters of a value that is not known here.
MAX_VALUE_CHARS = 128


class Wire(BaseModel):
    """Base of every model on the wire: strict, closed, immutable, its errors without the input.

    Closed to whoever makes one. Read from JSON, a field that is not known here is passed over, at
    any depth.
    """

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,
        ser_json_inf_nan="null",
    )

    #: What becomes of an unknown field in JSON, where the reader does not say.
    unknown_fields: ClassVar[ExtraValues] = "ignore"

    @classmethod
    def model_validate_json(
        cls,
        json_data: str | bytes | bytearray,
        *,
        strict: bool | None = None,
        extra: ExtraValues | None = None,
        context: Any | None = None,
        by_alias: bool | None = None,
        by_name: bool | None = None,
    ) -> Self:
        """Read what this version or another one wrote.

        Raises:
            ValidationError: When a field is missing, or is not what it should be.
        """
        return super().model_validate_json(
            json_data,
            strict=strict,
            extra=extra or cls.unknown_fields,
            context=context,
            by_alias=by_alias,
            by_name=by_name,
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Publish a schema that is as open as our own reading."""
        published = handler(schema)
        if cls.unknown_fields == "ignore":
            handler.resolve_ref_schema(published).pop("additionalProperties", None)
        return published

    def to_json(self) -> str:
        """Write for the wire; what is None is left out."""
        return self.model_dump_json(exclude_none=True)


class OpenEnum(StrEnum):
    """An enumeration that newer versions may add to; see `OrNewer`."""

    @property
    def is_known(self) -> bool:
        """Whether this version has it, and did not merely read it."""
        return any(self is member for member in type(self))

    @classmethod
    def read(cls, value: str) -> Self:
        """Keep what another version wrote: one of the members, or the value as it stands."""
        for member in cls:
            if member == value:
                return member
        newer = str.__new__(cls, value)
        newer._name_ = newer._value_ = value
        return newer

    def __reduce_ex__(self, protocol: object) -> tuple[Any, ...]:
        return type(self).read, (self.value,)


class OrNewer:
    """Marks a field that keeps a value of an `OpenEnum` that a newer version wrote.

    Only in JSON: whoever makes a model must name a member, or what was read so.
    """

    def __get_pydantic_core_schema__(
        self, source: type[OpenEnum], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        known = handler(source)
        text = core_schema.str_schema(min_length=1, max_length=MAX_VALUE_CHARS)
        newer = core_schema.no_info_after_validator_function(source.read, text)
        return core_schema.json_or_python_schema(
            core_schema.union_schema([known, newer], mode="left_to_right"), known
        )
