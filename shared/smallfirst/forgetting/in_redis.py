"""Removing from Redis what stands of jobs that have ended, and from the file that it keeps."""

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from smallfirst.forgetting.ending import PAUSE
from smallfirst.forgetting.finding import (
    entries_in,
    id_in,
    said_in,
    streams_of,
    task_of_checks_in,
)
from smallfirst.forgetting.forgotten import Found
from smallfirst.jobs import Priority
from smallfirst.ledger.audits import Audits
from smallfirst.ledger.dead_letters import Dead, forget_letter, letters_of
from smallfirst.ledger.shadows import Shadows
from smallfirst.ledger.slices import Slice, slice_of
from smallfirst.people import checks_of


def remove(slices: Sequence[Slice], found: Found, places: Counter[str]) -> None:
    """Remove what all slices hold of jobs that have ended.

    Args:
        slices: Of the fleet.
        found: What is to be removed.
        places: How much was, by where it stood; counted on.
    """
    for place in slices:
        _remove_jobs(place, len(slices), found, places)
        places["dead letters"] += _drop_letters(place, found)
        places["blind checks"] += _drop_checks(place, found)


def _remove_jobs(place: Slice, num_slices: int, found: Found, places: Counter[str]) -> None:
    shadows = Shadows(place.redis, place.keys)
    for job in sorted(found.jobs):
        if slice_of(job.id, num_slices) != place.keys.slice:
            continue
        keys = place.keys.of_producer(job.producer)
        places["results"] += int(place.redis.delete(keys.result(job.id)))
        place.redis.delete(keys.job(job.id))
        places["copies in shadow"] += shadows.forget(job.producer, job.id)


def _drop_letters(place: Slice, found: Found) -> int:
    theirs = [dead for dead in letters_of(place) if _is_theirs(dead, found)]
    for dead in theirs:
        forget_letter(dead, place.redis)
    return len(theirs)


def _is_theirs(dead: Dead, found: Found) -> bool:
    """Whether a dead letter is theirs; one that cannot be read is as its submission says."""
    keys, redis = dead.place.keys, dead.place.redis
    if (keys.dead, dead.entry) in found.entries:
        return True
    if dead.is_readable:
        return (dead.letter.producer, dead.letter.id) in found.jobs
    raw: Any = redis.get(keys.dead_raw(dead.entry))
    return _id_in(raw) in found.all_ids


def _id_in(raw: bytes | None) -> str:
    return id_in(said_in(raw or b"") or {})


def _drop_checks(place: Slice, found: Found) -> int:
    """Let blind checks end as those do that nobody answers in time."""
    redis: Any = place.redis
    num_dropped, ids = 0, found.all_ids
    for stream in streams_of(place):
        if (task := task_of_checks_in(place, stream)) is None:
            continue
        late = {
            f"{Priority.BULK}:{entry}": 0
            for entry, fields in entries_in(place, stream)
            if (stream, entry) in found.entries or _id_in(fields.get(b"job")) in ids
        }
        if late:
            redis.zadd(place.keys.review(checks_of(task)), late)
            audits = Audits(place.redis, place.keys)
            while num_now := audits.drop_late(task):
                num_dropped += num_now
    return num_dropped


def lingering(slices: Iterable[Slice]) -> list[str]:
    """The streams in which jobs wait, beside whom bytes of deleted entries may be left."""
    return [stream for place in slices for stream in streams_of(place) if place.redis.xlen(stream)]


def rewrite(slices: Iterable[Slice]) -> None:
    """Have each Redis write its file anew, and wait for it: the old one holds what was removed."""
    for place in slices:
        about: Any = place.redis.info("persistence")
        if not about.get("aof_enabled"):
            continue
        # One that has begun before may hold what was removed meanwhile.
        _wait_for_rewriting(place.redis)
        place.redis.bgrewriteaof()
        _wait_for_rewriting(place.redis)


def _wait_for_rewriting(redis: Any) -> None:
    while _is_rewriting(redis.info("persistence")):
        time.sleep(PAUSE)


def _is_rewriting(about: Any) -> bool:
    return bool(about.get("aof_rewrite_in_progress") or about.get("aof_rewrite_scheduled"))
