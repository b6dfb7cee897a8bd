"""Books what attempts took: those that are settled, and those that are not."""

from collections.abc import Sequence

from smallfirst.jobs import Attempt
from smallfirst.ledger.held_jobs import HeldJob
from smallfirst.ledger.own_books import OwnBooks
from smallfirst.ledger.settlements import Settlement
from smallfirst_workers.observers.base import BatchObserver, Unsettled
from smallfirst_workers.running_batches import RunningBatch
from smallfirst_workers.worker_time import WorkerTime


class BooksObserver(BatchObserver):
    """Keeps the books of a worker process.

    Args:
        time: Of the process.
        books: Of the process.
    """

    def __init__(self, time: WorkerTime, books: OwnBooks) -> None:
        self._time = time
        self._books = books

    def on_attempt(self, batch: RunningBatch, held: HeldJob, attempt: Attempt) -> None:
        """Count what the attempt took: a script books it with its job, or this does."""
        self._time.count_attempt(attempt.seconds, attempt.joules)

    def on_settled(self, batch: RunningBatch, settlements: Sequence[Settlement]) -> None:
        """Count what the jobs were like."""
        self._books.seen.count(settlements)

    def on_unsettled(
        self, batch: RunningBatch, held: HeldJob, attempt: Attempt, outcome: Unsettled
    ) -> None:
        """Take down what the attempt took in vain."""
        self._books.note_attempt(held.job.task, attempt, outcome)
