"""`smallfirst report`: what jobs cost, what the rest of the fleet did, and what was saved by it."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final

import typer

from smallfirst.accounting.as_json import as_json as json_of
from smallfirst.accounting.figures import Figures, PoolFigures, TaskFigures, figures_of
from smallfirst.accounting.words import (
    USES,
    balance_words,
    energy_words,
    escalation_words,
    how_to_measure,
    pool_name,
    saving_words,
)
from smallfirst.catalogue import Catalogue
from smallfirst.catalogue.durations import parse_duration
from smallfirst.catalogue.loading import read_catalogue
from smallfirst.catalogue.whole_files import write_whole
from smallfirst.cli.fleet_connection import Link, link_of
from smallfirst.cli.options import CatalogueOption
from smallfirst.cli.output import (
    USAGE,
    JsonOption,
    console,
    duration,
    fail,
    note,
    print_json,
    share,
    table,
)
from smallfirst.errors import CatalogueError
from smallfirst.ledger.books import BOOKED_TTL_SECONDS, read_day_books
from smallfirst.ledger.ledger import Ledger
from smallfirst.wording import counted, did_you_mean

#: For how many days books are kept.
MAX_DAYS: Final = BOOKED_TTL_SECONDS // 86_400
#: What the page is made with.
_PAGE_PACKAGES: Final = ("jinja2", "matplotlib", "numpy", "scipy")

SinceOption = Annotated[
    str,
    typer.Option(
        metavar="DURATION|DAY",
        help="The beginning: 7d for the last seven days, or a day such as 2026-11-24 (UTC). Books"
        f" are kept for {MAX_DAYS} days, and are of whole days.",
    ),
]
HtmlOption = Annotated[
    Path | None, typer.Option(help="The file for the same as one page for a browser.")
]
WattsOption = Annotated[
    float | None,
    typer.Option(
        "--estimate-energy",
        metavar="WATTS",
        min=0.0,
        help="The power of a busy worker, by which energy is estimated beside what is measured.",
    ),
]


def report(
    context: typer.Context,
    *,
    since: SinceOption = "7d",
    task: Annotated[
        str | None, typer.Option(help="The name of a task; if not given, all of them.")
    ] = None,
    html: HtmlOption = None,
    estimate_energy: WattsOption = None,
    catalogue: CatalogueOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what jobs cost and what was saved, by task, step and pool; losses as plainly as gains.

    What is compared are the costs of attempts, as booked: against asking the large model alone,
    and against the cheapest single step that calibration found to be as good.
    """
    _check_page(html)
    with link_of(context) as link:
        declared = _catalogue(catalogue or link.settings.catalogue)
        days = _days(since, _today(link))
        found = figures_of(read_day_books(link.slices, days), declared, task)
    if task is not None and task not in {*declared.tasks, *(each.task for each in found.tasks)}:
        known = did_you_mean(task, declared.tasks)
        fail(f"the catalogue has no task {task!r}{known}", exit_code=USAGE)
    if html is not None:
        _write_page(html, found, estimate_energy)
    if as_json:
        print_json(json_of(found, estimate_energy))
    else:
        _show(found, estimate_energy)


def _check_page(html: Path | None) -> None:
    """See that the page can be written, before the fleet is asked."""
    if html is None:
        return
    if not all(find_spec(name) for name in _PAGE_PACKAGES):
        fail("the page needs what draws it: pip install 'smallfirst[evaluation]'")
    if html.is_dir() or not html.absolute().parent.is_dir():
        fail(f"{html}: must be a file in a folder that exists", exit_code=USAGE)


def _write_page(html: Path, found: Figures, watts: float | None) -> None:
    from smallfirst.accounting.page import report_page  # noqa: PLC0415 - an extra

    write_whole(html, report_page(found, watts))
    note(f"the page: {html}")


def _catalogue(path: Path) -> Catalogue:
    """The catalogue with its promises; where one of these is missing or void, without any."""
    read = read_catalogue(path)
    if read.catalogue is None:
        read = read_catalogue(path, needs_promises=False)
    if read.catalogue is None:
        raise read.error or CatalogueError()
    return read.catalogue


def _today(link: Link) -> date:
    """The day by Redis's clock."""
    now_ms = Ledger(link.redis, link.keys, "cli").now_ms()
    return datetime.fromtimestamp(now_ms / 1000, UTC).date()


def _days(since: str, today: date) -> list[str]:
    """Name the days whose books are read, the first one first."""
    first = max(_first_day(since, today), today - timedelta(days=MAX_DAYS))
    if first > today:
        fail(f"--since {since}: that day has not come yet", exit_code=USAGE)
    num_days = (today - first).days + 1
    return [f"{first + timedelta(days=n):%Y-%m-%d}" for n in range(num_days)]


def _first_day(since: str, today: date) -> date:
    try:
        length = parse_duration(since)
    except ValueError:
        try:
            return date.fromisoformat(since)
        except ValueError:
            rule = "is neither a duration, such as 7d, nor a day, such as 2026-11-24"
            fail(f"--since {since}: {rule}", exit_code=USAGE)
    assert isinstance(length, timedelta)
    # Seven days are today and the six before it; an hour is today.
    most = timedelta(days=MAX_DAYS)
    return today - (min(length, most) - timedelta(microseconds=1) if length else length)


def _show(found: Figures, watts: float | None) -> None:
    out = console()
    if not found.tasks:
        note(f"nothing is booked from {found.first} to {found.last}")
    for task in found.tasks:
        _show_task(task, found.currency)
    if found.pools:
        title = "where the workers' time went, all of it paid for"
        out.print(table(_POOL_COLUMNS, map(_pool_row, found.pools), title=title))
        out.print(balance_words(found))
    out.print(energy_words(found, watts))


def _show_task(task: TaskFigures, currency: str) -> None:
    out = console()
    columns = (*_STEP_COLUMNS, f"{currency}/1,000", "worth of asking it after another")
    title = f"{task.task}: {counted(task.num_jobs, 'job')}, {share(task.coverage)} answered"
    out.print(table(columns, _step_rows(task, currency), title=title))
    out.print(f"  against all to the large model: {saving_words(task.llm, currency)}")
    out.print(f"  against the cheapest equal single step: {saving_words(task.single, currency)}")
    for said in how_to_measure(task):
        out.print(f"  to know more: {said}")
    out.print()


_STEP_COLUMNS = ("step", "tried", "answered", "of all", "in vain", "seconds", "tokens")
_POOL_COLUMNS = ("pool", *USES.values(), "seconds", "paid")


def _step_rows(task: TaskFigures, currency: str) -> Iterator[list[str]]:
    for step in task.steps:
        yield [
            f"{step.step} {step.tier} {step.name}",
            f"{step.num_tried:,}",
            f"{step.num_accepted:,}",
            share(step.coverage),
            f"{step.num_in_vain:,}",
            duration(step.spent.seconds),
            f"{step.spent.num_tokens:,}",
            "-" if step.cost_per_thousand is None else f"{step.cost_per_thousand:.4g}",
            escalation_words(step, currency) or "-",
        ]


def _pool_row(pool: PoolFigures) -> list[str]:
    whole, uses = pool.whole, {"asked": pool.asked, **pool.uses}
    shares = [share(uses[use].seconds / whole.seconds if whole.seconds else None) for use in USES]
    return [pool_name(pool), *shares, f"{whole.seconds:,.0f}", f"{whole.cost:.4g}"]
