"""What a program hands to a client: a job, or the fields of one, which may be none. Pure."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Literal

from smallfirst.errors import InvalidJob
from smallfirst.jobs import Job, Problem, Result, Status

#: A job, or its fields by name, as a row of a file has them.
Offer = Job | Mapping[str, Any]
#: What `map` does about an offer that is no job: raise `InvalidJob`, or yield a refusal.
OnInvalid = Literal["raise", "yield"]

#: The fields by which a program knows its own, as far as they are right.
_NAMING = ("id", "task", "metadata")


def job_of(offer: Offer) -> Job:
    """Read what was handed over.

    Raises:
        InvalidJob: When it is no job.
    """
    if isinstance(offer, Job):
        return offer
    if isinstance(offer, Mapping):
        return Job.from_fields(offer)
    kind = type(offer).__name__
    raise InvalidJob(
        "job",
        f"must be a Job or a mapping of its fields, not {kind}",
        "make one with Job(task=..., text=...)",
    )


def in_place_of_invalid(offer: Offer, error: InvalidJob) -> Result:
    """Stand for an offer that was never submitted: refused, as a fleet would."""
    now = datetime.now(UTC)
    known = _naming_fields(offer) if isinstance(offer, Mapping) else {}
    stand_in = Job.from_fields({"task": "none", "text": "none", **known})
    return Result(
        id=stand_in.id,
        task=stand_in.task if "task" in known else None,
        status=Status.REFUSED,
        problem=Problem(code="invalid", message=str(error)),
        submitted_at=now,
        finished_at=now,
        metadata=dict(stand_in.metadata),
    )


def _naming_fields(offer: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the naming fields that a job could have as they are."""
    found = {}
    for name in _NAMING:
        with suppress(InvalidJob):
            if name in offer:
                Job.from_fields({"task": "none", "text": "none", name: offer[name]})
                found[name] = offer[name]
    return found
