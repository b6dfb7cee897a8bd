"""Tells the log how batches ended."""

import traceback

import structlog

from smallfirst.ledger.routing_slips import BatchMessage
from smallfirst_workers.observers.base import BatchObserver, BatchOutcome
from smallfirst_workers.running_batches import RunningBatch

log = structlog.get_logger()


class LogObserver(BatchObserver):
    """Logs sizes and names, and never an error's own words: a tokenizer may quote the text."""

    def on_raised(self, message: BatchMessage, outcome: BatchOutcome, error: BaseException) -> None:
        """Say where it happened, and what becomes of the jobs."""
        if outcome == "given_back":
            log.warning(
                "batch.given_back",
                error=type(error).__name__,
                consequence="its jobs are dispatched again, and it counts as no start of theirs",
            )
        if outcome == "failed":
            log.error(
                "batch.failed",
                error=type(error).__name__,
                where=traceback.format_tb(error.__traceback__),
                consequence="its jobs are dispatched again, in smaller batches",
            )

    def on_closed(self, batch: RunningBatch) -> None:
        """Say what it came to, where it came to its end."""
        if batch.is_finished:
            log.info("batch.settled", **batch.summary())
