"""The rows of a file of jobs: read one by one, each a job with its gold, or what is wrong with it.

Pure but for the file it reads; memory is bounded by one row. What is wrong never quotes the text.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from smallfirst.answers import Span
from smallfirst.catalogue.row_files import Line, RowError, parse_row
from smallfirst.jobs import Job
from smallfirst.kinds import EXAMPLE_KEYS, KINDS, Gold, GoldError
from smallfirst.wording import faults_of, nearest, unknown_key

#: The right answer, under the keys of its kind as in files of examples, or by task under `gold`.
GOLD_KEYS = (*EXAMPLE_KEYS, "gold")
#: What `run` sets itself.
_TAKEN_KEYS = ("v", "reply_to")
#: A key that is so like one of ours is a misspelling of it, and not a column of its owner's.
_MISSPELT = 0.8
_KNOWN_KEYS = tuple(name for name in Job.model_fields if name not in _TAKEN_KEYS) + GOLD_KEYS


@dataclass(frozen=True)
class Row:
    """One line that is a job.

    Attributes:
        number: Of the line in its file, from 1.
        job: What is asked.
        gold: The right answer, where the row has one.
        columns: Whatever else stands in the row: its owner's, and carried through.
    """

    number: int
    job: Job
    gold: Gold | None = None
    columns: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class BadRow:
    """One line that is none, and why."""

    number: int
    reason: str


@dataclass(frozen=True)
class Defaults:
    """What every row gets that does not say it itself.

    Attributes:
        task: The task of a row that names none.
        options: Options of the job, by name.
        id_prefix: Goes before every row's id, so that one file can be run for several tasks.
        keys: The row's own names for `text`, `id` and `label`, by these.
    """

    task: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    id_prefix: str = ""
    keys: Mapping[str, str] = field(default_factory=dict)


def read_row(line: Line, defaults: Defaults) -> Row | BadRow:
    """Make a job of a line, or say why it is none."""
    if line.content is None:
        return BadRow(line.number, line.problem)
    try:
        found, columns = _parted(_renamed(parse_row(line.content), defaults.keys))
        job = _job_of(found, line.number, defaults)
        return Row(line.number, job, _gold_of(found, job.task), columns)
    except RowError as error:
        return BadRow(line.number, str(error))


def _renamed(found: Mapping[str, Any], keys: Mapping[str, str]) -> dict[str, Any]:
    """Call what the row has under names of its own by ours; what had our name is a column."""
    renamed = {name: value for name, value in found.items() if name not in keys.values()}
    aside = {f"{key}_": renamed.pop(key) for key in keys if key in renamed}
    ours = {key: found[own] for key, own in keys.items() if own in found}
    return {**renamed, **aside, **ours}


def _parted(found: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Part what is a job's, or gold, from the row's own columns.

    A key that is nearly one of ours is refused, so that a misspelt option does not vanish.
    """
    columns = {}
    for key, value in found.items():
        if key in _TAKEN_KEYS:
            raise RowError(f"the key {key!r} is not a row's to set")
        if key in _KNOWN_KEYS:
            continue
        if nearest(key, _KNOWN_KEYS, likeness=_MISSPELT):
            raise RowError(unknown_key(key, _KNOWN_KEYS))
        columns[key] = value
    return {key: value for key, value in found.items() if key not in columns}, columns


def _job_of(found: Mapping[str, Any], number: int, defaults: Defaults) -> Job:
    fields = {key: value for key, value in found.items() if key not in GOLD_KEYS}
    fields = {**defaults.options, **fields}
    fields.setdefault("task", defaults.task)
    if fields["task"] is None:
        raise RowError("task: missing; name it in the row, or for all rows with --task")
    given = fields.pop("id", None)
    if given is None:
        given = _made_id(number, fields)
    fields["id"] = defaults.id_prefix + (str(given) if type(given) is int else _as_text(given))
    try:
        return Job.model_validate(fields)
    except ValidationError as error:
        raise RowError(faults_of(error, _KNOWN_KEYS)) from None


def _as_text(given: object) -> str:
    if not isinstance(given, str):
        raise RowError("id: must be a string or a whole number")
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
            raise RowError("gold: must be an object from task to right answer")
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
        raise RowError(f"{where}: {error}") from None
    except ValidationError as error:
        raise RowError(faults_of(error, Span.model_fields, at=(where,))) from None


def _gold_of_any_kind(value: object) -> Gold:
    """Read a right answer as the first kind that it fits: its task's kind is not known here.

    Raises:
        GoldError: When it fits none.
    """
    for scoring in filter(None, (spec.scoring for spec in KINDS.values())):
        with suppress(GoldError):
            return scoring.read(value)
    raise GoldError("must be the right answer of some kind of task")
