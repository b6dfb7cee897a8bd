"""The rows of a file of jobs: read one by one, each a job with its gold, or what is wrong with it.

Pure but for the file it reads; memory is bounded by one row. What is wrong never quotes the text.
"""

import codecs
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from pydantic import ValidationError

from smallfirst.jobs import Job, Span
from smallfirst.kinds import EXAMPLE_KEYS, KINDS, Gold, GoldError
from smallfirst.wording import faults_of, unknown_key

#: The longest line that is read as a row: a text of the most characters, each as a JSON escape,
#: and as much again for its gold.
MAX_LINE_BYTES = 8 * 1024 * 1024
#: The right answer, under the keys of its kind as in files of examples, or by task under `gold`.
GOLD_KEYS = (*EXAMPLE_KEYS, "gold")
#: What `run` sets itself.
_TAKEN_KEYS = ("v", "reply_to")
_KNOWN_KEYS = tuple(name for name in Job.model_fields if name not in _TAKEN_KEYS) + GOLD_KEYS


@dataclass(frozen=True)
class Row:
    """One line that is a job."""

    number: int
    job: Job
    gold: Gold | None = None


@dataclass(frozen=True)
class BadRow:
    """One line that is none, and why."""

    number: int
    reason: str


@dataclass(frozen=True)
class Line:
    """One line of a file: its bytes, or nothing where it is too long to be kept."""

    number: int
    #: Where in the file the line ends.
    end: int
    content: bytes | None


@dataclass(frozen=True)
class Defaults:
    """What every row gets that does not say it itself.

    `id_prefix` goes before every row's id, so that one file can be run for several tasks.
    """

    task: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    id_prefix: str = ""


class _RowError(ValueError):
    """Raised when a row is no job; its words go into the errors file."""


def read_lines(file: BinaryIO, max_bytes: int = MAX_LINE_BYTES) -> Iterator[Line]:
    """Read the lines that hold something; an endless one is passed over, not kept."""
    number = end = 0
    while piece := file.readline(max_bytes):
        number += 1
        end += len(piece)
        is_whole = piece.endswith(b"\n") or len(piece) < max_bytes
        if not is_whole:
            end += _skip_line(file)
        if number == 1:
            piece = piece.removeprefix(codecs.BOM_UTF8)
        if not is_whole:
            yield Line(number, end, None)
        elif not piece.isspace() and piece:
            yield Line(number, end, piece)


def _skip_line(file: BinaryIO) -> int:
    """Read to the end of the line in pieces; return how many bytes that was."""
    skipped = 0
    while piece := file.readline(64 * 1024):
        skipped += len(piece)
        if piece.endswith(b"\n"):
            break
    return skipped


def read_row(line: Line, defaults: Defaults) -> Row | BadRow:
    """Make a job of a line, or say why it is none."""
    if line.content is None:
        return BadRow(line.number, f"the line is longer than {MAX_LINE_BYTES // 1024**2} MiB")
    try:
        found = _parse(line.content)
        _check_keys(found)
        job = _job_of(found, line.number, defaults)
        return Row(line.number, job, _gold_of(found, job.task))
    except _RowError as error:
        return BadRow(line.number, str(error))


def _parse(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content.decode("utf-8"), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise _RowError(f"not UTF-8: byte {error.start + 1} of the line cannot be read") from None
    except json.JSONDecodeError as error:
        raise _RowError(f"not JSON: {error.msg} at character {error.pos + 1}") from None
    except RecursionError:
        raise _RowError("not a row: nested too deeply") from None
    except ValueError as error:
        raise _RowError(f"not JSON: {error}") from None
    if not isinstance(found, dict):
        raise _RowError(f"not a row: a JSON object is needed, this is {_kind_of(found)}")
    return found


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _kind_of(value: object) -> str:
    kinds = {list: "an array", str: "a string", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


def _check_keys(found: Mapping[str, Any]) -> None:
    """Refuse what is neither a job's nor gold, so that a misspelt option does not vanish."""
    for key in found:
        if key in _TAKEN_KEYS:
            raise _RowError(f"the key {key!r} is not a row's to set")
        if key not in _KNOWN_KEYS:
            raise _RowError(unknown_key(key, _KNOWN_KEYS))


def _job_of(found: Mapping[str, Any], number: int, defaults: Defaults) -> Job:
    fields = {key: value for key, value in found.items() if key not in GOLD_KEYS}
    fields = {**defaults.options, **fields}
    fields.setdefault("task", defaults.task)
    if fields["task"] is None:
        raise _RowError("task: missing; name it in the row, or for all rows with --task")
    given = fields.pop("id", None)
    if given is None:
        given = _made_id(number, fields)
    fields["id"] = defaults.id_prefix + (str(given) if type(given) is int else _as_text(given))
    try:
        return Job.model_validate(fields)
    except ValidationError as error:
        raise _RowError(faults_of(error, _KNOWN_KEYS)) from None


def _as_text(given: object) -> str:
    if not isinstance(given, str):
        raise _RowError("id: must be a string or a whole number")
    return given


def _made_id(number: int, fields: Mapping[str, Any]) -> str:
    """An id that the same line of the same file gets again, and a changed one does not."""
    content = json.dumps(fields, sort_keys=True).encode()
    return f"line-{number}-{hashlib.sha256(content).hexdigest()[:12]}"


def _gold_of(found: Mapping[str, Any], task: str) -> Gold | None:
    """The right answer to the task, from whichever of the keys holds one."""
    by_task = found.get("gold")
    if by_task is not None:
        if not isinstance(by_task, dict):
            raise _RowError("gold: must be an object from task to right answer")
        value = by_task.get(task)
        return None if value is None else _gold_value(_gold_of_any_kind, value, f"gold.{task}")
    for spec in KINDS.values():
        value = found.get(spec.example_key or "")
        if spec.scoring is not None and value is not None:
            return _gold_value(spec.scoring.read, value, str(spec.example_key))
    return None


def _gold_value(read: Callable[[object], Gold], value: object, where: str) -> Gold:
    try:
        return read(value)
    except GoldError as error:
        raise _RowError(f"{where}: {error}") from None
    except ValidationError as error:
        raise _RowError(faults_of(error, Span.model_fields, at=(where,))) from None


def _gold_of_any_kind(value: object) -> Gold:
    """Read a right answer as the first kind that it fits: its task's kind is not known here.

    Raises:
        GoldError: When it fits none.
    """
    for scoring in filter(None, (spec.scoring for spec in KINDS.values())):
        with suppress(GoldError):
            return scoring.read(value)
    raise GoldError("must be the right answer of some kind of task")
