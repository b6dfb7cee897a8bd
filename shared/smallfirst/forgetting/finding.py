"""Finding a person's jobs by what their metadata say, wherever they stand in Redis.

One odd entry stops nobody: it is counted, and passed over.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, Final, NamedTuple

from smallfirst.forgetting.forgotten import Found, JobName
from smallfirst.jobs import DEFAULT_PRODUCER, ID_PATTERN, is_name
from smallfirst.ledger.dead_letters import letters_of
from smallfirst.ledger.keys import EVERY_SLICE
from smallfirst.ledger.slices import Slice
from smallfirst.people import task_of_checks, task_of_people
from smallfirst.shadow.copies import SHADOW

_ID: Final = re.compile(ID_PATTERN)
_PAGE: Final = 500


class Standing(NamedTuple):
    """Something that stands in Redis, and may be a person's.

    Attributes:
        raw: Its JSON.
        producer: Whose it is; None where that is not told, or cannot be read.
        id: Of the job, where it is told beside the JSON.
        place: Of a dead letter or a blind check, its stream and entry: it is removed as such.
    """

    raw: bytes
    producer: str | None = None
    id: str | None = None
    place: tuple[str, str] | None = None


def find(slices: Iterable[Slice], key: str, value: str) -> Found:
    """Find all whose metadata say something, whether they wait, have ended or were refused."""
    found = Found()
    for place in slices:
        for each in chain(_results(place), _waiting(place), _letters(place)):
            _note(found, each, key, value)
    return found


def _note(found: Found, standing: Standing, key: str, value: str) -> None:
    """Note what stands there, where it is theirs, or cannot be read."""
    said = said_in(standing.raw)
    told = None if said is None else said.get("metadata")
    if said is None:
        found.num_unreadable += 1
    if said is None or not isinstance(told, dict) or _text_at(told, key) != value:
        return
    job_id = standing.id or id_in(said)
    is_named = is_id(job_id)
    if standing.place is not None:
        found.entries.add(standing.place)
    if is_named and standing.producer is not None:
        found.jobs.add(JobName(standing.producer, job_id))
    elif is_named and standing.place is not None:
        found.ids.add(job_id)
    elif standing.place is None:
        found.num_unreadable += 1


def said_in(raw: bytes) -> dict[str, Any] | None:
    """Read the JSON of a job or a result; None for what is no object."""
    try:
        said = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


def id_in(said: Mapping[str, Any]) -> str:
    """The id that a job, a result or a row says; empty for none. A number stands for its digits."""
    return _text_at(said, "id") or ""


def _text_at(said: Mapping[str, Any], key: str) -> str | None:
    return None if (found := said.get(key)) is None else str(found)


def is_id(job_id: str) -> bool:
    """Whether a job may be called so."""
    return _ID.fullmatch(job_id) is not None


def streams_of(place: Slice) -> list[str]:
    """Every stream of a slice in which jobs wait or are in hand."""
    keys = place.keys
    patterns = (keys.of_producer(EVERY_SLICE).jobs, keys.escalations, keys.backlogs_of(EVERY_SLICE))
    return sorted(name for one in patterns for name in _names(place, one, "STREAM"))


def entries_in(place: Slice, stream: str) -> Iterator[tuple[str, Mapping[bytes, bytes]]]:
    """Read a stream, the oldest entry first."""
    redis: Any = place.redis
    first = "-"
    while page := redis.xrange(stream, first, count=_PAGE):
        for entry, fields in page:
            yield entry.decode(), fields
        first = f"({page[-1][0].decode()}"


def task_of_checks_in(place: Slice, stream: str) -> str | None:
    """Name the task whose blind checks wait in a stream; None where other jobs do."""
    return task_of_checks(task_of_people(place.keys.pool_of(stream)))


def _names(place: Slice, pattern: str, kind: str) -> Iterator[str]:
    """The keys of one type that match a pattern; those of another type are none of a fleet's."""
    redis: Any = place.redis
    found = redis.scan_iter(match=pattern, count=_PAGE, _type=kind)
    return (name for name in map(_text_of, found) if name is not None)


def _text_of(raw: bytes) -> str | None:
    """Read text; None where it is not UTF-8."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def _results(place: Slice) -> Iterator[Standing]:
    redis: Any = place.redis
    before = place.keys.of_producer("").result("").removesuffix(":")
    for name in _names(place, place.keys.of_producer(EVERY_SLICE).result(EVERY_SLICE), "STRING"):
        producer, _, job_id = name.removeprefix(before).partition(":")
        if producer != SHADOW and (raw := redis.get(name)) is not None:
            yield Standing(raw, producer if is_name(producer) else None, job_id)


def _waiting(place: Slice) -> Iterator[Standing]:
    for stream in streams_of(place):
        of_checks = task_of_checks_in(place, stream) is not None
        owner = place.keys.producer_of(stream)
        for entry, fields in entries_in(place, stream):
            if (raw := fields.get(b"job")) is None:
                continue
            if of_checks:
                # It does not say whose job it was.
                yield Standing(raw, place=(stream, entry))
            elif (producer := owner or _told_producer(fields)) != SHADOW:
                yield Standing(raw, producer if is_name(producer) else None)


def _told_producer(fields: Mapping[bytes, bytes]) -> str:
    """Whose job an entry of the fleet's own streams says that it is; empty for nobody's."""
    return _text_of(fields.get(b"producer", DEFAULT_PRODUCER.encode())) or ""


def _letters(place: Slice) -> Iterator[Standing]:
    redis: Any = place.redis
    for dead in letters_of(place):
        raw = redis.get(place.keys.dead_raw(dead.entry))
        if raw is not None:
            producer = dead.letter.producer if dead.is_readable else None
            yield Standing(raw, producer, dead.letter.id, (place.keys.dead, dead.entry))
