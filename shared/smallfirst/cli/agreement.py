"""What `smallfirst desk agreement` shows: how often two people who answer the same job agree."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import typer

from smallfirst.agreement.measuring import Agreement, agreement_of
from smallfirst.catalogue.loading import read_catalogue
from smallfirst.cli.fleet_connection import link_of
from smallfirst.cli.output import USAGE, console, fail, note, print_json, table
from smallfirst.errors import CatalogueError
from smallfirst.ledger.decisions import Decisions
from smallfirst.wording import counted, did_you_mean

_COLUMNS = ("people", "answered by both", "both the same", "kappa")


def show_agreement(
    context: typer.Context, task: str | None, catalogue: Path | None, *, as_json: bool
) -> None:
    """Show the agreement of one task, or of each that asks two people."""
    with link_of(context) as link:
        read = read_catalogue(catalogue or link.settings.catalogue, needs_promises=False)
        if read.catalogue is None:
            raise read.error or CatalogueError()
        tasks = read.catalogue.tasks
        if task is not None and task not in tasks:
            fail(f"the catalogue has no task {task!r}{did_you_mean(task, tasks)}", exit_code=USAGE)
        wanted = [name for name in tasks if tasks[name].asks_several and task in {None, name}]
        ledgers = [Decisions(each.redis, each.keys) for each in link.slices]
        pairs = {name: [pair for each in ledgers for pair in each.pairs(name)] for name in wanted}
    found = {
        name: agreement_of(sorted(theirs, key=lambda pair: pair.decided_ms))
        for name, theirs in pairs.items()
    }
    if as_json:
        print_json({name: asdict(each) if each else None for name, each in found.items()})
        return
    if not wanted:
        note("no task asks two people" if task is None else f"{task} does not ask two people")
    for name, each in found.items():
        _show(name, each)


def _show(name: str, found: Agreement | None) -> None:
    out = console()
    if found is None:
        out.print(f"{name}: no job has been answered by two people yet")
        return
    out.print(
        f"{name}: of {counted(found.num_jobs, 'job')} that two people answered"
        f" {100 * found.raw:.1f} % alike; Krippendorff's alpha {_number(found.alpha)}"
    )
    out.print(table(_COLUMNS, _rows(found)))


def _rows(found: Agreement) -> Iterator[list[str]]:
    for each in found.pairs:
        shares = (f"{each.num_jobs:,}", f"{100 * each.raw:.1f} %", _number(each.kappa))
        yield [", ".join(each.people), *shares]


def _number(value: float | None) -> str:
    """A measure; where nobody ever differs there is nothing to measure it by."""
    return "none" if value is None else f"{value:.2f}"
