"""Before an endpoint that does not answer, questions wait here instead of going back to the queue.

A batch that was given back would be dispatched again at once, to this worker or to another that
asks the same endpoint: jobs would go round in circles, and each round would count as a start, until
they were poison. So whoever meets an open breaker keeps its entries in hand, their leases renewed,
until the endpoint answers or the job's own deadline ends it. A worker whose questions all wait has
no slot for more, so what waits elsewhere waits in the backlog. Only a worker that has to go, or to
let go of the model, gives back; that takes back the start, since the job was not to blame.

The breaker belongs to one model. Models of one pool share its slots, so that an endpoint that is
down holds up those beside it: endpoints that fail apart want pools apart.
"""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass

import structlog

from smallfirst_workers.errors import EndpointDown
from smallfirst_workers.llm.endpoint.breaker import Breaker
from smallfirst_workers.llm.endpoint.failures import RequestFailure

log = structlog.get_logger()


@dataclass(frozen=True)
class Permit:
    """That somebody was let through, as the probe or like everybody."""

    is_probe: bool


class BreakerGate:
    """The breaker of one endpoint, and the line before it. All of it runs on one event loop."""

    def __init__(self, model: str, endpoint: str) -> None:
        self._model = model
        self._endpoint = endpoint
        self._breaker = Breaker()
        self._line = asyncio.Lock()
        self._news = asyncio.Event()
        self._is_leaving = False
        self._reason: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether the endpoint is known not to answer."""
        return not self._breaker.is_closed

    @property
    def num_successes(self) -> int:
        """How often the endpoint has answered."""
        return self._breaker.num_successes

    async def enter(self) -> Permit:
        """Wait until the endpoint may be asked; who came first goes first.

        Raises:
            EndpointDown: When nobody is to wait any longer.
        """
        async with self._line:
            while not self._breaker.admits(time.monotonic()):
                await self._wait()
            passage = Permit(is_probe=self.is_open)
            self._breaker = self._breaker.entered()
            return passage

    async def _wait(self) -> None:
        """Wait for news, or for the time at which a probe may be sent."""
        if self._is_leaving:
            raise EndpointDown(self._model)
        news = self._news
        with suppress(TimeoutError):
            async with asyncio.timeout(self._breaker.seconds_to_wait(time.monotonic())):
                await news.wait()

    def succeed(self) -> None:
        """Say that the endpoint answered."""
        if self.is_open:
            log.info("endpoint.back", model=self._model, endpoint=self._endpoint)
        self._reason = None
        self._change(self._breaker.succeeded())

    def fail(self, passage: Permit, failure: RequestFailure) -> None:
        """Say that it did not, however often it was asked."""
        is_news = passage.is_probe or not self.is_open
        failed = self._breaker.failed(
            time.monotonic(),
            is_probe=passage.is_probe,
            at_once=failure.opens_at_once,
            asked=failure.asked_seconds,
        )
        self._change(failed)
        if self.is_open and is_news:
            self._say(failure)

    def _say(self, failure: RequestFailure) -> None:
        """Log why the endpoint is down: once, and once more for each new reason."""
        if failure.what == self._reason:
            return
        self._reason = failure.what
        log.warning(
            "endpoint.down",
            model=self._model,
            endpoint=self._endpoint,
            reason=failure.what,
            consequence="its jobs wait in this worker until it answers or they expire",
            remedy=failure.remedy,
        )

    def abandon(self, passage: Permit) -> None:
        """Say that whoever was let through has left without news."""
        if passage.is_probe:
            self._change(self._breaker.abandoned())

    def stop_waiting(self) -> None:
        """Let nobody wait any longer, now or later."""
        self._is_leaving = True
        self._change(self._breaker)

    def _change(self, breaker: Breaker) -> None:
        self._breaker = breaker
        self._news.set()
        self._news = asyncio.Event()
