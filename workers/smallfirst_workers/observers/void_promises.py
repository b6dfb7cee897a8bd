"""Warns of a model that answers and is not the one that was calibrated."""

import structlog

from smallfirst.jobs import Attempt
from smallfirst.ledger.held_jobs import HeldJob
from smallfirst_workers.observers.base import BatchObserver
from smallfirst_workers.running_batches import RunningBatch

log = structlog.get_logger()


class VoidPromiseObserver(BatchObserver):
    """Warns once for each task and revision."""

    def __init__(self) -> None:
        self._warned: set[tuple[str, str]] = set()

    def on_attempt(self, batch: RunningBatch, held: HeldJob, attempt: Attempt) -> None:
        """Look whether the answer could have stood at all."""
        known = (held.job.task, attempt.revision)
        if not held.slip.asked.acceptance.is_void(attempt.revision) or known in self._warned:
            return
        self._warned.add(known)
        log.warning(
            "promise.void",
            task=held.job.task,
            model=attempt.model,
            revision=attempt.revision,
            consequence="no answer of this model stands; its jobs go to the next step",
            remedy=f"calibrate the task again: smallfirst calibrate {held.job.task}",
        )
