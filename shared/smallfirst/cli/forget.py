"""`smallfirst forget`: what is known of a person is removed, wherever it stands."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from smallfirst.catalogue.likeness import text_key
from smallfirst.catalogue.whole_files import write_whole
from smallfirst.cli.dead import forget_letter, letters_of
from smallfirst.cli.fleet_connection import Link, client_of, link_of
from smallfirst.cli.options import ProducerOption
from smallfirst.cli.output import SOME_FAILED, USAGE, JsonOption, fail, print_json, say
from smallfirst.client.transports import State
from smallfirst.jobs import DEFAULT_PRODUCER, Priority
from smallfirst.ledger.audits import Audits
from smallfirst.ledger.keys import EVERY_SLICE
from smallfirst.ledger.routing_slips import DeadLetter
from smallfirst.ledger.shadow_cancelling import cancel_copy
from smallfirst.ledger.shadows import Shadows
from smallfirst.ledger.slices import Slice, slice_of
from smallfirst.people import checks_of, task_of_checks, task_of_people
from smallfirst.provenance.row_vectors import ROW_VECTORS, forget_rows
from smallfirst.wording import counted

_METADATA: Final = "metadata."
#: How long jobs that are cancelled may take to end, in seconds; people's take as long as a router's
#: round.
PATIENCE = 30.0
_EVERY, _PAGE = 0.2, 500

IdsOption = Annotated[
    list[str] | None, typer.Option("--id", help="The id of a job; may be given several times.")
]
WhereOption = Annotated[
    str | None,
    typer.Option(
        metavar="metadata.KEY=VALUE",
        help="The jobs of all producers whose metadata say this.",
    ),
]
RowsOption = Annotated[
    list[Path] | None,
    typer.Option(help="A file of rows that loses those jobs' rows; may be given several times."),
]
ModelOption = Annotated[
    list[Path] | None,
    typer.Option(
        help="A folder of trained models, or that workers keep heads in, which loses the vectors of"
        " those jobs' rows; may be given several times."
    ),
]
LogOption = Annotated[
    Path | None,
    typer.Option(help="The folder of the audit log, whose records are shown as theirs no more."),
]


@dataclass
class Forgotten:
    """What was removed, and what could not be.

    Attributes:
        jobs: Producers and ids.
        places: How much was removed, by where it stood.
        under_way: Jobs that have not ended yet, and stand where they stood.
        lingering: Streams in which deleted bytes may be left: Redis frees a deleted entry once
            those written beside it, some 4 kB, are deleted too. Likewise the audit log's index,
            where others read it for so long that erased salts could not be overwritten.
    """

    jobs: list[tuple[str, str]]
    places: Counter[str] = field(default_factory=Counter)
    under_way: list[str] = field(default_factory=list)
    lingering: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Lay it out for programs."""
        return {
            "jobs": [job_id for _, job_id in self.jobs],
            "removed": dict(self.places),
            "under_way": self.under_way,
            "lingering": self.lingering,
        }


