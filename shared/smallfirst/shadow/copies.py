"""Copies: which live jobs are asked of a candidate as well, and what of them is copied. Pure.

A job is drawn by the number by which audits draw it (see `audit.drawing`). So where the shadow's
share is at least the audit's, each answer that people check blind was asked of the candidate too.
"""

from dataclasses import dataclass
from datetime import timedelta
from hashlib import blake2b
from typing import Annotated, Final

from pydantic import StringConstraints

from smallfirst.audit.drawing import draw_of
from smallfirst.jobs import NAME_PATTERN, Job, Priority

#: In this name copies are in the fleet. No producer can have it: no name begins with an at sign.
SHADOW: Final = "@shadow"
#: Who stands behind a job: a producer, or the fleet itself for a copy.
Submitter = Annotated[str, StringConstraints(pattern=rf"^(?:{SHADOW}|{NAME_PATTERN.strip('^$')})$")]
#: How long a candidate has for a copy. What it has not answered then, it answers too late.
COPY_LIFE: Final = timedelta(minutes=10)
#: The most copies of one candidate whose pair is not counted yet, in each slice, and their bytes.
MAX_COPIES: Final = 64
MAX_COPY_BYTES: Final = 4_000_000
#: A router that has more submissions before it than this has no time to spare.
MAX_UNREAD: Final = 64


@dataclass(frozen=True)
class ShadowOrder:
    """How a candidate runs in shadow of a task.

    Attributes:
        candidate: The name under which the catalogue has it.
        share: Of the task's jobs.
        series: The hash of both cascades: of other ones the counts begin anew.
        judged_share: The share of the task's jobs that people check evenly; 0 where none does.
        keep_seconds: How long a check waits for people.
        pools: Where the candidate's steps are asked.
    """

    candidate: str
    share: float
    series: str
    judged_share: float = 0.0
    keep_seconds: int = 1
    pools: frozenset[str] = frozenset()


def is_drawn(share: float, producer: str, job_id: str, submitted_ms: int) -> bool:
    """Whether a job is among a share of all."""
    return draw_of(producer, job_id, submitted_ms) < share


def copy_id(producer: str, job_id: str) -> str:
    """Name a job's copy: always the same, and told from the copies of other producers' jobs."""
    return blake2b(f"{producer}\0{job_id}".encode(), digest_size=16).hexdigest()


def copy_of(job: Job, producer: str, candidate: str) -> Job:
    """Copy what decides the answer, and nothing that speaks of who asked or waits for it."""
    return Job(
        id=copy_id(producer, job.id),
        task=candidate,
        text=job.text,
        priority=Priority.BULK,
        first_tier=job.first_tier,
        last_tier=job.last_tier,
    )
