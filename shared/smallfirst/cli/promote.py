"""`smallfirst promote` and `smallfirst rollback`: a candidate past the gate, and back again."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smallfirst.catalogue import Catalogue, step_specs
from smallfirst.catalogue.loading import load_catalogue
from smallfirst.cli.options import (
    CatalogueOption,
    DropSeenOption,
    SlmProcessesOption,
    TaskArgument,
    share_between,
)
from smallfirst.cli.output import (
    SOME_FAILED,
    USAGE,
    JsonOption,
    console,
    fail,
    note,
    print_json,
)
from smallfirst.cli.scored_rows import PROGRESS_OBSERVER, catalogue_with, unseen_rows_of
from smallfirst.settings import Settings, load_settings

if TYPE_CHECKING:
    from smallfirst.evaluation.rows import Row
    from smallfirst.gate.verdict import Margin, Verdict

CandidateOption = Annotated[
    Path,
    typer.Option(
        help="The candidate's catalogue, or its folder: what `smallfirst fit TASK --out` wrote."
    ),
]
HumanRowsOption = Annotated[
    Path,
    typer.Option(
        help="A file of rows that people labelled and neither cascade learned from: what"
        " `smallfirst export TASK --blind` writes, or rows held out."
    ),
]
MarginOption = Annotated[
    float,
    typer.Option(
        parser=share_between(0.0001, 0.2),
        metavar="SHARE",
        help="The share of rows by which the candidate may be right less often, 0.0001 to 0.2.",
    ),
]
GateConfidenceOption = Annotated[
    float,
    typer.Option(
        parser=share_between(0.5, 0.9999),
        metavar="SHARE",
        help="The probability, over all looks together, that one which is worse stays, 0.5 to"
        " 0.9999.",
    ),
]


def promote(  # noqa: PLR0913 - a command's signature is its options
    task: TaskArgument,
    *,
    candidate: CandidateOption,
    data: HumanRowsOption,
    margin: MarginOption = 0.01,
    confidence: GateConfidenceOption = 0.95,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Judge the candidate, and change nothing.")
    ] = False,
    drop_seen: DropSeenOption = False,
    catalogue: CatalogueOption = None,
    slm_processes: SlmProcessesOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a candidate in the place of a task's cascade, where people's labels show it is not worse.

    Both are asked about every row, in a fleet of their own. An exact test compares them, and the
    candidate's promise has to be kept. Each look is written down, and makes the next one stricter.
    Exit 1 where the candidate stays outside, with the number of labels that are missing. A fleet
    that runs takes a promotion up by itself; `smallfirst rollback` goes back.
    """
    _, path = catalogue_with(task, catalogue)
    from smallfirst.gate.learned import check_not_its_own  # noqa: PLC0415 - an extra
    from smallfirst.gate.promoting import check_comparable  # noqa: PLC0415 - the same
    from smallfirst.gate.verdict import Margin, sentences  # noqa: PLC0415 - the same

    other = candidate / "catalogue.yaml" if candidate.is_dir() else candidate
    if not other.is_file():
        fail(f"{other}: no such file; see --candidate", exit_code=USAGE)
    live, rival = _read(path, task), _read(other, task)
    check_comparable(task, live, rival)
    check_not_its_own(task, other, rival)
    judges = _judges(task, (live, rival), other, data, drop_seen=drop_seen)
    verdict = _judge(task, (path, other), judges, Margin(margin, confidence), slm_processes)
    if as_json:
        print_json(verdict.as_json())
    else:
        for sentence in sentences(verdict):
            console().print(sentence, markup=False, soft_wrap=True)
    if not verdict.is_passed:
        raise typer.Exit(SOME_FAILED)
    if not dry_run:
        _promote(task, path, other, rival)


def rollback(
    task: TaskArgument, *, catalogue: CatalogueOption = None, as_json: JsonOption = False
) -> None:
    """Bring a task back as it was before its last promotion.

    Its entry, examples and promise; a fleet that runs takes them up by itself. Exit 1 where no
    version is kept.
    """
    from smallfirst.gate.versions import Versions  # noqa: PLC0415 - an extra

    path = load_settings(Settings, catalogue=catalogue).catalogue
    number = Versions(path.absolute(), task).bring_back()
    if as_json:
        print_json({"task": task, "version": number})
    else:
        note(f"{task} is again as version {number} has it")


