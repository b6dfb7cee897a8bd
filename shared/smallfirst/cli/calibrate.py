"""`smallfirst calibrate`: from labelled rows to thresholds that keep a promise."""

from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from smallfirst.acceptance import NEVER
from smallfirst.catalogue import (
    CALIBRATED,
    Catalogue,
    Cautious,
    Promise,
    StepPromise,
    WordsOutside,
)
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
    share,
    table,
)
from smallfirst.cli.scored_rows import PROGRESS_OBSERVER, DataOption, catalogue_with, unseen_rows_of
from smallfirst.cli.tables import money
from smallfirst.evaluation.rows import Row, is_foreign

if TYPE_CHECKING:
    from smallfirst.evaluation.calibrating import Origin
    from smallfirst.evaluation.foreign import ForeignAccepted
    from smallfirst.evaluation.scores import Scores
    from smallfirst.evaluation.thresholds import Aim, Unsupported

_COLUMNS = ("step", "answered by", "threshold", "temperature", "answers", "wrong", "error at most")


TargetOption = Annotated[
    float,
    typer.Option(
        "--target-error",
        parser=share_between(0.0001, 0.5),
        metavar="SHARE",
        help="The largest share of accepted answers that may be wrong, 0.0001 to 0.5.",
    ),
]
ConfidenceOption = Annotated[
    float,
    typer.Option(
        parser=share_between(0.5, 0.9999),
        metavar="SHARE",
        help="The probability with which the promise must hold, 0.5 to 0.9999.",
    ),
]
PerLabelOption = Annotated[
    bool, typer.Option("--per-label", help="Hold the target for each label's answers.")
]
ForeignOption = Annotated[
    Path | None,
    typer.Option(help="A file of rows that no label fits, collected for the promise about these."),
]
ForeignTargetOption = Annotated[
    float,
    typer.Option(
        parser=share_between(0.0001, 0.9),
        metavar="SHARE",
        help="The largest share of foreign texts that may be answered, 0.0001 to 0.9.",
    ),
]
AbstentionCostOption = Annotated[
    float | None,
    typer.Option(
        min=0,
        help="The cost of a job that nobody answers; if not given, 100 times the dearest step's.",
    ),
]


def calibrate(  # noqa: PLR0913 - a command's signature is its options
    task: TaskArgument,
    *,
    data: DataOption,
    target: TargetOption = 0.02,
    confidence: ConfidenceOption = 0.95,
    per_label: PerLabelOption = False,
    abstention_cost: AbstentionCostOption = None,
    foreign: ForeignOption = None,
    foreign_target: ForeignTargetOption = 0.05,
    drop_seen: DropSeenOption = False,
    catalogue: CatalogueOption = None,
    slm_processes: SlmProcessesOption = None,
    as_json: JsonOption = False,
) -> None:
    """Choose the thresholds of a task's whole cascade, so that a promise about its errors holds.

    Every step is asked about every row. The result stands in calibration/TASK.json beside the
    catalogue, where `accept: calibrated` finds it. Exit 1, and nothing written, where the rows do
    not bear the promise.
    """
    loaded, path = catalogue_with(task, catalogue)
    from smallfirst.evaluation import (  # noqa: PLC0415 - takes a second, and not for --help
        calibrating,
        promises,
        scoring_run,
        thresholds,
    )

    rows = _rows(loaded, task, data, drop_seen=drop_seen)
    others = _foreign_rows(loaded, task, foreign, drop_seen=drop_seen)
    aim = thresholds.Aim(target, confidence, abstention_cost, per_label)
    calibrating.check_calibratable(task, loaded.tasks[task], len(rows), aim)
    asked = scoring_run.ask_every_step(
        path, task, (*rows, *others), onlooker=PROGRESS_OBSERVER, slm_processes=slm_processes
    )
    origin = _origin(loaded, path, task, rows)
    scores, outside = _parted(asked, len(rows))
    found = _found(scores, outside, (aim, foreign_target), origin)
    if not isinstance(found, Promise):
        promises.write_refusal(found, aim, task, loaded, path, at=origin.made_at)
        _refuse(found, aim, foreign_target, as_json=as_json)
        raise typer.Exit(SOME_FAILED)
    _keep(found, loaded, path, as_json=as_json)
    if found.foreign is not None:
        origin = replace(origin, foreign_limit=found.foreign.limit)
    tighter = calibrating.tighter_promise(found, scores, aim, origin)
    if tighter is not None:
        note(
            f"these rows would bear a smaller target as well: --target-error {tighter.target:g}"
            f" answers {share(tighter.share_answered)} of jobs. These very rows chose it, so bear"
            " it out with others"
        )


