"""`smallfirst fit`: from a file of labelled rows to a cascade that is ready to serve."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smallfirst.catalogue import promise_path
from smallfirst.catalogue.loading import load_catalogue
from smallfirst.cli.calibrate import ConfidenceOption, TargetOption
from smallfirst.cli.options import SlmProcessesOption
from smallfirst.cli.output import (
    SOME_FAILED,
    USAGE,
    JsonOption,
    console,
    duration,
    fail,
    note,
    print_json,
    say,
    share,
    table,
)
from smallfirst.cli.scored_rows import PROGRESS_OBSERVER
from smallfirst.cli.tables import money
from smallfirst.jobs import NAME_PATTERN
from smallfirst.settings import Settings, load_settings

if TYPE_CHECKING:
    from smallfirst.evaluation.intervals import Interval
    from smallfirst.fitting.fitting import Found, Standing
    from smallfirst.fitting.from_rows import Order
    from smallfirst.fitting.writing import Destination

_COLUMNS = (
    "asked alone",
    "right",
    "95 %",
    "rows",
    "answers at the target",
    "cost/1M",
    "worker s/job",
)
_PACKAGES = ("numpy", "scipy", "sklearn", "jinja2", "matplotlib")
_SECONDS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)")


def _seconds(value: str) -> float:
    """Read a duration: 90s, 10m, 1h."""
    found = _DURATION.fullmatch(value.strip().lower())
    if found is None or found[2] not in _SECONDS:
        raise typer.BadParameter(f"{value!r} is no duration; write it as 90s, 10m or 1h")
    return float(found[1]) * _SECONDS[found[2]]


FitTaskArgument = Annotated[str, typer.Argument(help="The name of the task.")]
FitDataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        help="The file of labelled rows, JSON Lines or CSV, drawn from the stream that the fleet"
        " will see; if not given, a large model begins.",
    ),
]
TeachingOption = Annotated[
    Path | None,
    typer.Option(
        help="A file of more labelled rows that teach, and neither choose nor promise: they need"
        " be no draw from the stream."
    ),
]
UnlabelledOption = Annotated[
    Path | None,
    typer.Option(
        help="A file of texts without labels, of which is written which to label next, the most"
        " telling first."
    ),
]
ToLabelOption = Annotated[
    int, typer.Option(min=1, max=2000, help="The number of those rows to label next.")
]
LabelOption = Annotated[
    list[str] | None,
    typer.Option(
        "--label",
        metavar="NAME=DESCRIPTION",
        help="A label of a task that no catalogue has yet, with what it is for; once for each.",
    ),
]
BudgetOption = Annotated[
    float,
    typer.Option(
        parser=_seconds,
        metavar="DURATION",
        help="The time for asking large models and for tuning a small one, such as 90s, 10m or 1h;"
        " 0 does neither.",
    ),
]
FitOutOption = Annotated[
    Path | None,
    typer.Option(
        "--out", "-o", help="The folder to write into; if not given, that of the catalogue."
    ),
]
FitCatalogueOption = Annotated[
    Path | None,
    typer.Option(
        help="The catalogue that gets the task, and whose models may answer; if not given,"
        " SMALLFIRST_CATALOGUE, else catalogue.yaml. It need not be there yet."
    ),
]
ReplaceOption = Annotated[
    bool, typer.Option("--replace", help="Write over the task where the catalogue has it already.")
]


def fit(  # noqa: PLR0913 - a command's signature is its options
    task: FitTaskArgument,
    *,
    data: FitDataOption = None,
    teaching: TeachingOption = None,
    unlabelled: UnlabelledOption = None,
    to_label: ToLabelOption = 100,
    label: LabelOption = None,
    target: TargetOption = 0.02,
    confidence: ConfidenceOption = 0.95,
    budget: BudgetOption = "10m",  # type: ignore[assignment] # the parser makes seconds of it
    out: FitOutOption = None,
    catalogue: FitCatalogueOption = None,
    replace: ReplaceOption = False,
    slm_processes: SlmProcessesOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the cheapest cascade for a task from labelled rows, and write it ready to serve.

    Every tier is tried: rules that are there already, a linear model, a small one, the same tuned
    where the budget lasts, and the large ones of the catalogue. What was interrupted goes on when
    the same command is given again.
    Without labelled rows a large model of the catalogue answers, and nothing is promised. Exit 1
    where nothing is served: the rows bear no promise at all, or nobody can answer without rows.
    """
    _check(task, {"data": data, "teaching": teaching, "unlabelled": unlabelled})
    from smallfirst.evaluation.thresholds import Aim  # noqa: PLC0415 - takes a second
    from smallfirst.fitting.from_rows import Order  # noqa: PLC0415 - the same
    from smallfirst.fitting.writing import (  # noqa: PLC0415 - the same
        Destination,
        alone,
        check_writable,
    )

    source = load_settings(Settings, catalogue=catalogue).catalogue
    if catalogue is not None and not source.is_file() and out is not None:
        fail(f"{source}: no such file; see --catalogue", exit_code=USAGE)
    loaded = load_catalogue(source, needs_promises=False) if source.is_file() else None
    to = Destination((out / "catalogue.yaml" if out else source).absolute(), task)
    check_writable(to, replace=replace or data is None)
    order = Order(
        task=task,
        data=data,
        catalogue=loaded,
        to=to,
        aim=Aim(target, confidence),
        budget=budget,
        slm_processes=slm_processes,
        teaching=teaching,
        labels=dict(map(_label, label or ())),
    )
    with alone(to):
        is_served = (
            _begin(order, unlabelled, to_label, replace=replace, as_json=as_json)
            if data is None
            else _fit(order, unlabelled, to_label, as_json=as_json)
        )
    if not is_served:
        raise typer.Exit(SOME_FAILED)