def promise(
    task: TaskArgument,
    *,
    data: HumanRowsOption,
    drop_seen: DropSeenOption = False,
    catalogue: CatalogueOption = None,
    slm_processes: SlmProcessesOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say whether a task's promise is kept on newer labels; exit 1 where they refute it.

    For CI, each time that labels have come: give it all that came since the promise was made.
    However often it is asked while the file grows, it refutes a promise that is kept in one of
    twenty files at most.
    """
    _, path = catalogue_with(task, catalogue)
    from smallfirst.evaluation import scoring_run  # noqa: PLC0415 - an extra
    from smallfirst.gate.promoting import promise_of  # noqa: PLC0415 - the same
    from smallfirst.gate.verdict import kept_by  # noqa: PLC0415 - the same

    live = _read(path, task)
    promised = promise_of(path, task)
    if promised is None:
        fail(f"tasks.{task}: nothing is promised; `smallfirst calibrate` does", exit_code=USAGE)
    rows, _ = unseen_rows_of(live, task, data, drop_seen=drop_seen)
    scores = scoring_run.ask_every_step(
        path, task, rows, onlooker=PROGRESS_OBSERVER, slm_processes=slm_processes
    )
    steps = [step.acceptance for step in live.tasks[task].cascade]
    kept = kept_by(scores, steps, promised.target)
    told = {**asdict(kept), "task": task, "is_refuted": kept.is_refuted}
    word = "refute it" if kept.is_refuted else "do not speak against it"
    if as_json:
        print_json(told)
    else:
        console().print(
            f"{task}: at most {kept.target:.2%} of its answers are wrong, it is promised; of"
            f" {kept.accepted:,} here {kept.wrong:,} are, which {word}.",
            soft_wrap=True,
        )
    if kept.is_refuted:
        raise typer.Exit(SOME_FAILED)


def _read(path: Path, task: str) -> Catalogue:
    """Read a catalogue with its promises, but for steps that ask a person."""
    found = load_catalogue(path).without_people()
    if task not in found.tasks:
        fail(f"{path} has no task {task!r}", exit_code=USAGE)
    return found


def _judges(
    task: str, read: tuple[Catalogue, Catalogue], candidate: Path, data: Path, *, drop_seen: bool
) -> "tuple[Row, ...]":
    """The rows that neither cascade has learned from, and that chose nothing of the candidate."""
    from smallfirst.evaluation.rows import unseen_rows  # noqa: PLC0415 - an extra
    from smallfirst.gate.learned import chosen_by  # noqa: PLC0415 - the same

    rows, _ = unseen_rows_of(read[0], task, data, drop_seen=drop_seen)
    kept, _ = unseen_rows_of(read[1], task, data, drop_seen=drop_seen, says_doubts=False)
    kept = unseen_rows(kept, chosen_by(task, candidate), drop_seen=drop_seen)
    lines = {row.line for row in kept}
    judges = tuple(row for row in rows if row.line in lines)
    if not judges:
        fail(f"{data}: no row is left that no model was trained on", exit_code=USAGE)
    return judges


def _judge(
    task: str,
    paths: tuple[Path, Path],
    rows: "tuple[Row, ...]",
    margin: "Margin",
    slm_processes: int | None,
) -> "Verdict":
    """Ask both about the rows, compare, and write the look down."""
    from smallfirst.evaluation import scoring_run  # noqa: PLC0415 - an extra
    from smallfirst.gate.learned import is_promised_by_machines  # noqa: PLC0415 - the same
    from smallfirst.gate.promoting import promise_of  # noqa: PLC0415 - the same
    from smallfirst.gate.verdict import Look, Verdict, kept_by, pairs_of  # noqa: PLC0415 - the same
    from smallfirst.gate.versions import Versions  # noqa: PLC0415 - the same

    read = [_read(path, task) for path in paths]
    steps = [[step.acceptance for step in each.tasks[task].cascade] for each in read]
    scores = [
        scoring_run.ask_every_step(
            path, task, rows, onlooker=PROGRESS_OBSERVER, slm_processes=slm_processes
        )
        for path in paths
    ]
    versions = Versions(paths[0].absolute(), task)
    name = "/".join(step_specs(read[1].tasks[task], read[1].models))
    pairs = pairs_of((scores[0], steps[0]), (scores[1], steps[1]))
    look = Look.at(pairs, margin, versions.num_looks(name) + 1)
    promise = promise_of(paths[1], task)
    kept = kept_by(scores[1], steps[1], promise.target) if promise else None
    must_show = is_promised_by_machines(task, paths[1])
    verdict = Verdict.of(task, margin, look, kept, must_show=must_show)
    versions.note_look(name, verdict)
    return verdict


def _promote(task: str, live: Path, candidate: Path, loaded: Catalogue) -> None:
    from smallfirst.gate.promoting import promote as put  # noqa: PLC0415 - an extra

    number = put(task, live.absolute(), candidate.absolute(), loaded)
    note(f"{live}: the candidate is live; what was there is version {number} (smallfirst rollback)")
