"""`smallfirst tasks`: what a fleet can be asked, as its catalogue has it."""

from typing import Any

import typer

from smallfirst.catalogue.loading import read_catalogue
from smallfirst.catalogue.tasks import Task
from smallfirst.cli.fleet_connection import settings_of
from smallfirst.cli.global_options import globals_of
from smallfirst.cli.options import CatalogueOption
from smallfirst.cli.output import USAGE, JsonOption, console, fail, print_json, table
from smallfirst.errors import CatalogueError


def tasks(
    context: typer.Context, *, catalogue: CatalogueOption = None, as_json: JsonOption = False
) -> None:
    """List the tasks that a job may name, with their kinds and labels.

    Without --catalogue they are those of the fleet that `smallfirst up` runs here, if one does.
    """
    path = catalogue or settings_of(globals_of(context)).catalogue
    if not path.is_file():
        fail(f"{path}: no such file; name one with --catalogue", exit_code=USAGE)
    read = read_catalogue(path, needs_promises=False)
    if read.catalogue is None:
        raise read.error or CatalogueError()
    tasks = read.catalogue.without_shadows().tasks.items()
    found = [_described(name, task) for name, task in tasks]
    if as_json:
        print_json(found)
        return
    rows = ([each["task"], each["kind"], _asked(each), each["description"]] for each in found)
    console().print(table(("task", "kind", "labels or fields", "description"), rows, left=4))


def _described(name: str, task: Task) -> dict[str, Any]:
    return {
        "task": name,
        "kind": str(task.kind),
        "labels": dict(task.labels),
        "fields": list(task.fields),
        "description": task.description,
        "max_chars": task.max_chars,
    }


def _asked(task: dict[str, Any]) -> str:
    return ", ".join([*task["labels"], *task["fields"]])