def _check(task: str, files: Mapping[str, Path | None]) -> None:
    """See that there is something to work with, before seconds go by."""
    if missing_packages():
        fail("fitting needs what measures and draws: pip install 'smallfirst[linear,evaluation]'")
    if not re.fullmatch(NAME_PATTERN, task):
        fail(f"TASK: {task!a} is no name of a task; it must match {NAME_PATTERN}", exit_code=USAGE)
    for name, path in files.items():
        if path is not None and not path.is_file():
            fail(f"{path}: no such file; see --{name}", exit_code=USAGE)
    if files["teaching"] and not files["data"]:
        fail("--teaching: rows that only teach need others that judge; see --data", exit_code=USAGE)


def missing_packages() -> list[str]:
    """Name what a fitting needs and is not installed."""
    from importlib.util import find_spec  # noqa: PLC0415 - for this alone

    return [name for name in _PACKAGES if not find_spec(name)]


def _label(written: str) -> tuple[str, str]:
    name, _, about = written.partition("=")
    if not name.strip():
        fail(f'--label: {written!a} names none; write it as "NAME=what it is for"', exit_code=USAGE)
    return name.strip(), about.strip()


def _fit(order: "Order", unlabelled: Path | None, to_label: int, *, as_json: bool) -> bool:
    """Fit from rows, and say what to label next; return whether something is served."""
    from smallfirst.fitting.from_rows import fit_rows, suggest_next  # noqa: PLC0415 - the same
    from smallfirst.fitting.suggesting import (  # noqa: PLC0415 - the same
        advice,
        check_suggestable,
    )

    if unlabelled is not None:
        check_suggestable(order.to, unlabelled)
    found = fit_rows(order, PROGRESS_OBSERVER, note)
    _tell(found, order.to, as_json=as_json)
    if unlabelled is not None:
        note("")
        for sentence in advice(suggest_next(order, unlabelled, to_label, PROGRESS_OBSERVER)):
            note(sentence)
    return found.promise is not None


def _begin(
    order: "Order", unlabelled: Path | None, to_label: int, *, replace: bool, as_json: bool
) -> bool:
    """Begin without rows; return whether something is served."""
    from smallfirst.fitting.without_rows import (  # noqa: PLC0415 - the same
        begin,
        next_steps,
        sayings,
    )

    begun = begin(order, unlabelled, to_label, PROGRESS_OBSERVER, replace=replace)
    if as_json:
        print_json({"task": begun.task, "model": begun.model, "said": sayings(begun)})
    else:
        for sentence in sayings(begun):
            say(sentence)
    if commands := next_steps(order, begun):
        note("\nnext:")
        for command in commands:
            note(f"  {command}")
    return begun.is_written or begun.is_there


def _tell(found: "Found", to: "Destination", *, as_json: bool) -> None:
    from smallfirst.fitting.card import card_of  # noqa: PLC0415 - the same

    if as_json:
        print_json(card_of(found))
    else:
        show(found)
    tell_files(found, to)


def show(found: "Found") -> None:
    """Print what a fitting came to, for people."""
    from smallfirst.fitting.conclusions import headline, sentences  # noqa: PLC0415 - the same

    out = console()
    for sentence in (headline(found), *sentences(found)):
        out.print(sentence, markup=False, soft_wrap=True)
    out.print()
    out.print(table(_COLUMNS, [list(_cells(each)) for each in found.standings]))
    if not all(each.is_on_promising for each in found.standings):
        out.print("* of the rows that chose, a sample", markup=False)


def tell_files(found: "Found", to: "Destination") -> None:
    """Say where what was written, and what to type next."""
    from smallfirst.fitting.from_rows import next_commands  # noqa: PLC0415 - the same

    note("")
    if found.promise is not None:
        note(f"the task     {to.catalogue}")
        note(f"examples     {to.examples}")
        note(f"promise      {promise_path(to.catalogue, to.task)}")
    note(f"the page     {to.page}")
    note(f"figures      {to.card}")
    if commands := next_commands(to, found):
        note("\nnext:")
        for command in commands:
            note(f"  {command}")


def _cells(each: "Standing") -> Iterator[str]:
    alone = each.alone
    yield each.candidate.name
    yield share(alone.accuracy)
    yield _span(alone.accuracy_interval)
    yield f"{alone.num_rows:,}{'' if each.is_on_promising else ' *'}"
    yield share(each.share_at_target)
    yield money(alone.cost_per_million)
    yield duration(alone.seconds)


def _span(interval: "Interval") -> str:
    return f"{interval.low * 100:.1f} to {interval.high * 100:.1f}"
