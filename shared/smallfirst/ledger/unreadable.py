"""Entries of the fleet's own streams that the fleet cannot read, and how their jobs end.

Only routers and workers write these streams. What cannot be read there was written by a version too
far from this one, or by an administrator's hand; it must stop nobody, and its job must still end.
"""

import structlog
from pydantic import TypeAdapter

from smallfirst import results
from smallfirst.jobs import DEFAULT_PRODUCER, JobId, Problem, Status, is_name
from smallfirst.ledger.entries import StreamEntry
from smallfirst.ledger.settlements import Finish, Refuse, Settlement, dead_letter
from smallfirst.shadow.copies import SHADOW

log = structlog.get_logger()

#: What reading an entry raises: a field is missing, or is not what it should be.
READING_ERRORS = (KeyError, ValueError)
_JOB_ID: TypeAdapter[str] = TypeAdapter(JobId)
_PROBLEM = Problem(code="unreadable", message="the fleet's own note on this job cannot be read")


def unreadable(entry: StreamEntry, now_ms: int) -> Settlement:
    """End what cannot be read: a dead letter, and a result where the job's id can be."""
    raw = entry.fields.get(b"job", b"")
    named, job_id = _producer_of(entry), _id_of(entry)
    producer = named or DEFAULT_PRODUCER
    log.error(
        "entry.unreadable",
        stream=entry.stream,
        entry=entry.entry,
        producer=producer,
        job_id=job_id,
        consequence="the job fails, and is a dead letter",
        remedy="run routers and workers of one version; see who else can write to this stream",
    )
    letter = dead_letter(
        raw, _PROBLEM.code, producer=producer, detail=_PROBLEM.message, job_id=job_id
    )
    # An id says nothing without whose it is.
    if named is None or job_id is None:
        return Refuse(entry=entry.entry, producer=producer, letter=letter, raw=raw)
    result = results.without_job(
        job_id, Status.FAILED, _PROBLEM, submitted_ms=entry.written_ms(now_ms), now_ms=now_ms
    )
    return Finish(entry=entry.entry, producer=producer, result=result, letter=letter, raw=raw)


def _producer_of(entry: StreamEntry) -> str | None:
    name = entry.fields.get(b"producer", b"").decode(errors="replace")
    return name if is_name(name) or name == SHADOW else None


def _id_of(entry: StreamEntry) -> str | None:
    try:
        return _JOB_ID.validate_python(entry.fields[b"id"].decode())
    except (KeyError, ValueError):
        return None
