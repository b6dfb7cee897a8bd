"""Asks a model that fails a plain question, to tell a broken model from jobs that break it."""

from collections.abc import Iterator, Sequence

from smallfirst_workers.engines import EngineRequest, EngineResult
from smallfirst_workers.errors import EngineDead, ModelBroken
from smallfirst_workers.leases import BLAMELESS
from smallfirst_workers.observers.base import BatchObserver
from smallfirst_workers.probing import has_failed, is_sound
from smallfirst_workers.running_batches import RunningBatch
from smallfirst_workers.watchdog import Watchdog


class SelfTestObserver(BatchObserver):
    """Gives answers out as long as the model is not found broken."""

    def __init__(self, watchdog: Watchdog) -> None:
        self._watchdog = watchdog

    def around_answers(
        self,
        batch: RunningBatch,
        requests: Sequence[EngineRequest],
        answers: Iterator[EngineResult],
    ) -> Iterator[EngineResult]:
        """Test the model when all of a partial result failed, or when it raised.

        Raises:
            ModelBroken: When it fails on these questions, and on a plain one too.
        """
        try:
            for partial in answers:
                if has_failed(partial):
                    self._test(batch, requests[0])
                yield partial
        except (EngineDead, *BLAMELESS, GeneratorExit):
            raise
        except BaseException:
            self._test(batch, requests[0])
            raise

    def _test(self, batch: RunningBatch, request: EngineRequest) -> None:
        with self._watchdog.watching():
            if not is_sound(batch.served.engine, request.task, request.options):
                raise ModelBroken(batch.message.model)
