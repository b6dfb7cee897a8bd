"""Bounds how long a batch may wait for its next answers."""

from collections.abc import Iterator, Sequence

from smallfirst_workers.engines import EngineRequest, EngineResult, WaitsForEndpoint
from smallfirst_workers.observers.base import BatchObserver
from smallfirst_workers.running_batches import RunningBatch
from smallfirst_workers.watchdog import Watchdog


class WatchdogObserver(BatchObserver):
    """Ends the process where answers do not come; who waits for an endpoint bounds itself."""

    def __init__(self, watchdog: Watchdog) -> None:
        self._watchdog = watchdog

    def around_answers(
        self,
        batch: RunningBatch,
        requests: Sequence[EngineRequest],
        answers: Iterator[EngineResult],
    ) -> Iterator[EngineResult]:
        """Expect each next answer within the bound."""
        if isinstance(batch.served.engine, WaitsForEndpoint):
            yield from answers
            return
        with self._watchdog.watching() as watch:
            for partial in answers:
                yield partial
                watch.progress()
