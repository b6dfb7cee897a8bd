"""`smallfirst promote` and `smallfirst rollback`: a candidate past the gate, and back again."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smallfirst.catalogue import Catalogue
from smallfirst.catalogue.loading import load_catalogue
from smallfirst.cli.fleet_connection import link_of
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
from smallfirst.cli.shadow import candidate_file, read_machines, read_report
from smallfirst.settings import Settings, load_settings
from smallfirst.wording import counted

if TYPE_CHECKING:
    from smallfirst.evaluation.rows import Row
    from smallfirst.gate.verdict import Margin, Verdict

CandidateOption = Annotated[
    Path | None,
    typer.Option(
        help="The candidate's catalogue, or its folder: what `smallfirst fit TASK --out` wrote."
    ),
]
_ROWS_HELP = (
    "A file of rows that people labelled and neither cascade learned from: what"
    " `smallfirst export TASK --blind` writes, or rows held out."
)
HumanRowsOption = Annotated[Path, typer.Option(help=_ROWS_HELP)]
JudgingRowsOption = Annotated[
    Path | None, typer.Option(help=f"{_ROWS_HELP[:-1]}; it goes with --candidate.")
]
FromShadowOption = Annotated[
    bool,
    typer.Option(
        "--from-shadow",
        help="The candidate that runs in shadow of the task, judged by what people said of the same"
        " jobs: blind checks, and what they answered at the desk.",
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
    context: typer.Context,
    task: TaskArgument,
    *,
    candidate: CandidateOption = None,
    data: JudgingRowsOption = None,
    from_shadow: FromShadowOption = False,
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

    With --candidate and --data both are asked about every row, in a fleet of their own; with
    --from-shadow both have answered live jobs already. An exact test compares them, and the
    candidate's promise has to be kept. Each look is written down, and makes the next one stricter.
    Exit 1 where the candidate stays outside, with the number of labels that are missing. A fleet
    that runs takes a promotion up by itself; `smallfirst rollback` goes back.
    """
    _, path = catalogue_with(task, catalogue)
    from smallfirst.gate.verdict import Margin  # noqa: PLC0415 - an extra

    asked = Margin(margin, confidence)
    if from_shadow:
        if candidate is not None or data is not None:
            fail("--from-shadow takes neither --candidate nor --data", exit_code=USAGE)
        _judge_shadow(context, task, path, asked, as_json=as_json)
        if not dry_run:
            _promote_shadow(task, path)
        return
    if candidate is None or data is None:
        fail("name --candidate and --data, or say --from-shadow", exit_code=USAGE)
    other = candidate_file(candidate)
    rival = _comparable(task, path, other)
    judges = _judges(task, (read_machines(path, task), rival), other, data, drop_seen=drop_seen)
    _end_unless_passed(_judge(task, (path, other), judges, asked, slm_processes), as_json=as_json)
    if not dry_run:
        _promote(task, path, other, rival)


def _comparable(task: str, path: Path, other: Path) -> Catalogue:
    """Read a candidate that may be compared with the live cascade."""
    from smallfirst.gate.learned import check_not_its_own  # noqa: PLC0415 - an extra
    from smallfirst.gate.promoting import check_comparable  # noqa: PLC0415 - the same
    from smallfirst.gate.versions import Versions, name_of_cascade  # noqa: PLC0415 - the same

    rival = read_machines(other, task)
    check_comparable(task, read_machines(path, task), rival)
    check_not_its_own(task, other, rival)
    if not Versions(path.absolute(), task).was_in_shadow(name_of_cascade(task, rival)):
        note(
            f"{other}: has not run in shadow of {task}: how it does on live jobs is not known;"
            f" smallfirst shadow start {task} --candidate {other.parent}"
        )
    return rival


def _end_unless_passed(verdict: "Verdict", *, as_json: bool) -> None:
    """Tell a verdict; exit 1 where the candidate stays outside."""
    from smallfirst.gate.verdict import sentences  # noqa: PLC0415 - an extra

    if as_json:
        print_json(verdict.as_json())
    else:
        for sentence in sentences(verdict):
            console().print(sentence, markup=False, soft_wrap=True)
    if not verdict.is_passed:
        raise typer.Exit(SOME_FAILED)


def _judge_shadow(
    context: typer.Context, task: str, path: Path, margin: "Margin", *, as_json: bool
) -> None:
    """Judge the candidate in shadow by what people said of live jobs, and write the look down."""
    from smallfirst.gate.shadows import judge_shadow  # noqa: PLC0415 - an extra

    loaded = load_catalogue(path)
    with link_of(context) as link:
        report = read_report(link, loaded, task)
    verdict = judge_shadow(report, path.absolute(), loaded, margin)
    if report.num_unjudged:
        note(
            f"{report.candidate} answers {counted(report.num_unjudged, 'job')} that the live"
            " cascade leaves without an answer; of these nobody says what is right"
        )
    _end_unless_passed(verdict, as_json=as_json)


def _promote_shadow(task: str, path: Path) -> None:
    from smallfirst.gate.shadows import promote_shadow  # noqa: PLC0415 - an extra

    _tell_promoted(path, promote_shadow(task, path.absolute()))


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

    live = read_machines(path, task)
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
    from smallfirst.gate.verdict import (  # noqa: PLC0415 - the same
        Look,
        Verdict,
        kept_by,
        pairs_of,
        seen,
    )
    from smallfirst.gate.versions import Versions, name_of_cascade  # noqa: PLC0415 - the same

    read = [read_machines(path, task) for path in paths]
    steps = [[step.acceptance for step in each.tasks[task].cascade] for each in read]
    scores = [
        scoring_run.ask_every_step(
            path, task, rows, onlooker=PROGRESS_OBSERVER, slm_processes=slm_processes
        )
        for path in paths
    ]
    versions = Versions(paths[0].absolute(), task)
    name = name_of_cascade(task, read[1])
    pairs = pairs_of((scores[0], steps[0]), (scores[1], steps[1]))
    promise = promise_of(paths[1], task)
    kept = kept_by(scores[1], steps[1], promise.target) if promise else None
    look = Look.at(pairs, margin, versions.look_number(name, seen(pairs, margin, kept)))
    must_show = is_promised_by_machines(task, paths[1])
    verdict = Verdict.of(task, margin, look, kept, must_show=must_show)
    versions.note_look(name, verdict)
    return verdict


def _promote(task: str, live: Path, candidate: Path, loaded: Catalogue) -> None:
    from smallfirst.gate.promoting import promote as put  # noqa: PLC0415 - an extra

    _tell_promoted(live, put(task, live.absolute(), candidate.absolute(), loaded))


def _tell_promoted(live: Path, number: int) -> None:
    note(f"{live}: the candidate is live; what was there is version {number} (smallfirst rollback)")
