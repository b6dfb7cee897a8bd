"""A job in the hands of a router or a worker: its entry, what was submitted, its routing slip."""

from datetime import timedelta
from typing import NamedTuple

from smallfirst.jobs import Job
from smallfirst.ledger.entries import StreamEntry
from smallfirst.ledger.routing_slips import RoutingSlip
from smallfirst.results import expires_ms


class HeldJob(NamedTuple):
    """One job that this process has read and not settled."""

    entry: StreamEntry
    job: Job
    slip: RoutingSlip

    @property
    def raw(self) -> bytes:
        """The job as its producer wrote it."""
        return self.entry.fields[b"job"]

    @property
    def is_first_seen(self) -> bool:
        """Whether it comes from its producer, and no step has been asked yet."""
        return self.slip.request is None


def read_held_job(entry: StreamEntry) -> HeldJob:
    """Read what a router or a worker wrote.

    A newer router may have let in a job with a field that is not known here.

    Raises:
        KeyError: When a field is missing.
        ValueError: When one is not what it should be.
    """
    job = Job.model_validate_json(entry.fields[b"job"], extra="ignore")
    return HeldJob(entry, job, RoutingSlip.model_validate_json(entry.fields[b"slip"]))


def read_parked_job(entry: StreamEntry) -> HeldJob:
    """Read what a router parked on a backlog: its slip names the step to try.

    Raises:
        KeyError: When a field is missing.
        ValueError: When one is not what it should be.
    """
    held = read_held_job(entry)
    if held.is_first_seen:
        raise ValueError("the routing slip names no step")
    return held


def submitted_job(
    entry: StreamEntry, job: Job, producer: str, *, job_ttl: timedelta, now_ms: int
) -> HeldJob:
    """Begin the way of a job that a producer has just submitted."""
    submitted_ms = entry.written_ms(now_ms)
    slip = RoutingSlip(
        producer=producer,
        task=job.task,
        submitted_ms=submitted_ms,
        expires_ms=expires_ms(job, submitted_ms, job_ttl),
        num_chars=len(job.text),
        traceparent=job.traceparent,
    )
    return HeldJob(entry, job, slip)
