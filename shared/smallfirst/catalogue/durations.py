"""Durations as people write them: 90s, 30m, 24h, 7d."""

import re
from datetime import timedelta
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])", re.ASCII)
_SECONDS: Final = {"d": 86_400, "h": 3600, "m": 60, "s": 1}


def parse_duration(value: object) -> object:
    """Read `24h` as a day: seconds (s), minutes (m), hours (h) and days (d).

    Raises:
        ValueError: When it is no such duration; a plain number lacks its unit.
    """
    if isinstance(value, timedelta):
        return value
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError("must be a duration with its unit, such as 90s, 30m, 24h or 7d")
    try:
        return timedelta(seconds=float(match[1]) * _SECONDS[match[2]])
    except OverflowError:
        raise ValueError("must be a duration that fits a calendar, such as 7d") from None


def format_duration(duration: timedelta) -> str:
    """Write a day as `24h`, the way `parse_duration` reads it: in the largest unit that is whole.

    A single day is written in hours, as people say it.
    """
    seconds = duration.total_seconds()
    for unit, size in _SECONDS.items():
        if seconds >= size * (2 if unit == "d" else 1) and seconds % size == 0:
            return f"{round(seconds / size)}{unit}"
    return f"{seconds:g}s"


def between(least: timedelta, most: timedelta) -> AfterValidator:
    """See that a duration is within bounds, both of them included."""
    words = f"must be from {format_duration(least)} to {format_duration(most)}"

    def is_between(value: timedelta) -> timedelta:
        if not least <= value <= most:
            raise ValueError(words)
        return value

    return AfterValidator(is_between)


#: A duration as people write it.
Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": rf"^{_DURATION.pattern}$"}),
]
