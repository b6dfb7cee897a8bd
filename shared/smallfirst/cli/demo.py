"""`smallfirst demo`: a whole fleet, a real file of mail, and one table of what it came to."""

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Annotated, Any

import typer

from smallfirst.answers import Answer
from smallfirst.catalogue import Catalogue, Task
from smallfirst.catalogue.loading import load_catalogue
from smallfirst.catalogue.row_files import Line, read_lines
from smallfirst.cli.global_options import globals_of, refuse_foreign_redis
from smallfirst.cli.jobs import FINE
from smallfirst.cli.options import SlmProcessesOption
from smallfirst.cli.output import (
    SOME_FAILED,
    USAGE,
    CommandError,
    JsonOption,
    console,
    duration,
    fail,
    note,
    print_json,
    say,
)
from smallfirst.cli.played_reviewer import played, played_answer
from smallfirst.cli.progress import progress_bar
from smallfirst.cli.report import Report
from smallfirst.cli.rows import BadRow, Defaults, Row, read_row
from smallfirst.cli.signals import drained_by_signals
from smallfirst.cli.starting import show_start
from smallfirst.cli.tables import money, report_table
from smallfirst.client import Client
from smallfirst.jobs import Tier
from smallfirst.kinds import Gold
from smallfirst.ledger.keys import Keys
from smallfirst.local import LocalFleet
from smallfirst.local.cores import usable_cores
from smallfirst.process.announcement import Addresses

#: More workers than this load longer than they help with a few hundred mails.
MAX_WORKERS = 4
#: Enough to keep every worker busy; more would only wait longer.
MAX_IN_FLIGHT = 500
#: The first start trains the tasks' heads.
READY_WITHIN = timedelta(minutes=10)
_EXAMPLE = Path("examples/support_mail")


@dataclass(frozen=True)
class DemoOutcome:
    """What the demo came to."""

    report: Report
    seconds: float


def demo(
    context: typer.Context,
    *,
    catalogue: Annotated[
        Path | None,
        typer.Option(
            help="The catalogue that the fleet serves; if not given, that of the support mail"
            " example."
        ),
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            help="Files of texts with their right answers by task; if not given, every .jsonl file"
            " beside the catalogue."
        ),
    ] = None,
    slm_processes: SlmProcessesOption = None,
    as_json: JsonOption = False,
) -> None:
    """Start a whole fleet, send it a file of support mail, show who answered what, stop it."""
    refuse_foreign_redis(globals_of(context))
    catalogue = catalogue or _example() / "catalogue.yaml"
    loaded = load_catalogue(catalogue)
    rows = _rows_of(data or sorted(catalogue.parent.glob("*.jsonl")), loaded)
    note(_introduction(rows, loaded))
    with _fleet_folder() as folder:
        fleet = LocalFleet(
            catalogue,
            folder,
            slm_processes=slm_processes or min(MAX_WORKERS, usable_cores()),
            persistent=False,
        )
        with drained_by_signals(fleet):
            outcome = _run(fleet, rows, _answers(rows, loaded))
    _show(outcome, loaded, catalogue, as_json=as_json)
    if sum(outcome.report.count(status) for status in FINE) < len(rows):
        raise typer.Exit(SOME_FAILED)


def _run(
    fleet: LocalFleet, rows: Sequence[Row], answers: Mapping[str, Mapping[str, Answer]]
) -> DemoOutcome:
    """Start the fleet, send every row, answer for the people that it asks, stop the fleet."""
    report = Report()
    with fleet:
        # A large model takes long to load; the small tools do not wait for it.
        show_start(fleet, READY_WITHIN, with_slow=False)
        assert fleet.addresses is not None
        _tell_addresses(fleet.addresses)
        started = monotonic()
        gold = {row.job.id: row.gold for row in rows}
        with (
            Client(fleet.redis_url) as client,
            played(fleet.redis_url, Keys(fleet.addresses.namespace), answers),
            progress_bar("answering") as advance,
        ):
            jobs = (row.job for row in rows)
            for result in client.map(jobs, max_in_flight=MAX_IN_FLIGHT, ordered=False):
                report.add(result, gold[result.id])
                advance(report.num_jobs, len(rows))
        seconds = monotonic() - started
        note("stopping")
    return DemoOutcome(report, seconds)


def _tell_addresses(addresses: Addresses) -> None:
    if addresses.flower_url:
        note(f"watch it in a browser while it lasts: {addresses.flower_url}")
    if addresses.desk_url:
        note(
            f"people would answer at {addresses.desk_url}; here a played reviewer does, by the"
            " right answers of the rows"
        )


def _answers(rows: Sequence[Row], catalogue: Catalogue) -> dict[str, dict[str, Answer]]:
    """What a played reviewer answers, by task and job."""
    answers: dict[str, dict[str, Answer]] = {}
    for row in rows:
        task = catalogue.tasks[row.job.task]
        answer = played_answer(task.kind, row.gold) if task.person_step else None
        if answer is not None:
            answers.setdefault(row.job.task, {})[row.job.id] = answer
    return answers