def _origin(catalogue: Catalogue, path: Path, task: str, rows: tuple[Row, ...]) -> "Origin":
    """What the promise is made from besides: what was tried before, and what a rival says."""
    from smallfirst.evaluation.calibrating import Origin  # noqa: PLC0415 - see `calibrate`
    from smallfirst.evaluation.promises import num_refused  # noqa: PLC0415 - see `calibrate`
    from smallfirst.evaluation.words_outside import said_by_words  # noqa: PLC0415 - the same

    return Origin(
        catalogue,
        datetime.now(UTC).replace(microsecond=0),
        num_refused(task, catalogue, path),
        words=said_by_words(catalogue, catalogue.tasks[task], rows),
    )


def _rows(catalogue: Catalogue, task: str, data: Path, *, drop_seen: bool) -> tuple[Row, ...]:
    """Read the rows that no model has learned from, and tell of those that one has."""
    rows, num_left_out = unseen_rows_of(catalogue, task, data, drop_seen=drop_seen)
    if num_left_out:
        num_rows = num_left_out + len(rows)
        note(f"{num_left_out:,} of {num_rows:,} rows were seen in training: left out")
    return rows


def _parted(asked: "Scores", num_rows: int) -> "tuple[Scores, Scores]":
    """Part what was asked at once: the rows of the stream, and those that no label fits."""
    return replace(asked, rows=asked.rows[:num_rows]), replace(asked, rows=asked.rows[num_rows:])


def _found(
    scores: "Scores", outside: "Scores", aims: "tuple[Aim, float]", origin: "Origin"
) -> "Promise | Unsupported | ForeignAccepted":
    from smallfirst.evaluation import calibrating, foreign  # noqa: PLC0415 - see `calibrate`

    if outside.rows:
        return foreign.calibrate_with_foreign(scores, outside, aims, origin)
    return calibrating.calibrate(scores, aims[0], origin)


def _foreign_rows(
    catalogue: Catalogue, task: str, data: Path | None, *, drop_seen: bool
) -> tuple[Row, ...]:
    """Read the rows that no label fits, where a promise about these is asked for."""
    steps = catalogue.tasks[task].cascade
    if data is None:
        waits = [n for n, step in enumerate(steps) if getattr(step, "foreign", None) == CALIBRATED]
        if waits:
            at = f"tasks.{task}.cascade[{waits[0]}].foreign"
            fail(f"{at} is calibrated: give --foreign a file of such rows", exit_code=USAGE)
        return ()
    rows, _ = unseen_rows_of(catalogue, task, data, drop_seen=drop_seen, says_doubts=False)
    own = [row.line for row in rows if not is_foreign(row, catalogue.tasks[task])]
    if own:
        rule = "a row of --foreign belongs to none of the labels: it must say `null` for its label"
        fail(f"{data}, line {own[0]}: {rule}", exit_code=USAGE)
    if not rows:
        fail(f"{data}: has no row that no model was trained on", exit_code=USAGE)
    return rows


def _keep(promise: Promise, catalogue: Catalogue, path: Path, *, as_json: bool) -> None:
    """Write the promise beside the catalogue, and show what it says."""
    from smallfirst.evaluation.promises import write_promise  # noqa: PLC0415 - see `calibrate`

    written = write_promise(promise, path)
    if as_json:
        print_json(promise.model_dump(mode="json", exclude_none=True))
    else:
        _show(promise)
    note(f"\nwritten to {written}")
    note("".join(_advice(catalogue, promise.task)))


