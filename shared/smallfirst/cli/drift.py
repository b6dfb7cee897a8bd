"""`smallfirst drift`: whether a task's jobs are still like the rows it was calibrated on."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from smallfirst.catalogue import Task
from smallfirst.catalogue.drifts import Alarm
from smallfirst.catalogue.loading import load_catalogue
from smallfirst.cli.fleet_connection import link_of
from smallfirst.cli.options import CatalogueOption
from smallfirst.cli.output import USAGE, JsonOption, console, fail, note, print_json, share, table
from smallfirst.drift.bins import ESCALATED, What
from smallfirst.drift.judging import DriftState, Judged
from smallfirst.ledger.alarms import Alarms, StandingAlarm
from smallfirst.ledger.ledger import Ledger
from smallfirst.ledger.seen import forget_seen
from smallfirst.ledger.slices import Slice
from smallfirst.telemetry.drift import (
    DriftReport,
    QuantityReport,
    kept_periods,
    read_drift,
    standing_of,
)
from smallfirst.wording import did_you_mean


def drift(
    context: typer.Context,
    task: Annotated[
        str | None,
        typer.Argument(
            metavar="[TASK]", help="The name of the task; if not given, every calibrated one."
        ),
    ] = None,
    *,
    restart: Annotated[
        bool,
        typer.Option(
            "--restart",
            help="An end to what was counted of the task until now, and to what its alarm does, as"
            " after a burst of odd jobs.",
        ),
    ] = False,
    catalogue: CatalogueOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show whether jobs are still like the rows that their task was calibrated on."""
    if restart and task is None:
        fail("--restart: name the task whose counts are to be dropped", exit_code=USAGE)
    with link_of(context) as link:
        read = load_catalogue(catalogue or link.settings.catalogue)
        if task is not None and task not in read.tasks:
            near = did_you_mean(task, read.tasks)
            fail(f"the catalogue has no task {task!r}{near}", exit_code=USAGE)
        first = link.slices[0]
        ledger = Ledger(first.redis, first.keys, "cli")
        now_ms = ledger.now_ms()
        if restart and task is not None:
            num_counts = forget_seen(first, task, kept_periods(now_ms))
            note(f"{task}: {num_counts:,} counts were dropped; jobs are compared from now on")
            # Not before: what was begun until now may have read what was counted.
            _end_alarm(link.slices, task, ledger.now_ms())
        reports = read_drift(first, read, now_ms)
        standing = standing_of(first, read)
    wanted = {name: each for name, each in reports.items() if task in {None, name}}
    if as_json:
        print_json({name: _as_json(each, standing.get(name)) for name, each in wanted.items()})
        return
    if not wanted:
        who = "no task goes by a" if task is None else f"{task} goes by no"
        note(f"{who} promise, so there are no rows to compare jobs with")
    for name, report in wanted.items():
        _show(name, report)
        for line in _in_force(read.tasks[name], report, standing.get(name)):
            console().print(f"  {line}", markup=False)


def _end_alarm(slices: Sequence[Slice], task: str, now_ms: int) -> None:
    """End what is in force of a task, in every slice."""
    ended = [Alarms(each.redis, each.keys).end(task, now_ms) for each in slices]
    if any(ended):
        note(f"{task}: what its alarm did is over")


def _in_force(task: Task, report: DriftReport, alarm: StandingAlarm | None) -> Iterator[str]:
    """Say what is done about a drift, where the catalogue has anything done."""
    drift, promise = task.drift, task.promise
    if drift is None or promise is None or not drift.alarm.acts:
        return
    if alarm is None:
        if report.has_drifted:
            yield f"`{drift.alarm}` is not in force: a router begins within a minute"
    elif drift.alarm is Alarm.AUDIT_MORE:
        yield f"in force since {_moment(alarm.since_ms)}: `{drift.alarm}`"
        yield f"{drift.audit_times:g} times as many answers are checked blind: smallfirst audit"
    elif promise.cautious is not None:
        yield f"in force since {_moment(alarm.since_ms)}: `{drift.alarm}`"
        yield (
            f"of texts like the rows, {share(promise.cautious.share_answered)} are answered by"
            f" these thresholds, in place of {share(promise.share_answered)}"
        )