def forget(
    context: typer.Context,
    *,
    job_id: IdsOption = None,
    where: WhereOption = None,
    producer: ProducerOption = None,
    rows: RowsOption = None,
    model: ModelOption = None,
    log: LogOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove jobs' texts and results from the fleet, rows, models and the audit log's index.

    For an administrator. Jobs that are under way are cancelled first. Redis's file is rewritten.
    What is left beside jobs that still wait is named: ask again when these have ended. Backups, and
    the weights of models that have learned from a row, are yours to deal with. Exit 1 where a job
    has not ended yet, or nothing was found.
    """
    if (job_id is None) == (where is None):
        fail("name jobs by --id, or by --where metadata.KEY=VALUE", exit_code=USAGE)
    named = [(producer or DEFAULT_PRODUCER, each) for each in job_id or ()]
    with link_of(context) as link:
        done = Forgotten(named or sorted(_those_who_say(link, *_pair(where or ""))))
        _end(context, done)
        _end_copies(link, done)
        gone = [job for job in done.jobs if job[1] not in done.under_way]
        for place in link.slices:
            _forget_in(place, link, gone, done.places)
        _forget_in_files(rows or (), model or (), {each for _, each in gone}, done.places)
        if log is not None:
            _forget_salts(log, gone, link, done)
        done.lingering += [
            stream
            for place in link.slices
            for stream in _streams(place)
            if place.redis.xlen(stream)
        ]
        _rewrite(link)
    _tell(done, as_json=as_json)
    if done.under_way or not done.places.total():
        raise typer.Exit(SOME_FAILED)


def _pair(where: str) -> tuple[str, str]:
    key, equals, value = where.removeprefix(_METADATA).partition("=")
    if not where.startswith(_METADATA) or not key or not equals:
        fail(f"--where: {where!a} must be metadata.KEY=VALUE", exit_code=USAGE)
    return key, value


def _those_who_say(link: Link, key: str, value: str) -> set[tuple[str, str]]:
    """The jobs whose metadata say something, whether they wait, have ended or were refused."""
    return {
        (producer, str(found["id"]))
        for place in link.slices
        for producer, found in _everything(place)
        if isinstance(told := found.get("metadata"), dict) and told.get(key) == value
    }


def _everything(place: Slice) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each job and result that a slice holds, as JSON has it, with its producer."""
    redis, keys = place.redis, place.keys
    pattern = keys.of_producer(EVERY_SLICE).result(EVERY_SLICE)
    for name in redis.scan_iter(match=pattern, count=_PAGE):
        producer = name.decode().removeprefix(f"{keys.tag}:result:").partition(":")[0]
        yield from _read(producer, redis.get(name))
    for stream in _streams(place):
        fallback = keys.producer_of(stream) or DEFAULT_PRODUCER
        for _, fields in _entries(redis, stream):
            producer = (fields.get(b"producer") or fallback.encode()).decode()
            yield from _read(producer, fields.get(b"job"))
    for entry, fields in _entries(redis, keys.dead):
        letter = DeadLetter.model_validate_json(fields[b"letter"])
        yield from _read(letter.producer, redis.get(keys.dead_raw(entry.decode())))


def _streams(place: Slice) -> list[str]:
    """Every stream of a slice in which jobs wait or are in hand."""
    keys = place.keys
    patterns = (keys.of_producer(EVERY_SLICE).jobs, keys.escalations, keys.backlogs_of(EVERY_SLICE))
    found = {name.decode() for one in patterns for name in place.redis.scan_iter(match=one)}
    return sorted(found)


def _entries(redis: Any, stream: str) -> Iterator[tuple[bytes, dict[bytes, bytes]]]:
    first = "-"
    while page := redis.xrange(stream, first, count=_PAGE):
        yield from page
        first = f"({page[-1][0].decode()}"


def _read(producer: str, raw: str | bytes | None) -> Iterator[tuple[str, dict[str, Any]]]:
    with suppress(ValueError, RecursionError):
        found = json.loads(raw or b"")
        if isinstance(found, dict) and "id" in found:
            yield producer, found


def _end(context: typer.Context, done: Forgotten) -> None:
    """Cancel what is under way, and wait until it has ended."""
    for producer in sorted({each for each, _ in done.jobs}):
        ids = [job_id for each, job_id in done.jobs if each == producer]
        with client_of(context, producer) as (client, _):
            waiting = [one for one in ids if _is_under_way(client, one)]
            for one in waiting:
                client.cancel(one)
            until = time.monotonic() + PATIENCE
            while waiting and time.monotonic() < until:
                time.sleep(_EVERY)
                waiting = [one for one in waiting if _is_under_way(client, one)]
        done.under_way += waiting


def _end_copies(link: Link, done: Forgotten) -> None:
    """Cancel the copies that candidates in shadow have of jobs."""
    shadows = [Shadows(place.redis, place.keys) for place in link.slices]
    for job in done.jobs:
        number = slice_of(job[1], len(link.slices))
        if not _has_ended_copy(link.slices[number], shadows[number], *job):
            done.under_way.append(job[1])


def _has_ended_copy(place: Slice, shadows: Shadows, producer: str, job_id: str) -> bool:
    """Cancel a job's copy, if there is one, and wait until it is gone; False where it is not."""
    if not _waited_for(lambda: not shadows.is_coming(producer, job_id)):
        return False
    if not shadows.is_under_way(producer, job_id):
        return True
    stream, entry = cancel_copy(place, producer, job_id)
    return _waited_for(lambda: not place.redis.xrange(stream, entry, entry))


def _waited_for(is_done: Callable[[], bool]) -> bool:
    """Wait for something, as long as jobs that are cancelled may take; say whether it came."""
    until = time.monotonic() + PATIENCE
    while not (came := is_done()) and time.monotonic() < until:
        time.sleep(_EVERY)
    return came


def _is_under_way(client: Any, job_id: str) -> bool:
    return client.status(job_id).state not in (State.UNKNOWN, State.DONE)


def _forget_in(
    place: Slice, link: Link, jobs: Sequence[tuple[str, str]], places: Counter[str]
) -> None:
    """Remove what one slice holds of jobs that have ended."""
    own = [job for job in jobs if slice_of(job[1], len(link.slices)) == place.keys.slice]
    shadows = Shadows(place.redis, place.keys)
    for producer, job_id in own:
        keys = place.keys.of_producer(producer)
        places["results"] += int(place.redis.delete(keys.result(job_id)))
        place.redis.delete(keys.job(job_id))
        places["copies in shadow"] += shadows.forget(producer, job_id)
    wanted = set(jobs)
    for letter in letters_of(place, link):
        if (letter.letter.producer, letter.letter.id) in wanted:
            forget_letter(letter, place.redis)
            places["dead letters"] += 1
    places["blind checks"] += _drop_checks(place, {job_id for _, job_id in own})


def _drop_checks(place: Slice, ids: set[str]) -> int:
    """Let the blind checks of jobs end as those do that nobody answers in time."""
    num_dropped = 0
    for stream in _streams(place):
        task = task_of_checks(task_of_people(place.keys.pool_of(stream)))
        if task is None:
            continue
        late = {
            f"{Priority.BULK}:{entry.decode()}": 0
            for entry, fields in _entries(place.redis, stream)
            if any(found["id"] in ids for _, found in _read("", fields.get(b"job")))
        }
        if late:
            place.redis.zadd(place.keys.review(checks_of(task)), late)
            num_dropped += Audits(place.redis, place.keys).drop_late(task)
    return num_dropped


def _forget_in_files(
    files: Sequence[Path], folders: Sequence[Path], ids: set[str], places: Counter[str]
) -> None:
    """Remove rows from files, and their vectors from models: those first, since rows tell of them.

    A row may have had no id, or another one, when a model learned from its text.
    """
    lines = {file: _lines_of(file) for file in files}
    theirs = (line for each in lines.values() for line in each if _is_of(line, ids))
    keys = {key for line in theirs for key in _text_key(line)}
    for folder in folders:
        places[str(folder)] += _drop_vectors(folder, ids, keys)
    for file, each in lines.items():
        places[str(file)] += _drop_rows(file, each, ids)


def _lines_of(file: Path) -> list[str]:
    if not file.is_file():
        fail(f"{file}: no such file; see --rows", exit_code=USAGE)
    return file.read_text("utf-8").splitlines(keepends=True)


def _text_key(line: str) -> Iterator[str]:
    for _, found in _read("", line.encode()):
        if isinstance(text := found.get("text"), str):
            yield text_key(text)


def _drop_rows(file: Path, lines: Sequence[str], ids: set[str]) -> int:
    """Write a file of rows without those jobs' rows; say how many there were."""
    kept = [line for line in lines if not _is_of(line, ids)]
    if len(kept) < len(lines):
        write_whole(file, "".join(kept))
    return len(lines) - len(kept)


def _drop_vectors(folder: Path, ids: set[str], keys: set[str]) -> int:
    """Take rows out of every head below a folder; say how many there were."""
    if not folder.is_dir():
        fail(f"{folder}: no such folder; see --model", exit_code=USAGE)
    num_dropped = 0
    for file in sorted(folder.rglob(ROW_VECTORS)):
        try:
            num_dropped += forget_rows(file, ids, keys)
        except (OSError, ValueError) as error:
            fail(f"{file}: {error}; remove it: the model answers without, and names no rows")
    return num_dropped


def _is_of(line: str, ids: set[str]) -> bool:
    return any(str(found["id"]) in ids for _, found in _read("", line.encode()))


def _forget_salts(
    folder: Path, jobs: Iterable[tuple[str, str]], link: Link, done: Forgotten
) -> None:
    """Erase the salts of their records, once the keeper has taken up what it has not yet."""
    until = time.monotonic() + PATIENCE
    while any(each.redis.xlen(each.keys.log) for each in link.slices):
        if time.monotonic() > until:
            fail("the audit log's keeper takes no records up; start it, and ask again")
        time.sleep(_EVERY)
    from smallfirst.audit_log.index import FILE, Index  # noqa: PLC0415 - for this option alone

    with Index(folder, may_write=True) as index:
        done.places["audit log"] += index.erase(jobs)
        if not index.overwrite():
            done.lingering.append(str(folder / FILE))


def _rewrite(link: Link) -> None:
    """Have each Redis write its file anew, and wait for it: the old one holds what was removed."""
    for place in link.slices:
        about: Any = place.redis.info("persistence")
        if not about.get("aof_enabled"):
            continue
        # One that has begun before may hold what was removed meanwhile.
        _wait_for_rewriting(place.redis)
        place.redis.bgrewriteaof()
        _wait_for_rewriting(place.redis)


def _wait_for_rewriting(redis: Any) -> None:
    while _is_rewriting(redis.info("persistence")):
        time.sleep(_EVERY)


def _is_rewriting(about: Any) -> bool:
    return bool(about.get("aof_rewrite_in_progress") or about.get("aof_rewrite_scheduled"))


def _tell(done: Forgotten, *, as_json: bool) -> None:
    if as_json:
        print_json(done.as_json())
        return
    for place, number in sorted(done.places.items()):
        if number:
            say(f"{place}: {number:,} removed")
    if not done.places.total():
        say("nothing was found of them")
    if done.lingering:
        say(
            "bytes of what was deleted may be left beside what waits, or is read, in"
            f" {', '.join(done.lingering)}; ask again when that has ended"
        )
    if done.under_way:
        say(f"{counted(len(done.under_way), 'job')} had not ended; ask again: {done.under_way[0]}")
