"""Makes the spans of a batch and of each attempt in it."""

import time

from smallfirst.jobs import Attempt
from smallfirst.ledger.held_jobs import HeldJob
from smallfirst.telemetry.tracing import Mark, Tracing
from smallfirst_workers.observers.base import BatchObserver
from smallfirst_workers.running_batches import RunningBatch


class TracingObserver(BatchObserver):
    """A batch serves many jobs, so its span has links and no parent; an attempt is its job's."""

    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing
        self._marks: dict[int, Mark] = {}

    def on_claimed(self, batch: RunningBatch) -> None:
        """Begin the batch's span, linked to each job's."""
        message = batch.message
        told = {"smallfirst.batch": message.batch, "smallfirst.model": message.model}
        told |= {"smallfirst.pool": message.pool}
        links = [held.slip.traceparent for held in batch.live]
        self._marks[id(batch)] = self._tracing.begin("batch", attributes=told, links=links)

    def on_attempt(self, batch: RunningBatch, held: HeldJob, attempt: Attempt) -> None:
        """Make the attempt's span, beside that of the batch."""
        parent = held.slip.traceparent
        if parent is None:
            return
        link = self._marks[id(batch)].traceparent
        seconds = time.monotonic() - batch.clock.monotonic
        self._tracing.step(held.job.task, attempt, parent=parent, link=link, seconds=seconds)

    def on_closed(self, batch: RunningBatch) -> None:
        """End the batch's span."""
        if mark := self._marks.pop(id(batch), None):
            mark.end()
