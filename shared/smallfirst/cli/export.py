"""`smallfirst export`: what people answered at the desk, as rows for train, calibrate and fit."""

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
from pydantic import ValidationError

from smallfirst.catalogue import Example
from smallfirst.catalogue.loading import read_catalogue
from smallfirst.catalogue.tasks import Task, example_problem
from smallfirst.cli.fleet_connection import settings_of
from smallfirst.cli.global_options import globals_of
from smallfirst.cli.options import CatalogueOption
from smallfirst.cli.output import USAGE, JsonOption, fail, note, print_json
from smallfirst.errors import CatalogueError
from smallfirst.process.announcement import default_folder
from smallfirst.settings import DeskSettings, load_settings
from smallfirst.wording import counted, did_you_mean, faults_of

#: Where `smallfirst up` has its desk keep answers, below the fleet's folder.
LOCAL_ANSWERS = "answers"
#: What the desk adds to a row, beside the example.
_PROVENANCE = "human"


def export(
    context: typer.Context,
    task: Annotated[str, typer.Argument(metavar="TASK", help="The name of the task.")],
    *,
    answers: Annotated[
        list[Path] | None,
        typer.Option(
            help="The folder where a desk keeps its answers; may be given several times. If not"
            " given, SMALLFIRST_DESK_ANSWERS, else that of the fleet that `smallfirst up` runs."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The file to write; if not given, stdout.")
    ] = None,
    provenance: Annotated[
        bool,
        typer.Option(
            "--provenance",
            help="Keep who answered, as a pseudonym, when, and whether blind, under `human`; such"
            " rows are for people and programs of your own, and no command here reads them.",
        ),
    ] = False,
    blind: Annotated[
        bool,
        typer.Option(
            "--blind",
            help="Write the answers to blind checks alone: a sample of what machines answered, each"
            " of which counts for 1 / `chance` answers.",
        ),
    ] = False,
    catalogue: CatalogueOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write what people answered as labelled rows, each job once, its last answer.

    Rows that the task as it is now does not know any more, by a label that is gone for instance,
    are left out and counted.
    """
    if as_json and out is None:
        fail(
            "--json prints figures where the rows would stand; name a file with --out",
            exit_code=USAGE,
        )
    options = globals_of(context)
    path = catalogue or settings_of(options).catalogue
    known = _task(path, task)
    files = _files(answers or [_folder(options.folder)], task)
    reasons = Counter[str]()
    rows = [row for row in last_of_each(_rows(files, reasons)) if _is_blind(row) or not blind]
    with ExitStack() as opening:
        to: TextIO = opening.enter_context(out.open("w", encoding="utf-8")) if out else sys.stdout
        written = _write(rows, known, reasons, to, keeps_provenance=provenance)
    _tell(task, written, reasons, as_json=as_json)


def _files(folders: Sequence[Path], task: str) -> list[Path]:
    """Where the answers to a task are kept; an error where none was."""
    files = [folder / f"{task}.jsonl" for folder in folders]
    if not any(file.is_file() for file in files):
        named = ", ".join(map(str, files))
        fail(f"{named}: no such file: no answer was kept; see SMALLFIRST_DESK_ANSWERS")
    return files


def _write(
    rows: Iterable[dict[str, Any]],
    task: Task,
    reasons: Counter[str],
    to: TextIO,
    *,
    keeps_provenance: bool,
) -> Counter[str]:
    """Write the rows that the task knows; count why others are left out.

    Returns:
        How many were written: `rows`, and `blind` of them.
    """
    written = Counter[str](rows=0, blind=0)
    for row in rows:
        is_blind, about = _is_blind(row), row.pop(_PROVENANCE, None)
        if problem := _problem(row, task):
            reasons[problem] += 1
            continue
        kept = row | ({_PROVENANCE: about} if keeps_provenance and about else {})
        to.write(json.dumps(kept, ensure_ascii=False) + "\n")
        written.update(rows=1, blind=int(is_blind))
    return written


def _tell(task: str, written: Counter[str], reasons: Counter[str], *, as_json: bool) -> None:
    """Say how many rows there are, and why others are not among them."""
    if as_json:
        print_json({"task": task, **written, "left_out": dict(reasons)})
        return
    given_blind = f", {written['blind']:,} of them given blind" if written["blind"] else ""
    note(f"{counted(written['rows'], 'row')} of people's answers to {task}{given_blind}")
    for reason, count in reasons.most_common(10):
        note(f"left out: {counted(count, 'row')}: {reason}")


def _is_blind(row: dict[str, Any]) -> bool:
    about = row.get(_PROVENANCE)
    return isinstance(about, dict) and about.get("blind") is True


def last_of_each(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each producer's job its last answer, in the order of the first ones."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        about = row.get(_PROVENANCE) or {}
        found[str(about.get("producer", "")), str(row.get("id", ""))] = row
    return list(found.values())


def _task(path: Path, name: str) -> Task:
    if not path.is_file():
        fail(f"{path}: no such file; name one with --catalogue", exit_code=USAGE)
    read = read_catalogue(path, needs_promises=False)
    if read.catalogue is None:
        raise read.error or CatalogueError()
    if name not in read.catalogue.tasks:
        near = did_you_mean(name, read.catalogue.tasks)
        fail(f"{path} has no task {name!r}{near}", exit_code=USAGE)
    return read.catalogue.tasks[name]


def _folder(fleet: Path | None) -> Path:
    told = load_settings(DeskSettings).desk_answers
    return told or (fleet or default_folder()) / LOCAL_ANSWERS


def _rows(files: Iterable[Path], reasons: Counter[str]) -> Iterator[dict[str, Any]]:
    """Read rows; a line that is none, such as the half of one, is counted."""
    for file in files:
        for line in file.open(encoding="utf-8") if file.is_file() else ():
            try:
                row = json.loads(line)
            except ValueError:
                reasons["a line is no JSON; a desk may have died while it wrote"] += 1
                continue
            if isinstance(row, dict):
                yield row


def _problem(row: dict[str, Any], task: Task) -> str | None:
    """Say why a row is no example of the task; None where it is."""
    try:
        example = Example.model_validate(row)
    except ValidationError as error:
        return faults_of(error, Example.model_fields, hides_names=True)
    return example_problem(example, task)
