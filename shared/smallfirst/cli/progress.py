"""Progress for people: a bar on a terminal's stderr, and silence anywhere else."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from smallfirst.cli.output import console

#: Between two updates; drawing must not slow down what it shows.
_UPDATE_SECONDS = 0.1

#: Gets how many are done, and how many there are in all, where that is known.
Advance = Callable[[int, int | None], None]


class _Rate(ProgressColumn):
    """Jobs a second."""

    def render(self, task: Task) -> Text:
        """Write the present speed."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f} jobs/s")


@contextmanager
def progress_bar(what: str) -> Iterator[Advance]:
    """Show a bar while the work goes on."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        updated_at = 0.0

        def advance(done: int, total: int | None) -> None:
            nonlocal updated_at
            if monotonic() - updated_at > _UPDATE_SECONDS:
                updated_at = monotonic()
                bar.update(task, completed=done, total=total)

        yield advance
