"""Ending a person's jobs that are under way, and the copies that candidates in shadow have of them.

All are cancelled first, and then waited for together: what one takes, the others have as well.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from smallfirst.client import Client
from smallfirst.client.transports import State
from smallfirst.forgetting.forgotten import JobName
from smallfirst.ledger.shadow_cancelling import cancel_copy
from smallfirst.ledger.shadows import Shadows
from smallfirst.ledger.slices import Slice, slice_of

#: How long all that is cancelled may take to end, in seconds: what waits for people takes as long
#: as a router's round.
PATIENCE: Final = 30.0
#: Seconds between two looks.
PAUSE: Final = 0.2
#: Opens a client that is a producer.
Clients = Callable[[str], AbstractContextManager[Client]]

_Thing = TypeVar("_Thing")


def left_after(
    things: Iterable[_Thing], has_ended: Callable[[_Thing], bool], seconds: float
) -> list[_Thing]:
    """Wait until things have ended; give those that have not in that time."""
    until = time.monotonic() + seconds
    left = [each for each in things if not has_ended(each)]
    while left and time.monotonic() < until:
        time.sleep(PAUSE)
        left = [each for each in left if not has_ended(each)]
    return left


def end_jobs(jobs: Iterable[JobName], clients: Clients, seconds: float = PATIENCE) -> list[JobName]:
    """Cancel jobs that are under way; give those that do not end in that time."""
    named = sorted(jobs)
    with ExitStack() as opening:
        of = {
            producer: opening.enter_context(clients(producer))
            for producer in sorted({job.producer for job in named})
        }

        def has_ended(job: JobName) -> bool:
            return of[job.producer].status(job.id).state in (State.UNKNOWN, State.DONE)

        waiting = [job for job in named if not has_ended(job)]
        for job in waiting:
            of[job.producer].cancel(job.id)
        return left_after(waiting, has_ended, seconds)


def end_copies(
    slices: Sequence[Slice], jobs: Iterable[JobName], seconds: float = PATIENCE
) -> list[JobName]:
    """Cancel the copies that candidates in shadow have of jobs; give the jobs whose do not end."""
    shadows = [Shadows(place.redis, place.keys) for place in slices]
    copies = list[_Copy]()
    for job in sorted(jobs):
        number = slice_of(job.id, len(slices))
        copies.append(_Copy(slices[number], shadows[number], job))
    return [each.job for each in left_after(copies, _Copy.has_ended, seconds)]


@dataclass
class _Copy:
    """The copy of a job, if there is one.

    Attributes:
        stood: Where it stood when it was cancelled, its stream and entry; None before.
    """

    place: Slice
    shadows: Shadows
    job: JobName
    stood: tuple[str, str] | None = None

    def has_ended(self) -> bool:
        """Whether it is gone; as soon as a router has taken it up it is cancelled."""
        redis: Any = self.place.redis
        if self.stood is None and self.shadows.is_coming(*self.job):
            return False
        if self.stood is None and not self.shadows.is_under_way(*self.job):
            return True
        self.stood = self.stood or cancel_copy(self.place, *self.job)
        stream, entry = self.stood
        return not (entry and redis.xrange(stream, entry, entry))
