"""How a report looks to people: one table, a line a step."""

from collections.abc import Iterable, Iterator
from itertools import compress
from typing import Literal

from rich.table import Table
from rich.text import Text

from smallfirst.cli.output import duration, share
from smallfirst.cli.report import Report, ReportRow
from smallfirst.jobs import Status

_COLUMNS = (
    "task", "step", "answered by", "jobs", "share", "sure", "right", "p50", "p95", "worker s",
    "cost",
)  # fmt: skip
_WORDS = frozenset({"task", "answered by", "right"})
#: What a narrow terminal does without.
_NOT_IN_NARROW = frozenset({"p50", "worker s"})
_NARROW = 104


def report_table(report: Report, *, width: int, currency: str | None = None) -> Table:
    """Lay out a report.

    `sure` is the mean confidence, `right` how often that was so, and the cost is of a million jobs
    that the step tries.

    Args:
        report: At least one job.
        width: The console's width in characters; a narrow one gets fewer columns.
        currency: The currency of the costs, where known.
    """
    shown = [width >= _NARROW or name not in _NOT_IN_NARROW for name in _COLUMNS]
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in compress(_COLUMNS, shown):
        heading = f"{currency or 'cost'}/1M" if name == "cost" else name
        justify: Literal["left", "right"] = "left" if name in _WORDS else "right"
        table.add_column(heading, justify=justify, no_wrap=True)
    _fill(table, report.rows(), shown)
    return table


def _fill(table: Table, rows: Iterable[ReportRow], shown: list[bool]) -> None:
    """Add the rows, a blank line between two tasks."""
    last_task = None
    for row in rows:
        is_new = row.task != last_task
        if is_new and last_task is not None:
            table.add_row()
        table.add_row(*compress(_cells(row, is_new=is_new), shown), style=_style(row))
        last_task = row.task


def _cells(row: ReportRow, *, is_new: bool) -> Iterator[str | Text]:
    is_step = row.step is not None
    yield Text(row.task if is_new else "", style="bold")
    yield str(row.step) if is_step else ""
    yield f"{row.tier} {'' if row.model == 'rules' else row.model}" if is_step else str(row.status)
    yield f"{row.jobs:,}"
    yield share(row.share)
    yield "" if row.mean_confidence is None else f"{row.mean_confidence:.2f}"
    yield _score(row)
    yield duration(row.p50_seconds)
    yield duration(row.p95_seconds)
    yield f"{row.worker_seconds:.2f}" if is_step else ""
    yield money(row.cost / row.tried * 1e6) if is_step else ""


def _score(row: ReportRow) -> str:
    """Name the measure: span F1 is no share of right answers."""
    return "" if row.score is None else f"{share(row.score)} {row.measure}"


def money(amount: float) -> str:
    """Write an amount with the digits that mean something."""
    return f"{amount:,.2f}" if amount >= 1 else f"{amount:.2g}" if amount else "0"


def _style(row: ReportRow) -> str:
    if row.status in {Status.FAILED, Status.REFUSED}:
        return "red"
    return "" if row.step is not None else "dim"
