"""`smallfirst dead`: submissions that were refused, jobs that were given up, why, and once more."""

import heapq
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import typer

from smallfirst.cli.dead_counts import tally
from smallfirst.cli.fleet_connection import Link, link_of
from smallfirst.cli.output import (
    SOME_FAILED,
    USAGE,
    JsonOption,
    console,
    fail,
    note,
    print_json,
    say,
    table,
)
from smallfirst.jobs import MAX_ID_CHARS, Status
from smallfirst.ledger.dead_letters import (
    SLICE_MARK,
    Dead,
    forget_letter,
    letter_at,
    letters_of,
)
from smallfirst.ledger.producers import ProducerRegistry
from smallfirst.ledger.routing_slips import DeadLetter
from smallfirst.ledger.slices import Slice, slice_of

_NOT_KEPT = "its text is no longer kept; its producer can submit it again"
_REPLAYED = re.compile(r"^(?P<base>.*)\.replay(?P<times>\d+)$")

app = typer.Typer(
    help="List, read, replay and drop what was refused or given up.",
    no_args_is_help=True,
    add_completion=False,
)

EntryArgument = Annotated[
    str, typer.Argument(help="The dead letter's name, as `dead list` shows it.")
]


@app.command("list")
def list_dead(
    context: typer.Context,
    *,
    count: Annotated[
        int, typer.Option(min=1, help="The most dead letters to list, newest first.")
    ] = 50,
    reason: Annotated[
        str | None, typer.Option(help="The reason of those to list; if not given, all.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List dead letters, newest first: reasons and sizes, never texts."""
    with link_of(context) as link:
        found = [dead for dead, _ in zip(_letters(link, reason), range(count), strict=False)]
    if as_json:
        print_json([dead.as_json() for dead in found])
        return
    if not found:
        note("no dead letters")
        return
    columns = ("entry", "time", "what", "reason", "producer", "id", "task", "detail")
    console().print(table((*columns, "bytes", "kept"), map(_columns, found), left=len(columns)))
    note(str(tally(dead.letter for dead in found)))


@app.command("show")
def show_dead(
    context: typer.Context,
    entry: EntryArgument,
    *,
    raw: Annotated[
        bool, typer.Option("--raw", help="Print the submission itself, text and all.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show one dead letter; its text only when asked for."""
    with link_of(context) as link:
        dead = _find(link, entry)
        submission = _raw_of(dead) if raw else None
    known = dead.as_json()
    if submission is not None:
        known["submission"] = submission.decode("utf-8", errors="replace")
    if as_json:
        print_json(known)
        return
    for name, value in known.items():
        shown = ("yes" if value else "no") if isinstance(value, bool) else value
        say(f"{name:<10} {shown}")


@app.command("replay")
def replay_dead(
    context: typer.Context,
    entries: Annotated[
        list[str] | None, typer.Argument(help="The dead letters' names, as `dead list` shows them.")
    ] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="Replay all dead letters.")] = False,
    reason: Annotated[
        str | None, typer.Option(help="Replay all dead letters with this reason.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Submit dead letters once more, each as its producer, and forget them.

    A refused job keeps its id. Any other has its result already, which never changes, so it goes
    under a new id: its own with `.replay1` behind it.
    """
    with link_of(context) as link:
        replayed = [_replay(link, dead) for dead in _chosen(link, entries, reason, every=every)]
    if as_json:
        print_json([asdict(one) for one in replayed])
    for one in () if as_json else replayed:
        say(one.id or f"({one.entry}: {one.problem or 'submitted without an id'})")
    if any(one.problem for one in replayed):
        raise typer.Exit(SOME_FAILED)


@app.command("drop")
def drop_dead(
    context: typer.Context,
    entries: Annotated[
        list[str] | None, typer.Argument(help="The dead letters' names, as `dead list` shows them.")
    ] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="Drop all dead letters.")] = False,
    reason: Annotated[
        str | None, typer.Option(help="Drop all dead letters with this reason.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Forget dead letters and the submissions behind them; results stay."""
    with link_of(context) as link:
        dropped = _chosen(link, entries, reason, every=every)
        for dead in dropped:
            forget_letter(dead, dead.place.redis)
    if as_json:
        print_json([dead.name for dead in dropped])
        return
    say(f"dropped: {len(dropped)}")


@dataclass(frozen=True)
class Replayed:
    """What became of one dead letter: submitted under an id, or why not."""

    entry: str
    id: str | None = None
    problem: str | None = None


def needs_new_id(letter: DeadLetter, status: bytes | None, *, is_in_flight: bool) -> bool:
    """Whether a job can only run again under another id: its own has a result, or is running.

    Args:
        letter: Why it was given up.
        status: The status of the job that ended under its id, where one did.
        is_in_flight: Whether a job is running under its id.
    """
    has_lasting_result = status is not None and status.decode() != Status.REFUSED
    return not letter.is_refusal or has_lasting_result or is_in_flight


def next_id(job_id: str) -> str:
    """Name the next replay of a job: x, x.replay1, x.replay2."""
    before = _REPLAYED.match(job_id)
    base, times = (before["base"], int(before["times"])) if before else (job_id, 0)
    ending = f".replay{times + 1}"
    return base[: MAX_ID_CHARS - len(ending)] + ending


def _replay(link: Link, dead: Dead) -> Replayed:
    """Submit a dead letter and forget it, at once or not at all."""
    place, letter = dead.place, dead.letter
    raw: Any = place.redis.get(place.keys.dead_raw(dead.entry))
    if problem := _hindrance(dead, raw):
        return Replayed(dead.name, problem=problem)
    job_id = letter.id
    if job_id and _is_taken(place, letter, job_id):
        job_id = _free_id(place, letter, num_slices=len(link.slices))
        if (renamed := _renamed(raw, job_id)) is None:
            return Replayed(dead.name, problem="its id is taken, and it is no JSON object")
        raw = renamed
    pipeline = place.redis.pipeline(transaction=True)
    pipeline.xadd(place.keys.of_producer(letter.producer).jobs, {"job": raw})
    forget_letter(dead, pipeline)
    pipeline.execute()
    return Replayed(dead.name, job_id)


def _hindrance(dead: Dead, raw: bytes | None) -> str:
    """Say why a letter cannot be submitted again; empty where it can."""
    place, letter = dead.place, dead.letter
    if not dead.is_readable:
        return f"it does not say whose it is; smallfirst dead drop {dead.name} removes it"
    if raw is None:
        return _NOT_KEPT
    if len(raw) < letter.size:
        return f"only its first {len(raw)} bytes are kept; its producer can submit it again"
    if letter.producer not in ProducerRegistry(place.redis, place.keys).read():
        # Its stream would be made anew, and nobody would read it.
        return f"its producer is not registered; smallfirst producer add {letter.producer}"
    return ""


def _renamed(raw: bytes, job_id: str) -> bytes | None:
    """Give a submission another id; None where it is no JSON object."""
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    return json.dumps({**found, "id": job_id}, ensure_ascii=False).encode()


def _chosen(
    link: Link, entries: Sequence[str] | None, reason: str | None, *, every: bool
) -> list[Dead]:
    """Find the dead letters that a command names, by their entries or by their reason."""
    if bool(entries) == (every or reason is not None):
        fail("name the entries, or else --all or --reason", exit_code=USAGE)
    return [_find(link, e) for e in entries] if entries else list(_letters(link, reason))


def _is_taken(place: Slice, letter: DeadLetter, job_id: str) -> bool:
    key = place.keys.of_producer(letter.producer).job(job_id)
    known: Any = place.redis.hmget(key, "origin", "status")
    origin, status = known
    return needs_new_id(letter, status, is_in_flight=origin is not None)


def _free_id(place: Slice, letter: DeadLetter, *, num_slices: int) -> str:
    """Find the first replay's name that nothing has, and whose job is in the same slice."""
    keys, job_id = place.keys.of_producer(letter.producer), next_id(letter.id or "")
    while slice_of(job_id, num_slices) != place.keys.slice or place.redis.exists(
        keys.result(job_id), keys.job(job_id)
    ):
        job_id = next_id(job_id)
    return job_id


def _letters(link: Link, reason: str | None) -> Iterator[Dead]:
    """Read dead letters page by page, of all slices the newest first."""
    has_neighbours = len(link.slices) > 1
    each = (letters_of(place, has_neighbours=has_neighbours) for place in link.slices)
    found = heapq.merge(*each, key=lambda dead: dead.order, reverse=True)
    return (dead for dead in found if reason in (None, dead.letter.reason))


def _find(link: Link, name: str) -> Dead:
    named = re.fullmatch(rf"(?P<entry>\d+-\d+)({SLICE_MARK}(?P<slice>\d+))?", name)
    number = int(named["slice"] or 0) if named else 0
    has_place = named is not None and (named["slice"] is not None) == (len(link.slices) > 1)
    if named is None or not has_place or number >= len(link.slices):
        fail(f"{name!r} is no dead letter; `smallfirst dead list` names them", exit_code=USAGE)
    has_neighbours = len(link.slices) > 1
    found = letter_at(link.slices[number], named["entry"], has_neighbours=has_neighbours)
    if found is None:
        fail(f"there is no dead letter {name}")
    return found


def _raw_of(dead: Dead) -> bytes:
    raw: Any = dead.place.redis.get(dead.place.keys.dead_raw(dead.entry))
    if raw is None:
        fail(_NOT_KEPT)
    return bytes(raw)


def _columns(dead: Dead) -> list[str]:
    letter = dead.letter
    when = dead.time.isoformat(sep=" ", timespec="seconds").removesuffix("+00:00")
    whose = [letter.producer, letter.id or "-", letter.task or "-"]
    what = "refused" if letter.is_refusal else "given up"
    known = [dead.name, when, what, letter.reason, *whose, letter.detail]
    return [*known, str(letter.size), _kept(dead)]


def _kept(dead: Dead) -> str:
    """Say how much of the submission is kept."""
    if not dead.has_raw:
        return "no"
    return "yes" if dead.kept_bytes >= dead.letter.size else f"first {dead.kept_bytes}"
