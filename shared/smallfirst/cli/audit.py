"""`smallfirst audit`: how often accepted answers are wrong, as people who check blind find it."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Annotated

import typer

from smallfirst.audit.reporting import AuditReport, ReviewerReport, read_reports
from smallfirst.catalogue.loading import read_catalogue
from smallfirst.cli.fleet_connection import link_of
from smallfirst.cli.options import CatalogueOption
from smallfirst.cli.output import (
    USAGE,
    JsonOption,
    console,
    duration,
    fail,
    note,
    print_json,
    table,
)
from smallfirst.errors import CatalogueError
from smallfirst.ledger.audits import Audits
from smallfirst.ledger.ledger import Ledger
from smallfirst.wording import did_you_mean


def audit(
    context: typer.Context,
    task: Annotated[
        str | None,
        typer.Argument(
            metavar="[TASK]", help="The name of the task; if not given, every audited one."
        ),
    ] = None,
    *,
    catalogue: CatalogueOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how often accepted answers are wrong, by blind checks, and how reviewers answer."""
    with link_of(context) as link:
        read = read_catalogue(catalogue or link.settings.catalogue, needs_promises=False)
        if read.catalogue is None:
            raise read.error or CatalogueError()
        tasks = read.catalogue.tasks
        if task is not None and task not in tasks:
            fail(f"the catalogue has no task {task!r}{did_you_mean(task, tasks)}", exit_code=USAGE)
        wanted = [name for name in tasks if tasks[name].audit and task in {None, name}]
        first = link.slices[0]
        reports = read_reports(Audits(first.redis, first.keys).said(wanted))
        now_ms = Ledger(first.redis, first.keys, "cli").now_ms()
    if as_json:
        print_json({name: each.model_dump(mode="json") for name, each in reports.items()})
        return
    if not wanted:
        note("no task has an `audit`" if task is None else f"{task} has no `audit`")
    for name in wanted:
        _show(name, reports.get(name), now_ms)


def _show(name: str, report: AuditReport | None, now_ms: int) -> None:
    out = console()
    if report is None:
        out.print(f"{name}: nothing is known yet; a desk says it, so run one: smallfirst desk")
        return
    age = duration(timedelta(milliseconds=max(0, now_ms - report.at_ms)).total_seconds())
    out.print(f"{name}: {report.in_words}")
    if report.alarm is not None:
        stands = duration(max(0, now_ms - report.alarm.since_ms) / 1000)
        out.print(f"  since its jobs have drifted, for {stands}: {report.alarm.in_words}")
    if report.is_broken:
        out.print(f"  the promise is broken; calibrate anew: smallfirst calibrate {name}")
    out.print(
        f"  of {report.num_accepted:,} answers accepted under it; {report.num_waiting:,} wait,"
        f" {report.num_dropped:,} of {report.num_drawn:,} were dropped; said {age} ago"
    )
    if report.num_undecided:
        out.print(
            f"  {report.num_undecided:,} that the first person found wrong await another look"
        )
    if report.slips is not None:
        slips = f"{100 * report.slips:.1f} % of {report.num_golden:,}"
        out.print(f"  reviewers have {slips} golden rows wrong, which is taken off")
    if report.reviewers:
        out.print(table(_COLUMNS, _rows(report.reviewers)))


_COLUMNS = ("person", "blind", "golden", "of those wrong", "hasty")


def _rows(reviewers: Iterable[ReviewerReport]) -> Iterable[list[str]]:
    for each in reviewers:
        counts = (each.num_answers, each.num_golden, each.num_golden_wrong, each.num_hasty)
        yield [each.person, *map(str, counts)]
