"""A line of a component's log, as people read it: the time, what happened, and then the rest."""

import json
from typing import Any

from rich.markup import escape

from smallfirst.cli.output import console

#: What stands at its own place, or nowhere, in a line for people.
_PLACED = ("timestamp", "level", "event", "exception")


def shown_line(name: str, line: str, *, to_stderr: bool = False) -> None:
    """Print a line of a component's log behind its name."""
    said = escape(readable(line))
    console(stderr=to_stderr).print(f"[dim]{escape(name):>16}[/] {said}", soft_wrap=True)


def readable(line: str) -> str:
    """Put the event first; what is no event of ours stays as it is."""
    event = event_of(line)
    if event is None:
        return line
    rest = (f"{key}={_value(event[key])}" for key in event if key not in _PLACED)
    level = event.get("level", "")
    marked = "" if level in {"", "info", "debug"} else f"{level.upper()} "
    first = f"{time_of(event)[11:19]} {marked}{event['event']}".strip()
    said = " ".join([first, *rest])
    return f"{said} {_last_raised(event)}".rstrip()


def event_of(line: str) -> dict[str, Any] | None:
    """Read one of our events; None where it is something else, as a library's line."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and "event" in found else None


def time_of(event: dict[str, Any]) -> str:
    """When it was: ISO 8601, in UTC; empty where it does not say."""
    return str(event.get("timestamp", ""))


def _value(value: object) -> str:
    if isinstance(value, str):
        return value if value and " " not in value else json.dumps(value, ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False)


def _last_raised(event: dict[str, Any]) -> str:
    """The error itself; its frames are in the log's file."""
    raised = event.get("exception")
    if not isinstance(raised, list) or not raised or not isinstance(raised[0], dict):
        return ""
    return f"{raised[0].get('exc_type', '')}: {raised[0].get('exc_value', '')}"
