"""`smallfirst evaluate`: what a cascade costs and how often it is right, beside all it could be."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smallfirst.catalogue import Catalogue, Promise, promise_path
from smallfirst.catalogue.loading import load_catalogue
from smallfirst.cli.options import (
    CatalogueOption,
    DropSeenOption,
    SlmProcessesOption,
    TaskArgument,
)
from smallfirst.cli.output import USAGE, JsonOption, console, fail, note, print_json, share, table
from smallfirst.cli.scored_rows import PROGRESS_OBSERVER, DataOption, catalogue_with, unseen_rows_of

if TYPE_CHECKING:
    from smallfirst.evaluation.alternatives import Alternative
    from smallfirst.evaluation.evaluating import Evaluation
    from smallfirst.evaluation.intervals import Interval

_PAGE_PACKAGES = ("jinja2", "matplotlib")


def evaluate(
    task: TaskArgument,
    *,
    data: DataOption,
    html: Annotated[
        Path | None, typer.Option(help="The file for the report: one HTML page with all in it.")
    ] = None,
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
    _check_page(html)
    from smallfirst.evaluation import evaluating, provenance, scoring_run  # noqa: PLC0415 - an extra

    rows, num_left_out = unseen_rows_of(loaded, task, data, drop_seen=drop_seen)
    if not rows:
        fail(f"{data}: no row is left that no model was trained on", exit_code=USAGE)
    examples = [row.example for row in rows]
    scores = scoring_run.ask_every_step(
        path, task, examples, onlooker=PROGRESS_OBSERVER, slm_processes=slm_processes
    )
    asked = loaded.tasks[task]
    found = evaluating.evaluate(
        scores, [step.acceptance for step in asked.cascade], tuple(asked.labels)
    )
    promise = _promise(loaded, task, path)
    about = provenance.Circumstances(data, num_left_out, path, datetime.now(UTC))
    told = provenance.how_measured(scores, loaded, promise, about)
    _report(found, told, promise, html, as_json=as_json)


def _promised(task: str, catalogue: Path | None) -> tuple[Catalogue, Path]:
    """Read the catalogue, and the promise that the task's steps go by."""
    _, path = catalogue_with(task, catalogue)
    return load_catalogue(path), path


def _promise(catalogue: Catalogue, task: str, path: Path) -> Promise | None:
    """Read what was promised of the task; None where no step goes by a promise."""
    if not any(step.is_calibrated for step in catalogue.tasks[task].cascade):
        return None
    return Promise.model_validate_json(promise_path(path, task).read_bytes(), strict=True)


def _check_page(html: Path | None) -> None:
    """See that the page can be written before the fleet is asked, which takes minutes."""
    from importlib.util import find_spec  # noqa: PLC0415 - for this alone

    if html is None:
        return
    if not all(find_spec(name) for name in _PAGE_PACKAGES):
        fail("the page needs what draws it: pip install 'smallfirst[evaluation]'")
    if html.is_dir() or not html.absolute().parent.is_dir():
        fail(f"{html}: must be a file in a folder that exists", exit_code=USAGE)


def _report(
    found: "Evaluation",
    told: list[tuple[str, str]],
    promise: Promise | None,
    html: Path | None,
    *,
    as_json: bool,
) -> None:
    from smallfirst.evaluation.evaluation_json import as_json as laid_out  # noqa: PLC0415 - an extra

    if html is not None:
        from smallfirst.evaluation.report_page import report_page  # noqa: PLC0415 - an extra

        html.write_text(report_page(found, told, promise), encoding="utf-8")
        note(f"the report: {html}")
    if as_json:
        print_json(laid_out(found, told, promise))
        return
    _show(found, promise)


def _show(found: "Evaluation", promise: Promise | None) -> None:
    from smallfirst.evaluation.conclusions import headline, sentences  # noqa: PLC0415 - an extra

    out = console()
    columns = (
        "alternative", "right", "95 %", "wrong of answered", "95 %", "answered",
        f"{found.currency}/1k", "worker s/job", "latency s",
    )  # fmt: skip
    rows = [list(_cells(each)) for each in (found.cascade, *found.alternatives)]
    out.print(table(columns, rows, title=f"{found.task}, {found.num_rows:,} rows"))
    out.print()
    for sentence in (headline(found), *sentences(found, promise)):
        out.print(sentence, markup=False, soft_wrap=True)


def _cells(each: "Alternative") -> Iterator[str]:
    yield each.name
    yield share(each.accuracy)
    yield _span(each.accuracy_interval)
    yield share(each.error)
    yield _span(each.error_interval)
    yield share(each.coverage)
    yield f"{each.cost_per_thousand:.3g}"
    yield f"{each.seconds:.3g}"
    yield f"{each.latency_seconds:.3g}"


def _span(interval: "Interval | None") -> str:
    return f"{interval.low * 100:.1f} to {interval.high * 100:.1f}" if interval else "-"
