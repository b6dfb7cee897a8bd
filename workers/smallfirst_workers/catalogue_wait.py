"""For how long jobs wait here that a router planned by a catalogue which this worker does not have.

A file that is mounted reaches machines up to a minute or two apart, and a task that is in it may
have to be trained first. That is no failure of the task's model. But a worker that has another file
for good must not keep such a job for ever.
"""

from datetime import timedelta

import structlog

log = structlog.get_logger()

#: From the first job that was planned by a catalogue.
PATIENCE = timedelta(minutes=10)
#: Between two looks at the same job: what sent it here sends it again as soon as it may.
PAUSE = timedelta(seconds=1)
#: Waits that are remembered; there is one at a time, but for catalogues that change fast.
MAX_WAITS = 100


class CatalogueWait:
    """Since when this worker, by the catalogue that it had, has lacked another one."""

    def __init__(self, patience: timedelta = PATIENCE) -> None:
        self._patience_seconds = patience.total_seconds()
        self._since: dict[tuple[str, str], float] = {}

    def goes_on(self, wanted: str, present: str, now: float) -> bool:
        """Whether a job may wait for a catalogue.

        Args:
            wanted: The revision by which its router planned the job.
            present: The revision that this worker has taken up, or refused, last.
            now: On the monotonic clock, in seconds.
        """
        # A worker that has seen the same one, and lacks the task all the same, has refused it.
        if wanted == present:
            return False
        if (wanted, present) not in self._since:
            self._begin(wanted, present, now)
        return now - self._since[wanted, present] < self._patience_seconds

    def _begin(self, wanted: str, present: str, now: float) -> None:
        while len(self._since) >= MAX_WAITS:
            del self._since[next(iter(self._since))]
        self._since[wanted, present] = now
        log.warning(
            "catalogue.awaited",
            revision=wanted,
            present=present,
            patience_seconds=self._patience_seconds,
            consequence="jobs of tasks that are not loaded go back until it is here, or time is up",
        )