def _refuse(
    found: "Unsupported | ForeignAccepted", aim: "Aim", foreign_target: float, *, as_json: bool
) -> None:
    from smallfirst.evaluation.foreign import ForeignAccepted  # noqa: PLC0415 - see `calibrate`
    from smallfirst.evaluation.promises import (  # noqa: PLC0415 - see `calibrate`
        why_foreign_accepted,
        why_unsupported,
    )

    if as_json:
        print_json({"is_supported": False, **asdict(found)})
    if isinstance(found, ForeignAccepted):
        note(why_foreign_accepted(found, foreign_target, aim.confidence))
    else:
        note(why_unsupported(found, aim))


def _show(promise: Promise) -> None:
    from smallfirst.evaluation.promises import (  # noqa: PLC0415 - see `calibrate`
        foreign_in_words,
        in_words,
    )

    out = console()
    rows = [list(_cells(index, step)) for index, step in enumerate(promise.steps)]
    out.print(table(_COLUMNS, rows, left=2, title=f"{promise.task}, {promise.num_rows:,} rows"))
    out.print()
    for line in filter(None, (in_words(promise), foreign_in_words(promise))):
        out.print(line, markup=False)
    for line in _more(promise):
        out.print(line, markup=False)


def _cells(index: int, step: StepPromise) -> Iterator[str]:
    yield str(index)
    yield f"{step.tier} {'' if step.model == 'rules' else step.model}".strip()
    yield _threshold(step)
    temperature = step.acceptance.temperature
    yield "" if temperature == 1.0 else f"{temperature:.2f}"
    yield share(step.share_answered)
    yield f"{step.num_wrong} of {step.num_tested:,}"
    yield share(step.error_bound) if step.num_tested else "-"


def _threshold(step: StepPromise) -> str:
    if step.model == "rules":
        return "as it says"
    if step.acceptance.threshold == NEVER:
        return "never"
    by_label = step.acceptance.by_label
    return f"{step.acceptance.threshold:.4f}{'' if by_label is None else ' and up'}"


def _more(promise: Promise) -> Iterator[str]:
    currency = promise.currency
    yield (
        f"It answers {share(promise.share_answered)} of jobs at {money(promise.cost_per_job * 1e6)}"
        f" {currency} a million and abstains from the rest, each counted as"
        f" {money(promise.abstention_cost)} {currency}."
    )
    for index, step in enumerate(promise.steps):
        if step.acceptance.is_never:
            yield f"Step {index} ({step.model}) is never asked: it would not pay, or not be safe."
    if promise.equal_single is not None and promise.equal_single.words is not None:
        yield _words_in_words(promise.equal_single.words)
    if promise.cautious is not None:
        yield _cautious_in_words(promise.cautious)
    if promise.num_refused:
        yield (
            f"Before it {promise.num_refused:,} calibrations of this cascade were refused; a"
            " promise that is tried for until it passes is weaker than it says."
        )
    if promise.labels_never_accepted:
        named = ", ".join(promise.labels_never_accepted)
        yield f"Nothing could be promised of these labels, so they are never accepted: {named}."


def _words_in_words(words: WordsOutside) -> str:
    """Say what a linear model came to that no step asks, since it may be all that it takes."""
    right = f"{share(words.share_right)} right, the cascade {share(words.share_right_of_cascade)}"
    told = f"A linear model over words, which no step asks, was {right} on {words.num_rows:,} rows"
    if not words.is_cheapest:
        return f"{told}."
    return f"{told}, and is the cheaper one: smallfirst report tells the saving against it."


def _cautious_in_words(cautious: Cautious) -> str:
    told = "Where `drift: {alarm: raise_threshold}` has them raised,"
    if cautious.share_answered:
        return f"{told} the thresholds answer {share(cautious.share_answered)} of such jobs."
    return f"{told} no job is answered: these rows bear no {share(cautious.target)}."


def _advice(catalogue: Catalogue, task: str) -> Iterator[str]:
    """Say what makes the fleet go by the promise, where it does not yet."""
    steps: list[Any] = list(catalogue.tasks[task].cascade)
    if any(step.is_calibrated for step in steps):
        yield "a fleet that runs takes it up by itself"
    else:
        places = [index for index, step in enumerate(steps) if step.has_threshold]
        named = ", ".join(f"tasks.{task}.cascade[{index}]" for index in places)
        yield f"to go by it, write `accept: calibrated` in {named}"
