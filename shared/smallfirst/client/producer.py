"""The producer's side of the wire: the logic of both clients, whoever drives it.

It owns when jobs may be submitted and what is done with the ids. `clients` owns how that looks to a
program with an event loop and to one without.
"""

import asyncio
import os
import secrets
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Literal

from smallfirst.client.affinity import LoopAffinity
from smallfirst.client.arrivals import Arrivals
from smallfirst.client.backoff import pauses
from smallfirst.client.chunks import CHUNK
from smallfirst.client.inbox import ResultInbox, Waiter
from smallfirst.client.offers import OnInvalid
from smallfirst.client.slices import SlicedTransport
from smallfirst.client.transports import JobLocation, RedisTransport, Transport
from smallfirst.client.window import Flow
from smallfirst.errors import BacklogFull, ResultWithheld
from smallfirst.jobs import DEFAULT_PRODUCER, Job, Result
from smallfirst.process.announcement import find_fleet
from smallfirst.telemetry.traceparent import current_traceparent

#: Names the Redis to use where the program does not.
URL_VARIABLE = "SMALLFIRST_REDIS_URL"
#: Names the producer where the program does not.
PRODUCER_VARIABLE = "SMALLFIRST_PRODUCER"
#: Tells how many slices the fleet has where the program does not.
SLICES_VARIABLE = "SMALLFIRST_SLICES"
DEFAULT_URL = "redis://127.0.0.1:6379/0"
#: Most jobs that may wait for a router before a client holds back.
MAX_BACKLOG = 100_000
#: Seconds between two looks at a full backlog.
FIRST_PAUSE, LONGEST_PAUSE = 0.02, 1.0

#: What a client does when the backlog is full: wait until it is not, or raise `BacklogFull`.
WhenFull = Literal["block", "error"]


class Producer:
    """Submits jobs and waits for results. Lives in one event loop of one process."""

    def __init__(
        self, transport: Transport, *, reply_to: str | None, max_backlog: int, when_full: WhenFull
    ) -> None:
        self._transport = transport
        self._reply_to = reply_to or secrets.token_hex(8)
        self._max_backlog = max_backlog
        self._when_full = when_full
        self._home = LoopAffinity()
        self._inbox = ResultInbox(transport, self._reply_to, self._home)

    async def submit(self, jobs: Sequence[Job]) -> list[str]:
        """Submit all of these, as the backlog has room; return their ids."""
        ids: list[str] = []
        waits = pauses(first=FIRST_PAUSE, longest=LONGEST_PAUSE)
        while len(ids) < len(jobs):
            if num_added := await self.add(jobs[len(ids) :]):
                ids += [job.id for job in jobs[len(ids) : len(ids) + num_added]]
                waits = pauses(first=FIRST_PAUSE, longest=LONGEST_PAUSE)
            else:
                await asyncio.sleep(next(waits))
        return ids

    async def add(self, jobs: Sequence[Job], waiter: Waiter | None = None) -> int:
        """Submit the first few of these, as far as the backlog has room; return how many.

        Their results come to the waiter, if there is one.
        """
        self._home.require()
        room = self._max_backlog - await self._transport.count_backlog()
        if room <= 0:
            if self._when_full == "error":
                raise BacklogFull(self._max_backlog)
            return 0
        some = [self._addressed(job) for job in jobs[: min(room, CHUNK)]]
        self._inbox.announce(some, waiter)
        try:
            self._inbox.note_entries(some, await self._transport.add(some))
        except BaseException:
            # Whether they are submitted nobody knows, and so what stands is all there is.
            self._inbox.trust(job.id for job in some)
            raise
        return len(some)

    def arrivals(self, ids: Iterable[str], timeout: float | timedelta | None) -> Arrivals:
        """Wait for results in whatever order they come."""
        if timeout is not None and not isinstance(timeout, timedelta):
            timeout = timedelta(seconds=timeout)
        return Arrivals(self._inbox, ids, timeout)

    async def result(self, job_id: str, timeout: float | timedelta | None) -> Result:  # noqa: ASYNC109
        """Wait for one result.

        Raises:
            ResultTimeout: When the time is up.
            ResultWithheld: When there is one that this client does not give out.
        """
        arrivals = self.arrivals([job_id], timeout)
        try:
            [arrival] = await arrivals.next()
        finally:
            arrivals.close()
        if isinstance(arrival, ResultWithheld):
            raise arrival
        return arrival

    def flow(self, *, max_in_flight: int, ordered: bool, on_invalid: OnInvalid) -> Flow:
        """Open a window over a stream of jobs."""
        return Flow(
            Waiter(self._inbox),
            add=self.add,
            cancel=self._transport.cancel,
            max_in_flight=max_in_flight,
            ordered=ordered,
            on_invalid=on_invalid,
        )

    async def locate(self, job_id: str) -> JobLocation:
        """Find out where a job is."""
        self._home.require()
        return await self._transport.locate(job_id)

    async def cancel(self, job_id: str) -> None:
        """Ask that a job be dropped."""
        self._home.require()
        await self._transport.cancel([job_id])

    async def close(self) -> None:
        """Let go of everything; whoever waits gets `ClientClosed`."""
        if not self._home.is_closed:
            self._home.is_closed = True
            await self._inbox.close()
            await self._transport.close()

    def _addressed(self, job: Job) -> Job:
        """Say who waits for the result, and within which of the program's spans."""
        own = {"reply_to": self._reply_to, "traceparent": current_traceparent()}
        missing = {name: value for name, value in own.items() if value and not getattr(job, name)}
        return job.model_copy(update=missing) if missing else job


def transport_to(
    url: str | None, namespace: str, producer: str | None, num_slices: int | None
) -> Transport:
    """Find Redis: as the program says, as the environment says, or that of the fleet here.

    Whose jobs they are, and how many slices the fleet has, is found in the same way.

    Raises:
        ValueError: When no producer can have that name, or no fleet so many slices.
    """
    address = url or os.environ.get(URL_VARIABLE) or _url_here()
    name = producer or os.environ.get(PRODUCER_VARIABLE) or DEFAULT_PRODUCER
    count = num_slices or int(os.environ.get(SLICES_VARIABLE) or 1)
    if count < 1:
        raise ValueError(f"slices: must be at least 1, not {count}")
    slices = [
        RedisTransport(address, namespace=namespace, producer=name, number=number, num_slices=count)
        for number in range(count)
    ]
    return slices[0] if count == 1 else SlicedTransport(slices)


def _url_here() -> str:
    """The Redis of the fleet that `smallfirst up` runs on this machine, else the usual port."""
    fleet = find_fleet()
    return fleet.redis_url if fleet else DEFAULT_URL
