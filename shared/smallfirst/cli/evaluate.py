"""`smallfirst evaluate`: what a cascade costs and how often it is right, beside all it could be."""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from smallfirst.catalogue import Catalogue, Promise, Task, promise_path
from smallfirst.catalogue.loading import load_catalogue
from smallfirst.cli.options import (
    CatalogueOption,
    DropSeenOption,
    SlmProcessesOption,
    TaskArgument,
)
from smallfirst.cli.output import USAGE, JsonOption, console, fail, note, print_json, share, table
from smallfirst.cli.scored_rows import PROGRESS_OBSERVER, DataOption, catalogue_with, unseen_rows_of
from smallfirst.cli.tables import money

if TYPE_CHECKING:
    from smallfirst.evaluation.alternatives import Alternative
    from smallfirst.evaluation.evaluating import Evaluation
    from smallfirst.evaluation.intervals import Interval
    from smallfirst.evaluation.label_figures import LabelFigures
    from smallfirst.evaluation.scores import Scores

_PAGE_PACKAGES = ("jinja2", "matplotlib")
#: What a narrow terminal does without: the width that a column needs.
_NEEDS_WIDTH = {"95 %": 90, "worker s/job": 112, "latency s": 112}
#: The most labels that a terminal is shown.
_MAX_LABELS = 30


