"""`smallfirst audit-log replay`: jobs asked again, and compared with what the log says of them."""

import random
import shutil
import tempfile
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from heapq import heappush, heapreplace
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, Any

import typer

from smallfirst.audit_log.folder import read_checkpoint
from smallfirst.audit_log.index import Index
from smallfirst.audit_log.notes import VerifierKey
from smallfirst.audit_log.replaying import Recorded, Records, Verdict, compare, why_not_asked
from smallfirst.audit_log.tiles import Tiles
from smallfirst.catalogue import Task
from smallfirst.catalogue.loading import load_catalogue
from smallfirst.catalogue.row_files import ForeignFile, delimiter_of, read_lines
from smallfirst.cli.audit_keys import FolderOption, KeyOption, folder_of, verifier_of
from smallfirst.cli.options import CatalogueOption, ProducerOption
from smallfirst.cli.output import SOME_FAILED, USAGE, JsonOption, fail, note, print_json, say
from smallfirst.cli.progress import progress_bar
from smallfirst.cli.rows import Defaults, Row, read_row
from smallfirst.cli.run import IdKeyOption, IdPrefixOption, RowsTaskOption, TextKeyOption
from smallfirst.cli.signals import drained_by_signals
from smallfirst.cli.starting import show_start
from smallfirst.client import Client
from smallfirst.jobs import Job, Result
from smallfirst.local import LocalFleet
from smallfirst.settings import ProducerSettings, Settings, load_settings

#: Enough to keep every worker busy; more would only wait longer.
MAX_IN_FLIGHT = 500
#: The first start trains heads, and a large model takes minutes to load.
READY_WITHIN = timedelta(minutes=30)
#: By when a job must have ended that now waits for a person, whom nobody asks here.
DEADLINE = timedelta(minutes=30)
#: The most differences that are told in lines; --json has all.
MAX_TOLD = 20


@dataclass(frozen=True)
class _Difference:
    """A job that did not end as its record says."""

    id: str
    record: int
    verdict: Verdict
    what: str


@dataclass
class _Found:
    """What came of a file of jobs."""

    counts: Counter[Verdict] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    differences: list[_Difference] = field(default_factory=list)

    def pass_over(self, reason: str) -> None:
        """Count a row that is not asked."""
        self.counts[Verdict.NOT_ASKED] += 1
        self.reasons[reason] += 1

    def take(self, job_id: str, found: Recorded, result: Result) -> None:
        """Compare a job's new result with its record."""
        verdict, what = compare(found, result)
        self.counts[verdict] += 1
        if verdict is not Verdict.EQUAL:
            self.differences.append(_Difference(job_id, found.number, verdict, what))


