"""`smallfirst run`: a file of jobs through the fleet, and a file of results back."""

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Annotated, Any, BinaryIO

import typer

from smallfirst.catalogue.loading import read_catalogue
from smallfirst.catalogue.row_files import Line, delimiter_of
from smallfirst.cli.fleet_connection import Link, client_of
from smallfirst.cli.options import (
    DeadlineOption,
    ExplainOption,
    PriorityOption,
    ProducerOption,
    WholeDistributionOption,
)
from smallfirst.cli.output import (
    INTERRUPTED,
    SOME_FAILED,
    USAGE,
    JsonOption,
    console,
    duration,
    fail,
    note,
    print_json,
)
from smallfirst.cli.progress import progress_bar
from smallfirst.cli.results_file import STDIO, ErrorsFile, ResultsFile
from smallfirst.cli.rows import BadRow, Defaults, read_row
from smallfirst.cli.running import Run
from smallfirst.cli.tables import report_table
from smallfirst.client import Client
from smallfirst.jobs import Priority
from smallfirst.ledger.keys import ROUTERS
from smallfirst.ledger.ledger import Ledger
from smallfirst.settings import Settings
from smallfirst.wording import counted, numbered

#: The most reasons for bad lines that are told; the file of errors has all.
MAX_REASONS_TOLD = 5

FileArgument = Annotated[
    Path,
    typer.Argument(help="The file of rows: JSON Lines, .csv or .tsv; `-` is JSON Lines on stdin."),
]
RowsTaskOption = Annotated[
    str | None, typer.Option(help="The task of every row that does not name one.")
]
OutOption = Annotated[
    Path, typer.Option("--out", "-o", help="The file for the results; `-` stands for stdout.")
]
ResumeOption = Annotated[
    bool,
    typer.Option(
        "--resume", help="Go on with OUT: keep its answers, and ask anew what failed or expired."
    ),
]
TextKeyOption = Annotated[str, typer.Option(help="The key of a row's text.")]
IdKeyOption = Annotated[str, typer.Option(help="The key of a row's id.")]
LabelKeyOption = Annotated[str, typer.Option(help="The key of a row's right label.")]
ErrorsOption = Annotated[
    Path | None,
    typer.Option(help="The file for the lines that are no jobs; if not given, OUT.errors.jsonl."),
]
MaxInFlightOption = Annotated[
    int, typer.Option(min=1, max=1_000_000, help="The most jobs under way at once.")
]
IdPrefixOption = Annotated[
    str, typer.Option(help="A prefix of every id, so that one file can be run for several tasks.")
]


