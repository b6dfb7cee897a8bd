"""What `result` and `as_completed` wait on: the results of given ids, as they come."""

import asyncio
from collections.abc import Awaitable, Iterable
from datetime import timedelta

from smallfirst.client.chunks import chunks
from smallfirst.client.inbox import ResultInbox, Waiter
from smallfirst.client.withheld import Arrival
from smallfirst.errors import ResultTimeout

#: The first look is given this long, however short the timeout.
FIRST_LOOK_SECONDS = 1.0


class Arrivals:
    """The results of given ids, each once, with one timeout for all.

    Args:
        inbox: Where they come.
        ids: The jobs; each is waited for once, however often it is named.
        timeout: From the first call of `next`; None waits for ever.
    """

    def __init__(self, inbox: ResultInbox, ids: Iterable[str], timeout: timedelta | None) -> None:
        self._inbox = inbox
        self._basket = Waiter(inbox)
        self._ids = tuple(dict.fromkeys(ids))
        self._unseen = chunks(self._ids)
        self._timeout = timeout
        self._started_at: float | None = None

    async def next(self) -> list[Arrival]:
        """Wait for more results and return them; an empty list is the end.

        Raises:
            ResultTimeout: When the time is up.
        """
        if self._started_at is None:
            self._started_at = asyncio.get_running_loop().time()
            self._basket.expect(dict.fromkeys(self._ids))
        while self._basket.is_open:
            if chunk := next(self._unseen, None):
                await self._in_time(self._inbox.look(chunk), at_least=FIRST_LOOK_SECONDS)
            else:
                await self._in_time(self._basket.wait())
            if found := self._basket.take():
                return found
        return []

    def close(self) -> None:
        """Wait for nothing any more."""
        self._basket.close()

    async def _in_time(self, step: Awaitable[object], *, at_least: float = 0.0) -> None:
        if self._timeout is None or self._started_at is None:
            await step
            return
        deadline = self._started_at + self._timeout.total_seconds()
        earliest = asyncio.get_running_loop().time() + at_least
        try:
            async with asyncio.timeout_at(max(deadline, earliest)):
                await step
        except TimeoutError:
            raise ResultTimeout(tuple(self._basket.missing), self._timeout) from None
