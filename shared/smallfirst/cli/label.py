"""`smallfirst label`: rows without labels in, rows with the fleet's answers out, who said which."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from smallfirst.catalogue import Task
from smallfirst.catalogue.loading import load_catalogue
from smallfirst.catalogue.row_files import delimiter_of
from smallfirst.cli.fleet_connection import client_of, settings_of
from smallfirst.cli.global_options import globals_of
from smallfirst.cli.labelled_file import LabelledFile, labelled_in
from smallfirst.cli.options import CatalogueOption, DeadlineOption, PriorityOption, ProducerOption
from smallfirst.cli.output import SOME_FAILED, USAGE, JsonOption, duration, fail, note, print_json
from smallfirst.cli.results_file import STDIO, ErrorsFile, ResultsFile
from smallfirst.cli.rows import Defaults
from smallfirst.cli.run import (
    ErrorsOption,
    FileArgument,
    IdKeyOption,
    MaxInFlightOption,
    TextKeyOption,
    check_files,
    check_options,
    end,
    errors_beside,
    notices,
    open_source,
    redis_time,
    send,
    warn_if_nobody_works,
)
from smallfirst.cli.running import Run
from smallfirst.jobs import Priority, Tier
from smallfirst.kinds import KINDS
from smallfirst.wording import counted, did_you_mean, numbered


class By(StrEnum):
    """Who is asked for labels."""

    LLM = "llm"
    CASCADE = "cascade"


#: What tells a job for a label of the large model from any other job of the same row.
_PREFIXES = {By.LLM: "label-", By.CASCADE: ""}

LabelTaskOption = Annotated[str, typer.Option("--task", help="The task that the labels are for.")]
LabelledOutOption = Annotated[
    Path, typer.Option("--out", "-o", help="The file for the labelled rows; `-` stands for stdout.")
]
ByOption = Annotated[
    By, typer.Option(help="Who is asked: the task's large models alone, or its whole cascade.")
]
LabelResumeOption = Annotated[
    bool,
    typer.Option(
        "--resume", help="Go on with OUT: keep its labels, and ask only about what has none."
    ),
]
LabelPrefixOption = Annotated[
    str | None,
    typer.Option(help="A prefix of every job's id, by which the same rows can be asked anew."),
]


@dataclass(frozen=True)
class _Labelled:
    """What a labelling came to."""

    work: Run
    file: LabelledFile
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """Lay it out for programs."""
        return {
            **self.work.as_json(),
            "labelled": self.file.num_written,
            "without_answer": self.file.num_without,
            "labelled_before": self.file.num_labelled_before,
            "seconds": round(self.seconds, 3),
        }


def label(  # noqa: PLR0913 - a command's signature is its options
    context: typer.Context,
    file: FileArgument,
    *,
    task: LabelTaskOption,
    out: LabelledOutOption = STDIO,
    by: ByOption = By.LLM,
    resume: LabelResumeOption = False,
    errors: ErrorsOption = None,
    max_in_flight: MaxInFlightOption = 2000,
    priority: PriorityOption = Priority.BULK,
    deadline: DeadlineOption = None,
    id_prefix: LabelPrefixOption = None,
    text_key: TextKeyOption = "text",
    id_key: IdKeyOption = "id",
    producer: ProducerOption = None,
    catalogue: CatalogueOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask the fleet to label a file of rows, and write each with who answered, and how surely.

    A row is {"text", "id"?, any option of a job}; one that has a label keeps it, and is left out.
    Under `provenance` stand the model that answered, its revision and its confidence. Answers that
    were not sure enough to stand are written, too: `smallfirst distil` chooses among them.
    Exit 1 where some rows have no answer, or are no jobs.
    """
    path = catalogue or settings_of(globals_of(context)).catalogue
    asked = _task(path, task, by)
    prefix = _PREFIXES[by] if id_prefix is None else id_prefix
    keys, options = {"text": text_key, "id": id_key}, {"priority": priority, "deadline": deadline}
    defaults = _defaults(task, by, prefix, keys, options)
    check_options(defaults)
    out = out if out == STDIO else out.resolve()
    errors = errors or errors_beside(out)
    check_files(file, out, errors, resume=resume)
    with ExitStack() as opening:
        client, link = opening.enter_context(client_of(context, producer))
        source, size = opening.enter_context(open_source(file))
        lines = ResultsFile(out, resume=resume, lasting=labelled_in)
        bad_rows = opening.enter_context(ErrorsFile(errors))
        labels = LabelledFile(opening.enter_context(lines), bad_rows, asked.kind, id_prefix=prefix)
        work = Run(
            source, size, labels, bad_rows,
            defaults=defaults, started_at=redis_time(link),
            delimiter=delimiter_of(file), asks_again=resume,
        )  # fmt: skip
        opening.callback(work.close)
        warn_if_nobody_works(link)
        is_whole, seconds = send(client, work, max_in_flight)
    found = _Labelled(work, labels, seconds)
    _finish(found, errors, is_whole=is_whole, as_json=as_json, to_stdout=out == STDIO)


