"""Checks of a catalogue as it would be, before anything of it is written."""

import os
import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from smallfirst.catalogue.loading import load_catalogue
from smallfirst.catalogue.placement import pools_of
from smallfirst.evaluation.rows import Row
from smallfirst.fitting.writing import Destination, check_edit


def copy_and_check(
    folders: Mapping[Path, Path],
    to: Destination,
    text: str,
    rows: Sequence[Row],
    *,
    gone: Collection[str] = (),
) -> None:
    """Put folders of models where they will lie, and see that the task's models find a pool.

    Args:
        folders: Each of them, and where it will lie.
        to: The catalogue and the task.
        text: The catalogue's file, edited.
        rows: What the task's models learn from.
        gone: The models that leave with the edit.

    Raises:
        CatalogueError: When the catalogue would be wrong; then no folder is left there.
        FitError: When another entry than the task's would change; the same.
    """
    try:
        for source, place in folders.items():
            shutil.copytree(source, place)
        found = check_edit(to, text, rows, gone=gone)
        asked = found.tasks[to.task].asks
        models = {name: each for name, each in found.models.items() if name in asked}
        pools_of(found.model_copy(update={"models": models}))
    except BaseException:
        for place in folders.values():
            shutil.rmtree(place, ignore_errors=True)
        raise


def check_loads(live: Path, text: str) -> None:
    """See that a catalogue, so edited, is right: in a file beside it.

    Raises:
        CatalogueError: When it would be wrong.
    """
    half = live.with_name(f".checked-{os.getpid()}-{live.name}")
    try:
        half.write_text(text, "utf-8")
        load_catalogue(half, needs_promises=False)
    finally:
        half.unlink(missing_ok=True)
