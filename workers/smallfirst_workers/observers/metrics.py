"""Counts batches, attempts and endings for Prometheus."""

import time
from collections.abc import Sequence

from smallfirst.jobs import Attempt
from smallfirst.ledger.held_jobs import HeldJob
from smallfirst.ledger.routing_slips import BatchMessage
from smallfirst.ledger.settlements import Settlement
from smallfirst_workers.metrics import WorkerMetrics
from smallfirst_workers.observers.base import BatchObserver, BatchOutcome
from smallfirst_workers.running_batches import RunningBatch


class MetricsObserver(BatchObserver):
    """Feeds the metrics of a worker process."""

    def __init__(self, metrics: WorkerMetrics) -> None:
        self._metrics = metrics

    def on_attempt(self, batch: RunningBatch, held: HeldJob, attempt: Attempt) -> None:
        """Count the attempt."""
        self._metrics.count_attempt(held.job.task, attempt)

    def on_settled(self, batch: RunningBatch, settlements: Sequence[Settlement]) -> None:
        """Count the jobs that ended."""
        self._metrics.count_endings(settlements)

    def on_raised(self, message: BatchMessage, outcome: BatchOutcome, error: BaseException) -> None:
        """Count the batch by what became of it."""
        self._metrics.count_outcome(message.model, outcome)

    def on_closed(self, batch: RunningBatch) -> None:
        """Count the batch, where it came to its end."""
        if not batch.is_finished:
            return
        model = batch.message.model
        self._metrics.count_batch(
            model,
            num_jobs=len(batch.jobs),
            num_fenced=batch.settled.fenced,
            seconds=time.monotonic() - batch.began,
        )
        self._metrics.count_positions(model, tokens=batch.tokens, positions=batch.positions)