def _defaults(
    task: str, by: By, prefix: str, keys: Mapping[str, str], options: Mapping[str, Any]
) -> Defaults:
    """What every job gets; one for a label of the large model skips all other tiers."""
    tiers = {"first_tier": Tier.LLM, "last_tier": Tier.LLM} if by is By.LLM else {}
    given = {name: value for name, value in options.items() if value is not None}
    named = {ours: own for ours, own in keys.items() if own != ours}
    return Defaults(task=task, options={**given, **tiers}, id_prefix=prefix, keys=named)


def _task(path: Path, name: str, by: By) -> Task:
    """The task, where somebody can label rows for it."""
    if not path.is_file():
        fail(f"{path}: no such file; name one with --catalogue", exit_code=USAGE)
    loaded = load_catalogue(path, needs_promises=False)
    if name not in loaded.tasks:
        near = did_you_mean(name, loaded.tasks)
        fail(f"{path} has no task {name!r}{near}", exit_code=USAGE)
    task = loaded.tasks[name]
    spec = KINDS[task.kind]
    if spec.scoring is None:
        fail(
            f"tasks.{name}.kind: {task.kind} has no labels: {spec.unscored}; name a task whose"
            " answers are right or wrong",
            exit_code=USAGE,
        )
    if by is By.LLM and all(loaded.tier_of(step) is not Tier.LLM for step in task.cascade):
        fail(
            f"tasks.{name}.cascade: no step asks a large model; add one, or ask all steps with"
            " --by cascade",
            exit_code=USAGE,
        )
    return task


def _finish(
    found: _Labelled, errors: Path, *, is_whole: bool, as_json: bool, to_stdout: bool
) -> None:
    """Tell what came of it, and exit by that."""
    # Rows that brought a label are told apart from those that were labelled before.
    found.work.num_skipped -= found.file.num_labelled_before
    _tell(found, errors, as_json=as_json, to_stdout=to_stdout)
    end(found.work, is_whole=is_whole)
    if found.file.num_without:
        raise typer.Exit(SOME_FAILED)


def _tell(found: _Labelled, errors: Path, *, as_json: bool, to_stdout: bool) -> None:
    if as_json:
        print_json(found.as_json(), to_stderr=to_stdout)
        return
    labels = found.file
    cost = found.work.report.cost
    note(
        f"{counted(labels.num_written, 'row')} labelled in {duration(found.seconds)}"
        f"{f', at a cost of {cost:.4g}' if cost else ''}"
    )
    if labels.num_labelled_before:
        brought = numbered(labels.num_labelled_before, "row brings a label", "rows bring labels")
        note(f"{brought}, and were left out")
    if labels.num_without:
        place = "" if errors == STDIO else f", see {errors}; --resume asks about them again"
        note(f"{numbered(labels.num_without, 'row has', 'rows have')} no answer{place}")
    for line in notices(found.work, errors):
        note(line)