def _rows_of(files: Sequence[Path], catalogue: Catalogue) -> list[Row]:
    """Ask of every text the tasks that its gold names, as far as they can be served here.

    What no gold names, such as `similar`, is asked of the texts in the largest file.
    """
    by_file = {path: _lines_of(path) for path in files}
    if not any(by_file.values()):
        fail("there are no texts to send; name a file with --data", exit_code=USAGE)
    golden = {task for lines in by_file.values() for line in lines for task in _gold_tasks(line)}
    served = _served_tasks(catalogue)
    most = max(by_file.values(), key=len)
    return [
        _row(line, task, catalogue)
        for lines in by_file.values()
        for line in lines
        for task in served
        if task in _gold_tasks(line) or (lines is most and task not in golden)
    ]


def _lines_of(path: Path) -> list[Line]:
    if not path.is_file():
        fail(f"{path}: no such file; name one with --data", exit_code=USAGE)
    with path.open("rb") as file:
        return list(read_lines(file))


def _served_tasks(catalogue: Catalogue) -> list[str]:
    """The tasks that something on this machine can answer."""
    return [
        name
        for name, task in catalogue.tasks.items()
        if any(
            not any(engine.is_left_out for engine in catalogue.engines_of(step))
            for step in task.cascade
        )
    ]


def _last_tier(catalogue: Catalogue, task: Task, gold: Gold | None) -> Tier | None:
    """Keep a job from models that nobody serves here, and from people that nobody plays.

    What is not sure before then abstains.
    """
    if any(model.engine_spec.is_left_out for model in catalogue.models.values()):
        return Tier.SLM
    is_played = task.person_step is None or played_answer(task.kind, gold) is not None
    return None if is_played else Tier.LLM


def _gold_tasks(line: Line) -> frozenset[str]:
    """Name the tasks that a line has right answers for; a bad line has none, and fails later."""
    try:
        found: Any = json.loads(line.content or b"")
        return frozenset(found["gold"])
    except (ValueError, KeyError, TypeError):
        return frozenset()


def _row(line: Line, name: str, catalogue: Catalogue) -> Row:
    row = read_row(line, Defaults(task=name))
    if isinstance(row, BadRow):
        fail(f"line {row.number} of the data: {row.reason}")
    last = _last_tier(catalogue, catalogue.tasks[name], row.gold)
    changed = {"id": f"{row.job.id}.{name}", **({"last_tier": last} if last else {})}
    return Row(row.number, row.job.model_copy(update=changed), row.gold)


def _introduction(rows: Sequence[Row], catalogue: Catalogue) -> str:
    texts = len({row.job.text for row in rows})
    tasks = list(dict.fromkeys(row.job.task for row in rows))
    return (
        f"{texts:,} texts, {len(tasks)} tasks ({', '.join(tasks)}): {len(rows):,} jobs for "
        f"{_models(catalogue)} on this machine alone"
    )


def _models(catalogue: Catalogue) -> str:
    names = ", ".join(catalogue.models)
    return f"rules and {names}" if names else "rules"


def _show(outcome: DemoOutcome, catalogue: Catalogue, path: Path, *, as_json: bool) -> None:
    report = outcome.report
    if as_json:
        print_json({**report.as_json(), "seconds": round(outcome.seconds, 3)})
        return
    out = console()
    out.print()
    out.print(report_table(report, width=out.width, currency=catalogue.currency))
    speed = report.num_jobs / outcome.seconds
    per_million = money(report.cost / report.num_jobs * 1e6)
    if num_played := report.answered_by(Tier.HUMAN):
        say(
            f"\n{num_played:,} answers of people are the rows' own: nobody sat at the desk, and so"
            " they are right."
        )
    say(
        f"\n{report.num_jobs:,} jobs in {duration(outcome.seconds)}, {speed:,.0f} a second, at "
        f"{per_million} {catalogue.currency} a million. Everything is stopped again."
    )
    say(f"To keep a fleet running: smallfirst up --catalogue {path}")


def _example() -> Path:
    """Find the example beside the working folder, or in the clone that this code runs from."""
    clone = Path(__file__).resolve().parents[3]
    for base in (Path(), clone):
        if (base / _EXAMPLE / "catalogue.yaml").is_file():
            return base / _EXAMPLE
    problem = f"{_EXAMPLE} is not here: run it in a clone, or name --catalogue and --data"
    raise CommandError(problem, exit_code=USAGE)


@contextmanager
def _fleet_folder() -> Iterator[Path]:
    """A folder for this fleet alone; it stays behind when something went wrong, for its logs."""
    folder = Path(tempfile.mkdtemp(prefix="smallfirst-demo-"))
    yield folder
    shutil.rmtree(folder)
