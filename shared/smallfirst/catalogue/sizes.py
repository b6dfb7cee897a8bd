"""Model sizes as people write them: 22.7M for 22,700,000 parameters."""

import re
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

_COUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([kKmMbB]?)", re.ASCII)
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9}


def parse_count(value: object) -> object:
    """Read `22.7M` as 22,700,000: thousands (k), millions (M) and billions (B) of parameters.

    Raises:
        ValueError: When a string is no such number.
    """
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, str):
        return value
    match = _COUNT.fullmatch(value)
    if match is None:
        raise ValueError("must be a number such as 22700000, 22.7M or 8B")
    return round(float(match[1]) * _UNITS[match[2].lower()])


def format_count(count: int) -> str:
    """Write 22,713,216 as `22.7M`, the way `parse_count` reads it."""
    for unit, size in (("B", 10**9), ("M", 10**6), ("k", 10**3)):
        if count >= size:
            return f"{count / size:.1f}".removesuffix(".0") + unit
    return str(count)


#: A number of parameters, as a plain number or as people write it: 22.7M, 8B.
Count = Annotated[
    int,
    BeforeValidator(parse_count),
    Field(gt=0),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "exclusiveMinimum": 0},
                {"type": "string", "pattern": rf"^{_COUNT.pattern}$"},
            ]
        }
    ),
]