def run(  # noqa: PLR0913 - a command's signature is its options
    context: typer.Context,
    file: FileArgument,
    *,
    task: RowsTaskOption = None,
    out: OutOption = STDIO,
    resume: ResumeOption = False,
    errors: ErrorsOption = None,
    max_in_flight: MaxInFlightOption = 2000,
    priority: PriorityOption = Priority.BULK,
    deadline: DeadlineOption = None,
    explain: ExplainOption = False,
    whole_distribution: WholeDistributionOption = False,
    id_prefix: IdPrefixOption = "",
    text_key: TextKeyOption = "text",
    id_key: IdKeyOption = "id",
    label_key: LabelKeyOption = "label",
    producer: ProducerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send a file of rows through the fleet.

    A row is {"text", "id"?, "task"?, any option of a job, and the right answer as "label",
    "labels", "spans", or "gold": {task: answer}}. What else stands in it comes back under "row".
    Exit 0 when every row was answered or abstained from, 1 when some failed or were no jobs.
    """
    options = {
        "priority": priority,
        "deadline": deadline,
        "explain": explain or None,
        "whole_distribution": whole_distribution or None,
    }
    given = {name: value for name, value in options.items() if value is not None}
    named = {"text": text_key, "id": id_key, "label": label_key}
    keys = {ours: own for ours, own in named.items() if own != ours}
    defaults = Defaults(task=task, options=given, id_prefix=id_prefix, keys=keys)
    check_options(defaults)
    out = out if out == STDIO else out.resolve()
    errors = errors or errors_beside(out)
    check_files(file, out, errors, resume=resume)
    with ExitStack() as opening:
        client, link = opening.enter_context(client_of(context, producer))
        source, size = opening.enter_context(open_source(file))
        results = opening.enter_context(ResultsFile(out, resume=resume))
        bad_rows = opening.enter_context(ErrorsFile(errors))
        work = Run(
            source,
            size,
            results,
            bad_rows,
            defaults=defaults,
            started_at=redis_time(link),
            delimiter=delimiter_of(file),
            asks_again=resume,
        )
        opening.callback(work.close)
        warn_if_nobody_works(link)
        is_whole, seconds = send(client, work, max_in_flight)
    if as_json:
        summary: dict[str, Any] = {**work.as_json(), "seconds": round(seconds, 3)}
        print_json(summary, to_stderr=out == STDIO)
    else:
        _sum_up(work, seconds, errors, _currency(link.settings))
    end(work, is_whole=is_whole)


def end(work: Run, *, is_whole: bool) -> None:
    """Exit with what the run came to."""
    if not is_whole:
        note("interrupted; run it again with --resume to go on")
        raise typer.Exit(INTERRUPTED)
    if not work.is_fine:
        raise typer.Exit(SOME_FAILED)


def send(client: Client, work: Run, max_in_flight: int) -> tuple[bool, float]:
    """Send every job and take every result; return whether all came, and the seconds it took."""
    started = monotonic()
    try:
        with progress_bar("answering") as advance:
            jobs = work.jobs()
            while True:
                for result in client.map(jobs, max_in_flight=max_in_flight, ordered=False):
                    work.take(result)
                    advance(work.num_done, work.expected_rows)
                if work.is_over:
                    break
                jobs = work.jobs_again()
    except KeyboardInterrupt:
        return False, monotonic() - started
    return True, monotonic() - started


def errors_beside(out: Path) -> Path:
    """Name the file of bad lines where nobody does: beside OUT; stderr where that is no file."""
    is_plain = out != STDIO and (out.is_file() or not out.exists())
    return out.with_name(f"{out.stem}.errors.jsonl") if is_plain else STDIO


def check_options(defaults: Defaults) -> None:
    """Try the options on a row, so that a wrong one is one error and not one a row."""
    options = replace(defaults, task=defaults.task or "any", keys={})
    row = read_row(Line(1, 0, b'{"id": "x", "text": "x"}'), options)
    if isinstance(row, BadRow):
        fail(row.reason, exit_code=USAGE)


def check_files(file: Path, out: Path, errors: Path, *, resume: bool) -> None:
    """See that the rows can be read, and that what comes of them has a place of its own."""
    if resume and out == STDIO:
        fail("--resume needs a file to go on with: name it with --out", exit_code=USAGE)
    if resume and out.exists() and not out.is_file():
        fail(f"--resume needs a file to go on with; {out} is none", exit_code=USAGE)
    if file != STDIO and not file.exists():
        fail(f"{file}: no such file", exit_code=USAGE)
    if file.is_dir():
        fail(f"{file} is a folder", exit_code=USAGE)
    paths = [path.resolve() for path in (file, out, errors) if path != STDIO]
    if len(set(paths)) < len(paths):
        fail("the rows, the results and the bad lines need a file each", exit_code=USAGE)
    for path in (out, errors):
        if path != STDIO and not path.absolute().parent.is_dir():
            fail(f"{path}: there is no folder {path.parent}", exit_code=USAGE)


@contextmanager
def open_source(file: Path) -> Iterator[tuple[BinaryIO, int | None]]:
    """Open the rows; only a plain file says how many bytes will come."""
    if file == STDIO:
        yield sys.stdin.buffer, None
        return
    with file.open("rb") as source:
        about = os.fstat(source.fileno())
        yield source, about.st_size if stat.S_ISREG(about.st_mode) else None


def redis_time(link: Link) -> datetime:
    """Read Redis's clock."""
    ms = Ledger(link.redis, link.keys, "cli").now_ms()
    return datetime.fromtimestamp(ms / 1000, UTC)


def warn_if_nobody_works(link: Link) -> None:
    """Tell a person who would wait in vain."""
    if not Ledger(link.redis, link.keys, "cli").lives.count(ROUTERS):
        note("no router is alive: jobs wait until one is (smallfirst doctor tells more)")


def _currency(settings: Settings) -> str | None:
    """The currency of the fleet's catalogue; None where nobody has said which that is."""
    if "catalogue" not in settings.model_fields_set:
        return None
    read = read_catalogue(settings.catalogue, needs_promises=False)
    return read.catalogue.currency if read.catalogue else None


def _sum_up(work: Run, seconds: float, errors: Path, currency: str | None) -> None:
    report = work.report
    if report.num_jobs:
        out = console(stderr=True)
        out.print(report_table(report, width=out.width, currency=currency))
    speed = f", {report.num_jobs / seconds:,.0f} a second" if report.num_jobs else ""
    note(f"\n{counted(report.num_jobs, 'job')} in {duration(seconds)}{speed}")
    for line in notices(work, errors):
        note(line)


def notices(work: Run, errors: Path) -> Iterator[str]:
    """Say what a table cannot: what went wrong and why, and what was not asked at all."""
    for (status, code), (count, message) in work.problems.items():
        yield f"{count:,} {status}, {code}: {message}"
    if work.num_bad:
        place = "" if errors == STDIO else f", see {errors}"
        yield f"{numbered(work.num_bad, 'line was no job', 'lines were no jobs')}{place}"
        yield from _reasons(work)
    if work.num_conflicts:
        ids = numbered(work.num_conflicts, "id was", "ids were")
        yield (
            f"{ids} submitted before with another text, task or options, and what was answered then"
            " stands; give such rows other ids, with --id-prefix for instance"
        )
    if work.num_skipped:
        yield f"{numbered(work.num_skipped, 'was', 'were')} answered before and skipped"
    if work.num_asked_again:
        asked = numbered(work.num_asked_again, "row was", "rows were")
        yield f"{asked} asked again, without an answer from an earlier run"
    if work.num_earlier:
        results = numbered(work.num_earlier, "result is", "results are")
        yield f"{results} of an earlier submission of the same id; to ask anew, use --id-prefix"


def _reasons(work: Run) -> Iterator[str]:
    """Name the commonest reasons once each, with the first line that has it."""
    ranked = sorted(work.reasons.items(), key=lambda item: -item[1][0])
    for reason, (count, first) in ranked[:MAX_REASONS_TOLD]:
        yield f"  {count:,} from line {first:,} on: {reason}"
    if len(ranked) > MAX_REASONS_TOLD:
        yield f"  and {counted(len(ranked) - MAX_REASONS_TOLD, 'other reason')}"
