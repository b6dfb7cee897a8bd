"""What comes of one id: a result, or the reason why this client does not give it out. Pure."""

from datetime import UTC, datetime

from pydantic import ValidationError

from smallfirst.errors import IdConflict, ResultUnreadable, ResultWithheld
from smallfirst.jobs import Job, Problem, Result, Status

Arrival = Result | ResultWithheld


def read_arrival(job_id: str, raw: str) -> Arrival:
    """Read what stands under an id."""
    try:
        return Result.model_validate_json(raw)
    except ValidationError:
        return ResultUnreadable(job_id)


def is_anothers(arrival: Arrival, fingerprint: str | None) -> bool:
    """Whether a result is that of another job than the one of this fingerprint, where known.

    A job that ended by its id alone, as one that could not be read, has none.
    """
    if fingerprint is None or not isinstance(arrival, Result) or arrival.fingerprint is None:
        return False
    return arrival.fingerprint != fingerprint


def given_out(arrival: Arrival, fingerprint: str | None) -> Arrival:
    """Give nobody the answer, or the metadata, of another's job."""
    return IdConflict(arrival.id) if is_anothers(arrival, fingerprint) else arrival


def in_place_of(error: ResultWithheld, job: Job | None = None) -> Result:
    """Stand for what is withheld, where each job is to have its result and the others go on."""
    now = datetime.now(UTC)
    return Result(
        id=error.id,
        task=job.task if job else None,
        status=Status.FAILED,
        problem=Problem(code=error.code, message=str(error)),
        submitted_at=now,
        finished_at=now,
        fingerprint=job.fingerprint if job else None,
        metadata=dict(job.metadata) if job else {},
    )


def as_result(arrival: Arrival) -> Result:
    """The result, or what stands for it."""
    return arrival if isinstance(arrival, Result) else in_place_of(arrival)
