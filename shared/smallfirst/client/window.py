"""What `map` is made of: a window over a stream of jobs that may be endless.

A job is in the window from the moment it is taken in until its result is given out, and the window
never holds more than `max_in_flight`. Who pulls the jobs, and where, is the caller's business.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from time import monotonic
from typing import Final

from smallfirst.client.backoff import pauses
from smallfirst.client.chunks import CHUNK, GATHER_SECONDS, chunks
from smallfirst.client.inbox import Waiter
from smallfirst.client.offers import Offer, OnInvalid, in_place_of_invalid, job_of
from smallfirst.client.withheld import Arrival, as_result, in_place_of
from smallfirst.errors import IdConflict, InvalidJob
from smallfirst.jobs import Job, Result

#: Seconds between two looks at a full backlog.
FIRST_PAUSE, LONGEST_PAUSE = 0.02, 1.0
#: Results given out at a time, and at most this part of the window: in between it is filled again.
MAX_GIVEN_OUT, PART_GIVEN_OUT = 250, 4
#: What a stream of jobs has after its last: no offer is it, not even a wrong one.
_END: Final = Job(task="end", text="end")


@dataclass
class _Open:
    """One id in the window: the job that was asked under it, and how many results it is due."""

    fingerprint: str
    num_due: int = 0


class Flow:
    """One `map` on its way.

    Args:
        basket: Where its results arrive.
        add: Submits the first few of some jobs, as far as the backlog has room, and has the basket
            expect their results; returns how many.
        cancel: Cancels jobs.
        max_in_flight: The most jobs in the window.
        ordered: Whether results are held back until those before them are there.
        on_invalid: What becomes of an offer that is no job.
    """

    def __init__(
        self,
        basket: Waiter,
        *,
        add: Callable[[Sequence[Job], Waiter], Awaitable[int]],
        cancel: Callable[[Sequence[str]], Awaitable[None]],
        max_in_flight: int,
        ordered: bool,
        on_invalid: OnInvalid,
    ) -> None:
        if max_in_flight < 1:
            raise ValueError("max_in_flight must be at least 1")
        self._basket = basket
        self._add = add
        self._cancel = cancel
        self._max_in_flight = max_in_flight
        self._on_invalid = on_invalid
        self._order: deque[str | Result] | None = deque() if ordered else None
        self._unsent: deque[Job] = deque()
        self._open: dict[str, _Open] = {}
        self._held: dict[str, Result] = {}
        self._ready: deque[Result] = deque()
        self._num_in_window = 0
        self._is_finished = False
        self._error: BaseException | None = None
        self._has_room = asyncio.Event()

    @property
    def room(self) -> int:
        """How many more jobs may be taken in."""
        return self._max_in_flight - self._num_in_window

    @property
    def is_done(self) -> bool:
        """Whether no more jobs come and every result is given out."""
        return self._is_finished and not self._num_in_window

    async def feed(self, jobs: Iterable[Offer] | AsyncIterable[Offer]) -> None:
        """Take in all jobs as there is room, beside somebody who collects."""
        try:
            source = _each(jobs)
            await self._wait_for_room()
            while (job := await anext(source, _END)) is not _END:
                self._take_in([job])
                self._basket.wake()
                await self._wait_for_room()
            self._is_finished = True
        except BaseException as error:
            self._error = error
            raise
        finally:
            self._basket.wake()

    async def turn(self, jobs: Sequence[Offer]) -> list[Result]:
        """Take in the next jobs, none if there are no more, and return what is ready.

        Waits for a result only when nothing else can be done: the window is full, or at its end.
        """
        if not jobs and self.room:
            self._is_finished = True
        self._take_in(jobs)
        return await self.collect(wait=self._is_finished or not self.room)

    async def collect(self, *, wait: bool = True) -> list[Result]:
        """Submit what is taken in and return what is ready; empty at the end, or not to wait."""
        for pause in pauses(first=FIRST_PAUSE, longest=LONGEST_PAUSE):
            await self._send()
            self._sort_in(self._basket.take())
            if self._ready or self.is_done or self._error or not wait:
                break
            with suppress(TimeoutError):
                async with asyncio.timeout(pause if self._unsent else None):
                    await self._basket.wait()
        return self._give_out()

    async def cancel_rest(self) -> None:
        """Cancel what is submitted and unanswered."""
        unsent = {job.id for job in self._unsent}
        submitted = [job_id for job_id in self._basket.missing if job_id not in unsent]
        self.close()
        for chunk in chunks(submitted):
            await self._cancel(chunk)

    def close(self) -> None:
        """Wait for nothing any more; what is submitted goes on."""
        self._basket.close()

    async def _wait_for_room(self) -> None:
        while not self.room:
            self._has_room.clear()
            await self._has_room.wait()

    def _take_in(self, offers: Sequence[Offer]) -> None:
        self._num_in_window += len(offers)
        for offer in offers:
            try:
                self._ask(job_of(offer))
            except InvalidJob as error:
                if self._on_invalid == "raise":
                    raise
                self._settle(in_place_of_invalid(offer, error))

    def _ask(self, job: Job) -> None:
        """Have a job submitted, unless another in the window has its id."""
        fingerprint = job.fingerprint
        asked = self._open.setdefault(job.id, _Open(fingerprint))
        if asked.fingerprint != fingerprint:
            self._settle(in_place_of(IdConflict(job.id), job))
            return
        asked.num_due += 1
        self._unsent.append(job)
        if self._order is not None:
            self._order.append(job.id)

    def _settle(self, result: Result) -> None:
        """Give out a result at its place, for what is not submitted."""
        (self._ready if self._order is None else self._order).append(result)

    async def _send(self) -> None:
        while self._unsent:
            chunk = list(islice(self._unsent, CHUNK))
            num_added = await self._add(chunk, self._basket)
            for _ in range(num_added):
                self._unsent.popleft()
            if not num_added:
                return

    def _sort_in(self, arrivals: Sequence[Arrival]) -> None:
        for result in map(as_result, arrivals):
            if result.id not in self._open:
                continue
            if self._order is None:
                self._ready.extend([result] * self._open.pop(result.id).num_due)
            else:
                self._held[result.id] = result
        while self._order and self._is_there(self._order[0]):
            self._ready.append(self._next_held(self._order.popleft()))

    def _is_there(self, place: str | Result) -> bool:
        return isinstance(place, Result) or place in self._held

    def _next_held(self, place: str | Result) -> Result:
        """Take a held result; it stays where the same id stands again further on."""
        if isinstance(place, Result):
            return place
        self._open[place].num_due -= 1
        if self._open[place].num_due:
            return self._held[place]
        del self._open[place]
        return self._held.pop(place)

    def _give_out(self) -> list[Result]:
        most = min(MAX_GIVEN_OUT, max(1, self._max_in_flight // PART_GIVEN_OUT))
        given = [self._ready.popleft() for _ in range(min(most, len(self._ready)))]
        self._num_in_window -= len(given)
        self._has_room.set()
        return given


async def _each(jobs: Iterable[Offer] | AsyncIterable[Offer]) -> AsyncIterator[Offer]:
    """Walk over either kind; a long walk lets others run now and then."""
    if isinstance(jobs, AsyncIterable):
        async for job in jobs:
            yield job
        return
    turn_ends = monotonic() + GATHER_SECONDS
    for job in jobs:
        yield job
        if monotonic() > turn_ends:
            await asyncio.sleep(0)
            turn_ends = monotonic() + GATHER_SECONDS
