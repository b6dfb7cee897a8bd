"""Drifted jobs: answers that have to be surer, while a task's jobs are unlike its promise's rows.

A router asks so of its own models. What waits elsewhere is looked at here, when it is taken up, so
that what was parked before the alarm is held to it too, and nothing that was parked before its end.
"""

from collections.abc import Sequence

from redis.exceptions import NoPermissionError

from smallfirst.ledger.alarms import Alarms, Standing
from smallfirst.ledger.held_jobs import HeldJob
from smallfirst.telemetry.outages import tell


def with_raised(jobs: Sequence[HeldJob], alarms: Alarms) -> list[HeldJob]:
    """The same jobs, of which those have stricter thresholds whose task has an alarm standing.

    Redis is asked only where some task of theirs raises its thresholds. Where its rules are of an
    older version, nothing is raised.
    """
    if all(held.slip.asked.cautious is None for held in jobs):
        return list(jobs)
    try:
        standing = alarms.standing()
    except NoPermissionError as error:
        tell(error, consequence="thresholds are not raised, although jobs may have drifted")
        return list(jobs)
    return [_raised(held) if _has_drifted(held, standing) else held for held in jobs]


def _has_drifted(held: HeldJob, standing: Standing) -> bool:
    asked, alarm = held.slip.asked, standing.get(held.slip.task)
    return asked.cautious is not None and alarm is not None and alarm.promise == asked.promise


def _raised(held: HeldJob) -> HeldJob:
    asked = held.slip.asked
    acceptance = asked.acceptance.model_copy(update={"raised": asked.cautious})
    request = asked.model_copy(update={"acceptance": acceptance})
    return held._replace(slip=held.slip.model_copy(update={"request": request}))
