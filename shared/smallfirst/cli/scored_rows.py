"""What commands that score a cascade share: their rows, and a fleet that is watched at work."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from smallfirst.catalogue import Catalogue
from smallfirst.catalogue.loading import load_catalogue
from smallfirst.cli.output import USAGE, fail, note
from smallfirst.cli.progress import progress_bar
from smallfirst.cli.signals import drained_by_signals
from smallfirst.cli.starting import show_start
from smallfirst.evaluation.rows import Row, doubts_of, read_rows, repeats_of, seen_keys, unseen_rows
from smallfirst.evaluation.scoring_run import READY_WITHIN, Advance, ProgressObserver
from smallfirst.evaluation.single_step_catalogue import check_askable
from smallfirst.local import LocalFleet
from smallfirst.settings import Settings, load_settings
from smallfirst.wording import did_you_mean

#: What the extra `evaluation` brings.
_PACKAGES = ("numpy", "scipy")

DataOption = Annotated[
    Path, typer.Option(help="A file of labelled rows that no model of the cascade was trained on.")
]


def catalogue_with(task: str, path: Path | None) -> tuple[Catalogue, Path]:
    """Read the catalogue that has a task; the promises beside it are not looked at.

    Steps that ask a person are left out: nobody is asked at the desk for the sake of figures.

    Raises:
        CommandError: When it has no such task, a task that asks people alone, or the extra is
            missing.
        CatalogueError: When it is wrong.
    """
    if not all(importlib.util.find_spec(name) for name in _PACKAGES):
        fail("this needs the statistics: pip install 'smallfirst[evaluation]'")
    found = load_settings(Settings, catalogue=path).catalogue
    catalogue = load_catalogue(found, needs_promises=False)
    if task not in catalogue.tasks:
        near = did_you_mean(task, catalogue.tasks)
        fail(f"{found} has no task {task!r}{near}", exit_code=USAGE)
    if not catalogue.tasks[task].machine_steps:
        rule = "asks people alone, and their answers are not measured; give it a step before"
        fail(f"{found}: tasks.{task}.cascade: {rule}", exit_code=USAGE)
    return catalogue.without_people(), found


def unseen_rows_of(
    catalogue: Catalogue, task: str, data: Path, *, drop_seen: bool, says_doubts: bool = True
) -> tuple[tuple[Row, ...], int]:
    """Read the rows that no model of the cascade has learned from, and count the others.

    People are told of texts that come more than once, and of what makes figures doubtful.

    Raises:
        SmallfirstError: When a row is wrong, or was learned from and is not to be dropped.
    """
    check_askable(catalogue, task)
    rows = read_rows(data, task, catalogue.tasks[task])
    repeats = repeats_of(rows, catalogue.tasks[task])
    if repeats.num_texts:
        note(str(repeats))
    kept = unseen_rows(rows, seen_keys(catalogue, task), drop_seen=drop_seen)
    for doubt in doubts_of(kept, catalogue.tasks[task]) if says_doubts else ():
        note(doubt)
    return kept, len(rows) - len(kept)


@contextmanager
def _watched(fleet: LocalFleet) -> Iterator[Advance]:
    show_start(fleet, READY_WITHIN)
    with progress_bar("asking every step") as advance:
        yield advance


#: Shows the fleet coming up and the answers coming in; a signal drains it.
PROGRESS_OBSERVER = ProgressObserver(around=drained_by_signals, asking=_watched)
