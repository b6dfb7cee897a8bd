"""`smallfirst forget`: what is known of a person is removed, wherever it stands."""

import shlex
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Annotated, Final

import typer

from smallfirst.cli.fleet_connection import Link, client_of, link_of
from smallfirst.cli.options import ProducerOption
from smallfirst.cli.output import SOME_FAILED, USAGE, JsonOption, fail, note, print_json, say
from smallfirst.client import Client
from smallfirst.forgetting import in_files, in_redis, log_salts
from smallfirst.forgetting.ending import end_copies, end_jobs
from smallfirst.forgetting.errors import WrongPlace
from smallfirst.forgetting.finding import find, is_id
from smallfirst.forgetting.forgotten import Forgotten, Found, JobName
from smallfirst.jobs import DEFAULT_PRODUCER
from smallfirst.settings import ProducerSettings, load_settings
from smallfirst.wording import counted

_METADATA: Final = "metadata."
_COMMAND: Final = ("smallfirst", "forget", "--producer")
#: The most ids that one command is told to name: systems bound how long it may be.
_MAX_IDS: Final = 500

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
    typer.Option(
        help="A file of rows, as JSON Lines, CSV or TSV, that loses the rows with those jobs' ids;"
        " may be given several times."
    ),
]
ModelOption = Annotated[
    list[Path] | None,
    typer.Option(
        help="A folder of trained models, or that workers keep heads in, which loses the vectors of"
        " those jobs' rows; may be given several times. Rows that had other ids, or none, when a"
        " model learned from them are known by their texts: name their files with --rows."
    ),
]
LogOption = Annotated[
    Path | None,
    typer.Option(help="The folder of the audit log, whose records are shown as theirs no more."),
]


@dataclass(frozen=True)
class _Paths:
    """Where what is known of a person stands, beside Redis."""

    rows: Sequence[Path]
    models: Sequence[Path]
    log: Path | None

    def look(self) -> None:
        """See that each is there, before anything is removed."""
        try:
            in_files.look_at(self.rows, self.models)
            if self.log is not None:
                log_salts.look_at(self.log)
        except WrongPlace as error:
            fail(str(error), exit_code=USAGE)

    def options(self) -> Iterator[str]:
        """Name them as the command's options do."""
        for path in self.rows:
            yield from ("--rows", str(path))
        for path in self.models:
            yield from ("--model", str(path))
        if self.log is not None:
            yield from ("--log", str(self.log))


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
    has not ended yet, a file could not be dealt with, or nothing was found; what is left then is
    named, and asked for again by the ids.
    """
    if (job_id is None) == (where is None):
        fail("name jobs by --id, or by --where metadata.KEY=VALUE", exit_code=USAGE)
    named = _named(job_id or (), producer)
    key, value = _pair(where) if where is not None else ("", "")
    paths = _Paths(rows or (), model or (), log)
    paths.look()
    with link_of(context) as link:
        done = Forgotten(find(link.slices, key, value) if where is not None else named)
        try:
            _forget(context, link, done, paths)
        except BaseException:
            # A cancelled job's result has no metadata: who stops here must be able to go on.
            _ask_again(done, paths)
            raise
    _tell(done, paths, as_json=as_json)
    if not done.is_done:
        raise typer.Exit(SOME_FAILED)


def _named(ids: Sequence[str], producer: str | None) -> Found:
    """The jobs that are named by their ids."""
    for each in ids:
        if not is_id(each):
            fail(f"--id: {each!a} can be no job's id; see the field `id` of a job", exit_code=USAGE)
    name = load_settings(ProducerSettings, producer=producer).producer
    return Found({JobName(name, each) for each in ids})


def _pair(where: str) -> tuple[str, str]:
    key, equals, value = where.removeprefix(_METADATA).partition("=")
    if not where.startswith(_METADATA) or not key or not equals:
        fail(f"--where: {where!a} must be metadata.KEY=VALUE", exit_code=USAGE)
    return key, value


def _forget(context: typer.Context, link: Link, done: Forgotten, paths: _Paths) -> None:
    """End jobs, and remove what is known of them: from Redis last, since it says which they are."""

    @contextmanager
    def client(name: str) -> Iterator[Client]:
        with client_of(context, name) as (opened, _):
            yield opened

    not_ended = {*end_jobs(done.found.jobs, client), *end_copies(link.slices, done.found.jobs)}
    done.under_way = sorted(not_ended)
    gone = done.found.but(not_ended)
    if paths.log is not None:
        erased = log_salts.erase(paths.log, gone.jobs, link.slices)
        done.places["audit log"] += erased.number
        done.failed += erased.failures
    done.failed += in_files.remove(paths.rows, paths.models, gone.all_ids, done.places)
    in_redis.remove(link.slices, gone, done.places)
    done.lingering = in_redis.lingering(link.slices)
    in_redis.rewrite(link.slices)


def _tell(done: Forgotten, paths: _Paths, *, as_json: bool) -> None:
    if as_json:
        print_json(done.as_json())
        return
    for place, number in sorted(done.places.items()):
        if number:
            say(f"{place}: {number:,} removed")
    if not done.places.total():
        say("nothing was found of them")
    if done.found.num_unreadable:
        entries = counted(done.found.num_unreadable, "entry")
        say(f"{entries} of Redis could not be read, and may be theirs; see smallfirst dead list")
    if done.lingering:
        say(
            "bytes of deleted entries may be left beside those that wait in"
            f" {', '.join(done.lingering)}; ask again when these have ended"
        )
    if done.under_way:
        say(f"{counted(len(done.under_way), 'job')} had not ended: {done.under_way[0].id}")
    for each in done.failed:
        note(f"left: {each}")
    if done.under_way or done.failed:
        _ask_again(done, paths)


def _ask_again(done: Forgotten, paths: _Paths) -> None:
    """Say how the same jobs are named once more."""
    commands = commands_of(done.found, list(paths.options()))
    if commands:
        note("to ask again by the ids, since their metadata may find them no more:")
    for command in commands:
        note(f"  {command}")


def commands_of(found: Found, options: Sequence[str]) -> list[str]:
    """Write the commands that name the same jobs by their ids, some for each producer."""
    ids = defaultdict[str, list[str]](list)
    for job in sorted(found.jobs):
        ids[job.producer].append(job.id)
    ids[DEFAULT_PRODUCER] += sorted(found.ids - {job.id for job in found.jobs})
    return [
        shlex.join([*_COMMAND, producer, *chain(*(("--id", each) for each in part)), *options])
        for producer, names in ids.items()
        for part in (names[at : at + _MAX_IDS] for at in range(0, len(names), _MAX_IDS))
    ]