def evaluate(  # noqa: PLR0913 - a command's signature is its options
    task: TaskArgument,
    *,
    data: DataOption,
    html: Annotated[
        Path | None, typer.Option(help="The file for the report: one HTML page with all in it.")
    ] = None,
    rows_out: Annotated[
        Path | None,
        typer.Option(help="The file for the rows, JSON Lines: what is right and what was said."),
    ] = None,
    texts: Annotated[
        bool,
        typer.Option(
            "--texts",
            help="Show the rows' texts, too, in the page and ROWS_OUT, and in the page which words"
            " drove the wrong answers.",
        ),
    ] = False,
    drop_seen: DropSeenOption = False,
    catalogue: CatalogueOption = None,
    slm_processes: SlmProcessesOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare a task's cascade with everything else its models could do.

    Every step is asked about every row. So the cascade stands beside each of its steps alone,
    beside escalation by lot, and beside the cheapest single step of equal quality; where it loses,
    the report says so.
    """
    loaded, path = _promised(task, catalogue)
    _check_files(data, html, rows_out)
    from smallfirst.evaluation import provenance, scoring_run  # noqa: PLC0415 - an extra
    from smallfirst.evaluation.wrong_rows import surest_wrong  # noqa: PLC0415 - an extra

    rows, num_left_out = unseen_rows_of(loaded, task, data, drop_seen=drop_seen)
    if not rows:
        fail(f"{data}: no row is left that no model was trained on", exit_code=USAGE)
    evaluated, is_explained = _evaluator(loaded.tasks[task]), texts and html is not None
    scores, reasons = scoring_run.ask_and_explain(
        path,
        task,
        rows,
        lambda scores: surest_wrong(evaluated(scores)) if is_explained else (),
        onlooker=PROGRESS_OBSERVER,
        slm_processes=slm_processes,
    )
    found = evaluated(scores)
    promise = _promise(loaded, task, path)
    about = provenance.Circumstances(data, num_left_out, path, datetime.now(UTC))
    told = provenance.how_measured(scores, loaded, promise, about)
    shown = [row.example.text for row in rows] if texts else None
    if rows_out is not None:
        _write_rows(found, shown, rows_out)
    if html is not None:
        from smallfirst.evaluation.report_page import report_page  # noqa: PLC0415 - an extra

        html.write_text(report_page(found, told, promise, shown, reasons), encoding="utf-8")
        note(f"the report: {html}")
    _report(found, told, promise, as_json=as_json)


def _evaluator(task: Task) -> "Callable[[Scores], Evaluation]":
    """What evaluates the scores of a task, as its cascade stands in the catalogue."""
    from smallfirst.evaluation.evaluating import evaluate as of_scores  # noqa: PLC0415 - an extra

    acceptances = [step.acceptance for step in task.cascade]
    return lambda scores: of_scores(scores, acceptances, tuple(task.labels))


def _promised(task: str, catalogue: Path | None) -> tuple[Catalogue, Path]:
    """Read the catalogue, and the promise that the task's steps go by."""
    _, path = catalogue_with(task, catalogue)
    return load_catalogue(path).without_people(), path


def _promise(catalogue: Catalogue, task: str, path: Path) -> Promise | None:
    """Read what was promised of the task; None where no step goes by a promise."""
    if not any(step.is_calibrated for step in catalogue.tasks[task].cascade):
        return None
    return Promise.model_validate_json(promise_path(path, task).read_bytes(), strict=True)


def _check_files(data: Path, html: Path | None, rows_out: Path | None) -> None:
    """See that the files can be written before the fleet is asked, which takes minutes."""
    from importlib.util import find_spec  # noqa: PLC0415 - for this alone

    if html is not None and not all(find_spec(name) for name in _PAGE_PACKAGES):
        fail("the page needs what draws it: pip install 'smallfirst[evaluation]'")
    for path in filter(None, (html, rows_out)):
        if path.is_dir() or not path.absolute().parent.is_dir():
            fail(f"{path}: must be a file in a folder that exists", exit_code=USAGE)
        if path.exists() and path.samefile(data):
            fail(f"{path}: is the file of rows itself", exit_code=USAGE)


def _write_rows(found: "Evaluation", texts: Sequence[str] | None, path: Path) -> None:
    from smallfirst.evaluation.rows_file import rows_as_json  # noqa: PLC0415 - an extra

    with path.open("w", encoding="utf-8") as file:
        for row in rows_as_json(found, texts):
            file.write(json.dumps(row) + "\n")
    note(f"the rows: {path}")


def _report(
    found: "Evaluation", told: list[tuple[str, str]], promise: Promise | None, *, as_json: bool
) -> None:
    from smallfirst.evaluation.evaluation_json import as_json as laid_out  # noqa: PLC0415 - an extra

    if as_json:
        print_json(laid_out(found, told, promise))
        return
    from smallfirst.evaluation.conclusions import headline, sentences  # noqa: PLC0415 - an extra

    out = console()
    out.print(alternatives_table(found, width=out.width))
    if found.labels:
        out.print()
        out.print(labels_table(found, width=out.width))
    out.print()
    for sentence in (headline(found), *sentences(found, promise)):
        out.print(sentence, markup=False, soft_wrap=True)


def alternatives_table(found: "Evaluation", *, width: int) -> Table:
    """Lay out the alternatives.

    Args:
        found: The evaluation.
        width: The console's width in characters; a narrow one gets fewer columns.
    """
    columns = (
        "alternative", "right", "95 %", "wrong of answered", "95 %", "answered",
        f"{found.currency}/1M", "worker s/job", "latency s",
    )  # fmt: skip
    shown = [width >= _NEEDS_WIDTH.get(column, 0) for column in columns]
    rows = [_cells(each) for each in (found.cascade, *found.alternatives)]
    title = f"{found.task}, {found.num_rows:,} rows"
    kept = [[*compress(cells, shown)] for cells in rows]
    return table([*compress(columns, shown)], kept, title=title)


def labels_table(found: "Evaluation", *, width: int) -> Table:
    """Lay out the cascade's figures by label, the first so many; see `alternatives_table`."""
    columns = ("label", "there", "said", "right", "precision", "95 %", "recall", "95 %")
    shown = [width >= _NEEDS_WIDTH.get(column, 0) for column in columns]
    rows = [[*compress(_label_cells(each), shown)] for each in found.labels[:_MAX_LABELS]]
    left = len(found.labels) - _MAX_LABELS
    more = f"; {left:,} more are in the page and the JSON" if left > 0 else ""
    return table([*compress(columns, shown)], rows, title=f"the cascade, by label{more}")


def _label_cells(each: "LabelFigures") -> Iterator[str]:
    yield each.label
    yield f"{each.num_there:,}"
    yield f"{each.num_said:,}"
    yield f"{each.num_right:,}"
    yield share(each.precision)
    yield _span(each.precision_interval)
    yield share(each.recall)
    yield _span(each.recall_interval)


def _cells(each: "Alternative") -> Iterator[str]:
    yield each.name
    yield share(each.accuracy)
    yield _span(each.accuracy_interval)
    yield share(each.error)
    yield _span(each.error_interval)
    yield share(each.coverage)
    yield money(each.cost_per_million)
    yield f"{each.seconds:.3g}"
    yield f"{each.latency_seconds:.3g}"


def _span(interval: "Interval | None") -> str:
    return f"{interval.low * 100:.1f} to {interval.high * 100:.1f}" if interval else "-"
