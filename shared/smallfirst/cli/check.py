"""`smallfirst check`: all that is wrong with a catalogue, before anything is started."""

from pathlib import Path
from typing import Annotated, Any

import typer

from smallfirst.catalogue.checking import CheckedCatalogue, Finding, check_catalogue
from smallfirst.cli.output import SOME_FAILED, USAGE, JsonOption, fail, note, print_json, say
from smallfirst.settings import Settings, load_settings
from smallfirst.wording import counted

FilesArgument = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[FILE]...",
        help="The catalogues; if not given, SMALLFIRST_CATALOGUE, else catalogue.yaml.",
    ),
]


def check(*, files: FilesArgument = None, as_json: JsonOption = False) -> None:
    """Say all that is wrong with a catalogue; exit 1 when a router or worker would refuse it.

    Needs no Redis, and loads no model: for an editor, before a commit, and in CI. Findings of less
    weight are called warnings, and exit 0.
    """
    paths = files or [load_settings(Settings).catalogue]
    for path in paths:
        if not path.is_file():
            fail(f"{path}: no such file; name the catalogue", exit_code=USAGE)
    checked = {path: check_catalogue(path) for path in paths}
    if as_json:
        print_json([_as_json(each) for found in checked.values() for each in found.findings])
    else:
        for path, found in checked.items():
            _show(path, found)
    if any(found.fatal for found in checked.values()):
        raise typer.Exit(SOME_FAILED)


def _show(path: Path, found: CheckedCatalogue) -> None:
    for finding in found.findings:
        say(str(finding) if finding.is_fatal else f"{finding} (warning)")
    note(f"{path}: {_summary(found)}")


def _summary(found: CheckedCatalogue) -> str:
    warnings = len(found.findings) - len(found.fatal)
    also = f", {counted(warnings, 'warning')}" if warnings else ""
    if found.fatal or found.catalogue is None:
        return f"{counted(len(found.fatal), 'problem')}{also}"
    return f"ok, {sizes_of(found)}{also}"


def sizes_of(found: CheckedCatalogue) -> str:
    """Say how much a catalogue that can be read holds."""
    assert found.catalogue is not None
    tasks, models = len(found.catalogue.tasks), len(found.catalogue.models)
    return f"{counted(tasks, 'task')}, {counted(models, 'model')}"


def _as_json(finding: Finding) -> dict[str, Any]:
    problem = finding.problem
    return {
        "state": "fail" if finding.is_fatal else "warn",
        "path": None if problem.path is None else str(problem.path),
        "line": problem.line,
        "where": problem.where,
        "rule": problem.rule,
        "remedy": finding.remedy,
    }