def _moment(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"


def _as_json(report: DriftReport, alarm: StandingAlarm | None) -> dict[str, Any]:
    since = None if alarm is None else datetime.fromtimestamp(alarm.since_ms / 1000, UTC)
    return {
        "raises_alarm": report.raises_alarm,
        "alarm": report.alarm,
        "in_force_since": since.isoformat(timespec="seconds") if since else None,
        "has_reference": report.has_reference,
        "has_drifted": report.has_drifted,
        "quantities": [_quantity_as_json(each) for each in report.quantities],
    }


def _quantity_as_json(report: QuantityReport) -> dict[str, Any]:
    about, judged = report.reference, report.judged
    return {
        "what": about.what,
        "step": about.step,
        "state": judged.state,
        "evidence": round(judged.evidence, 6),
        "stability_index": None if judged.index is None else round(judged.index, 6),
        "num_jobs": judged.num_jobs,
        "since": judged.since or None,
        "reference": dict(about.counts),
        "now": dict(judged.now),
    }


_COLUMNS: Final = (
    "quantity",
    "rows",
    "jobs",
    "since",
    "moved most",
    "index",
    "evidence",
    "in words",
)
_WORDS: Final[Mapping[DriftState, str]] = {
    DriftState.UNKNOWN: "nothing counted yet",
    DriftState.STEADY: "no change is proven",
    DriftState.SMALL: "a small change is proven",
    DriftState.DRIFTED: "has drifted",
}


def _show(name: str, report: DriftReport) -> None:
    out = console()
    if not report.has_reference:
        out.print(f"{name}: the promise does not say what its rows were like; make it anew:")
        out.print(f"  smallfirst calibrate {name} --data ROWS")
        return
    rows = [list(_cells(each)) for each in report.quantities]
    out.print(table(_COLUMNS, rows, left=1, title=name))
    if report.has_drifted:
        out.print(
            f"  {name} has drifted: calibrate it on rows of today, smallfirst calibrate {name}"
        )
    elif not report.raises_alarm:
        out.print(f"  no alarm is raised: say `drift: {{alarm: alert}}` in tasks.{name}")


def _cells(report: QuantityReport) -> Iterable[str]:
    judged, counts = report.judged, report.reference.counts
    yield _named(report)
    yield f"{sum(counts.values()):,}"
    yield f"{judged.num_jobs:,}"
    yield judged.since or "-"
    yield _moved(report.reference.what, counts, judged)
    yield "-" if judged.index is None else f"{judged.index:.3f}"
    yield f"{judged.evidence:.2f}"
    yield _WORDS[judged.state]


def _named(report: QuantityReport) -> str:
    about = report.reference
    return str(about.what) if about.step is None else f"{about.what} of step {about.step}"


def _moved(what: What, counts: Mapping[str, int], judged: Judged) -> str:
    """The bin whose share differs most: that of the rows, and that of the jobs."""
    if not judged.now or not sum(counts.values()):
        return "-"
    names = tuple(counts)
    before, after = _shares(counts, names), _shares(judged.now, names)
    moves = [abs(one - other) for one, other in zip(before, after, strict=True)]
    most = names.index(ESCALATED) if what is What.ESCALATION else moves.index(max(moves))
    return f"{_bin_named(what, names, most)}: {share(before[most])} to {share(after[most])}"


def _shares(counts: Mapping[str, int], names: Sequence[str]) -> list[float]:
    total = sum(counts.values())
    return [counts[name] / total for name in names]


def _bin_named(what: What, names: Sequence[str], at: int) -> str:
    name = names[at]
    if what is What.LENGTH:
        last = at == len(names) - 1
        return f"{name} and more" if last else f"{name} to {int(names[at + 1]) - 1}"
    if what is What.CONFIDENCE and name != names[0]:
        return f"{name} and up"
    return name or "other labels"
