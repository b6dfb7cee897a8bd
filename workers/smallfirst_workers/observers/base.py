"""What an observer of batches may do: the hooks round the path claim, ask, judge, settle."""

from collections.abc import Iterator, Sequence
from typing import Literal

from smallfirst.jobs import Attempt
from smallfirst.ledger.held_jobs import HeldJob
from smallfirst.ledger.routing_slips import BatchMessage
from smallfirst.ledger.settlements import Settlement
from smallfirst_workers.engines import EngineRequest, EngineResult
from smallfirst_workers.running_batches import RunningBatch

#: What became of a batch that raised: its model is broken, nobody is to blame, or it failed.
BatchOutcome = Literal["broken", "given_back", "failed"]
#: Why an answer ends no job: its job had ended elsewhere, or goes back to be started again.
Unsettled = Literal["fenced", "given_back"]


class BatchObserver:
    """Sees every batch, and does nothing; each observer overrides the hooks it needs.

    One object sees all batches of a process, several at once where the engine takes several.
    """

    def on_claimed(self, batch: RunningBatch) -> None:
        """The batch's entries are in this worker's hands."""

    def around_answers(
        self,
        batch: RunningBatch,
        requests: Sequence[EngineRequest],
        answers: Iterator[EngineResult],
    ) -> Iterator[EngineResult]:
        """Stand between the engine and what is judged; may raise, may not drop an answer."""
        return answers

    def on_attempt(self, batch: RunningBatch, held: HeldJob, attempt: Attempt) -> None:
        """One answer was judged."""

    def on_unsettled(
        self, batch: RunningBatch, held: HeldJob, attempt: Attempt, outcome: Unsettled
    ) -> None:
        """One answer was judged, and its job is not settled here: it has ended, or went back."""

    def on_settled(self, batch: RunningBatch, settlements: Sequence[Settlement]) -> None:
        """Redis was told how these entries end."""

    def on_raised(self, message: BatchMessage, outcome: BatchOutcome, error: BaseException) -> None:
        """The batch did not come to its end; it may not have been claimed."""

    def on_closed(self, batch: RunningBatch) -> None:
        """The batch is over; `is_finished` tells whether nothing raised."""
