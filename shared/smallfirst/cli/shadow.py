"""`smallfirst shadow`: a candidate on a share of live jobs, beside them and unseen."""

from collections import ChainMap
from functools import reduce
from pathlib import Path
from typing import Annotated

import typer

from smallfirst.catalogue import Catalogue
from smallfirst.catalogue.loading import load_catalogue
from smallfirst.catalogue.shadow_orders import shadow_order
from smallfirst.cli.fleet_connection import Link, link_of
from smallfirst.cli.options import CatalogueOption, TaskArgument, share_between
from smallfirst.cli.output import USAGE, JsonOption, console, fail, note, print_json
from smallfirst.ledger.shadows import Shadows, sum_of
from smallfirst.settings import Settings, load_settings
from smallfirst.shadow.reporting import ShadowReport, sentences
from smallfirst.wording import did_you_mean

app = typer.Typer(
    help="Let a candidate run in shadow of a task, on a share of its live jobs, and see how it"
    " does.",
    no_args_is_help=True,
    add_completion=False,
)

CandidateOption = Annotated[
    Path,
    typer.Option(
        help="The candidate's catalogue, or its folder: what `smallfirst fit TASK --out` wrote."
    ),
]
ShareOption = Annotated[
    float,
    typer.Option(
        parser=share_between(0.0001, 0.5),
        metavar="SHARE",
        help="The share of the task's jobs that the candidate is asked about as well, 0.0001 to"
        " 0.5.",
    ),
]


@app.command("start")
def start(
    task: TaskArgument,
    *,
    candidate: CandidateOption,
    share: ShareOption = 0.05,
    catalogue: CatalogueOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a candidate run in shadow of a task, in place of one before.

    It is written into the catalogue, which a fleet that runs takes up by itself. Copies of a share
    of the task's jobs are asked of it while the fleet has capacity to spare; no result changes, and
    nobody gets its answers.
    """
    from smallfirst.gate.learned import check_not_its_own  # noqa: PLC0415 - an extra
    from smallfirst.gate.promoting import check_comparable  # noqa: PLC0415 - the same
    from smallfirst.gate.shadows import start_shadow  # noqa: PLC0415 - the same

    path = _catalogue(catalogue)
    other = candidate_file(candidate)
    live, rival = read_machines(path, task), read_machines(other, task)
    check_comparable(task, live, rival)
    check_not_its_own(task, other, rival)
    name = start_shadow(task, path, other.absolute(), rival, share)
    if as_json:
        print_json({"task": task, "candidate": name, "share": share})
    else:
        note(f"{path}: {name} runs in shadow of {task} (smallfirst shadow show {task})")


@app.command("stop")
def stop(
    task: TaskArgument, *, catalogue: CatalogueOption = None, as_json: JsonOption = False
) -> None:
    """Take the candidate that runs in shadow of a task out of the catalogue.

    What was counted of it is kept for 35 days, and goes on where it is started again.
    """
    from smallfirst.gate.shadows import stop_shadow  # noqa: PLC0415 - an extra

    path = _catalogue(catalogue)
    name = stop_shadow(task, path)
    if as_json:
        print_json({"task": task, "candidate": name})
    else:
        note(f"{path}: {name} runs in shadow of {task} no more")


@app.command("show")
def show(
    context: typer.Context,
    task: TaskArgument,
    *,
    catalogue: CatalogueOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how the candidate in shadow of a task does: agreement, endings, costs, people's word."""
    with link_of(context) as link:
        report = read_report(link, load_catalogue(catalogue or link.settings.catalogue), task)
    if as_json:
        print_json(report.as_json())
        return
    for sentence in sentences(report):
        console().print(sentence, markup=False, soft_wrap=True)


def read_report(link: Link, catalogue: Catalogue, task: str) -> ShadowReport:
    """Read what was counted of the candidate in shadow of a task, in all slices."""
    if task not in catalogue.tasks:
        near = did_you_mean(task, catalogue.tasks)
        fail(f"the catalogue has no task {task!r}{near}", exit_code=USAGE)
    order = shadow_order(catalogue, task)
    if order is None:
        start = f"smallfirst shadow start {task} --candidate FOLDER"
        fail(f"tasks.{task}: no candidate runs in shadow of it; {start} lets one", exit_code=USAGE)
    slices = [Shadows(each.redis, each.keys) for each in link.slices]
    at = (order.candidate, order.series)
    return ShadowReport(
        task,
        order.candidate,
        order.share,
        counts=reduce(sum_of, (each.counts(*at) for each in slices)),
        # Of a text that came in several slices one is counted.
        texts=ChainMap(*(dict(each.texts(*at)) for each in slices)),
        currency=catalogue.currency,
    )


def candidate_file(candidate: Path) -> Path:
    """The catalogue of a candidate, given by its file or its folder."""
    other = candidate / "catalogue.yaml" if candidate.is_dir() else candidate
    if not other.is_file():
        fail(f"{other}: no such file; see --candidate", exit_code=USAGE)
    return other


def read_machines(path: Path, task: str) -> Catalogue:
    """Read a catalogue with its promises, but for steps that ask a person."""
    found = load_catalogue(path).without_people()
    if task not in found.tasks:
        near = did_you_mean(task, found.tasks)
        fail(f"{path} has no task {task!r}{near}", exit_code=USAGE)
    return found


def _catalogue(given: Path | None) -> Path:
    path = load_settings(Settings, catalogue=given).catalogue.absolute()
    if not path.is_file():
        fail(f"{path}: no such file; name one with --catalogue", exit_code=USAGE)
    return path