def replay(  # noqa: PLR0913 - a command's signature is its options
    file: Annotated[
        Path, typer.Argument(help="The file of the jobs' rows, with the ids and texts of then.")
    ],
    *,
    log: FolderOption = None,
    key: KeyOption = None,
    producer: ProducerOption = None,
    catalogue: CatalogueOption = None,
    task: RowsTaskOption = None,
    id_prefix: IdPrefixOption = "",
    text_key: TextKeyOption = "text",
    id_key: IdKeyOption = "id",
    sample: Annotated[
        int | None, typer.Option(min=1, help="The number of rows to draw; if not given, all.")
    ] = None,
    slm_processes: Annotated[
        int | None, typer.Option(min=1, help="The number of SLM workers; if not given, one a core.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Ask jobs again in a fleet of their own, and compare with what the log says of them.

    The log has no texts, so the rows are yours: those that `smallfirst run` was given. A catalogue
    of then, with its models and promises, is needed as well; what has other models or thresholds
    now is named and not compared. Exit 1 where a job ends differently, or none could be compared.
    """
    if not file.is_file():
        fail(f"{file}: no such file", exit_code=USAGE)
    path = load_settings(Settings, catalogue=catalogue).catalogue
    tasks = load_catalogue(path).tasks
    found = _Found()
    # The record says which task it was; only an id that `run` made depends on what the row says.
    keys = {ours: own for ours, own in {"text": text_key, "id": id_key}.items() if ours != own}
    rows = _rows(file, Defaults(task or "unnamed", id_prefix=id_prefix, keys=keys), found)
    kept = rows if sample is None else _drawn(rows, sample)
    folder = folder_of(log)
    whose = load_settings(ProducerSettings, producer=producer).producer
    with _records(folder, verifier_of(folder, key)) as records:
        asked = _recorded(kept, records, whose, tasks, found)
        # No fleet is started for nothing.
        for first in islice(asked, 1):
            with _fleet(path, slm_processes) as fleet:
                _ask(fleet, chain([first], asked), found)
    _tell(found, as_json=as_json)
    if found.counts[Verdict.DIFFERENT] or not found.counts[Verdict.EQUAL]:
        raise typer.Exit(SOME_FAILED)


def _rows(file: Path, defaults: Defaults, found: _Found) -> Iterator[Row]:
    """The rows of a file that are jobs with ids; all others are counted as they come."""
    with file.open("rb") as source:
        try:
            for line in read_lines(source, delimiter=delimiter_of(file)):
                row = read_row(line, defaults)
                if isinstance(row, Row):
                    yield row
                else:
                    found.pass_over("its line is no job")
        except ForeignFile as error:
            fail(f"{file}: {error}", exit_code=USAGE)


def _drawn(rows: Iterable[Row], number: int) -> list[Row]:
    """Draw rows by lot, each with the same chance; memory is bounded by those that are kept."""
    draw, heap = random.SystemRandom(), list[tuple[float, int, Row]]()
    for place, row in enumerate(rows):
        lot = (draw.random(), place, row)
        if len(heap) < number:
            heappush(heap, lot)
        elif lot > heap[0]:
            heapreplace(heap, lot)
    return [row for _, _, row in sorted(heap, key=lambda lot: lot[1])]


@contextmanager
def _records(folder: Path, verifier: VerifierKey) -> Iterator[Records]:
    signed = read_checkpoint(folder, verifier)
    with Index(folder) as index:
        yield Records(index, Tiles(folder, signed.size), signed.root)


@contextmanager
def _fleet(catalogue: Path, slm_processes: int | None) -> Iterator[LocalFleet]:
    """A fleet that nobody else knows; its folder stays, for its logs, when something goes wrong."""
    folder = Path(tempfile.mkdtemp(prefix="smallfirst-replay-"))
    fleet = LocalFleet(
        catalogue, folder, slm_processes=slm_processes, flower=False, desk=False, persistent=False
    )
    with drained_by_signals(fleet), fleet:
        show_start(fleet, READY_WITHIN)
        yield fleet
    shutil.rmtree(folder)


def _recorded(
    rows: Iterable[Row],
    records: Records,
    producer: str,
    tasks: Mapping[str, Task],
    found: _Found,
) -> Iterator[tuple[Row, Recorded]]:
    """The rows that are worth asking, with their records; why the others are not is counted."""
    for row in rows:
        recorded = records.last(producer, row.job.id)
        task = tasks.get(recorded.record.task or "") if recorded else None
        reason = why_not_asked(recorded, task.kind if task else None, row.job.text)
        if reason is None and recorded is not None:
            yield row, recorded
        else:
            found.pass_over(reason or "")


def _ask(fleet: LocalFleet, asked: Iterable[tuple[Row, Recorded]], found: _Found) -> None:
    """Ask them, each under an id of its own: the same job may stand in two rows."""
    waiting: deque[tuple[str, Recorded]] = deque()

    def jobs() -> Iterator[Job]:
        for number, (row, recorded) in enumerate(asked):
            waiting.append((row.job.id, recorded))
            own = {"id": f"replay-{number}", "deadline": DEADLINE, "traceparent": None}
            yield row.job.model_copy(update={**own, "task": recorded.record.task})

    with Client(fleet.redis_url) as client, progress_bar("asking again") as advance:
        for number, result in enumerate(client.map(jobs(), max_in_flight=MAX_IN_FLIGHT), start=1):
            fleet.check()
            job_id, recorded = waiting.popleft()
            found.take(job_id, recorded, result)
            advance(number, None)


def _tell(found: _Found, *, as_json: bool) -> None:
    if as_json:
        print_json(_as_json(found))
        return
    for each in found.differences[:MAX_TOLD]:
        say(f"{each.id}: record {each.record}: {each.verdict}: {each.what}")
    if len(found.differences) > MAX_TOLD:
        note(f"and {len(found.differences) - MAX_TOLD:,} more; --json tells all")
    for reason, count in found.reasons.most_common():
        note(f"{count:,} not asked: {reason}")
    say(", ".join(f"{found.counts[verdict]:,} {verdict}" for verdict in Verdict))


def _as_json(found: _Found) -> dict[str, Any]:
    return {
        **{verdict.name.lower(): found.counts[verdict] for verdict in Verdict},
        "reasons": dict(found.reasons),
        "differences": [
            {"id": each.id, "record": each.record, "verdict": each.verdict, "what": each.what}
            for each in found.differences
        ],
    }
