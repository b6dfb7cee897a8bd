"""The two clients: the same methods, with and without an event loop of the program's own.

Both are thin: what they do is in `producer`, which `Client` runs on a thread of its own. Jobs that
are given as an iterable are pulled where the caller is, never on that thread.
"""

import asyncio
import weakref
from collections.abc import AsyncGenerator, AsyncIterable, Generator, Iterable
from contextlib import suppress
from datetime import timedelta
from types import TracebackType
from typing import Self

from smallfirst.client.cancelling import end_tasks
from smallfirst.client.chunks import chunks, gather
from smallfirst.client.loop_thread import LoopThread
from smallfirst.client.offers import Offer, OnInvalid, job_of
from smallfirst.client.producer import MAX_BACKLOG, Producer, WhenFull, transport_to
from smallfirst.client.transports import JobLocation, Transport
from smallfirst.client.withheld import as_result
from smallfirst.errors import ClientClosed
from smallfirst.jobs import Result


class AsyncClient:
    """Submits jobs to a fleet and waits for their results, in the program's event loop.

    Every method may raise `FleetUnreachable`, when Redis cannot be reached for 15 seconds (at once
    when it is to be on this machine, where nobody listens and nobody did before), and
    `FleetRefused`, when Redis answers with an error. A submission that raised may be repeated: an
    id is answered once, however often it is submitted.

    Args:
        url: Of Redis; left out, `SMALLFIRST_REDIS_URL`, or that of the fleet which `smallfirst up`
            runs on this machine, or else this machine's port 6379.
        namespace: Of the fleet; several may share a Redis.
        producer: Whose jobs are submitted and looked up; left out, `SMALLFIRST_PRODUCER`, or
            `default`. Ids are a producer's own.
        slices: How many the fleet has; left out, `SMALLFIRST_SLICES`, or 1.
        reply_to: Names the channel that tells this client of its results; made at random where left
            out. Clients that share a name wake each other for nothing.
        max_backlog: Most jobs that may wait for a router before this client holds back.
        when_full: What it does then: `block` until there is room, or raise `BacklogFull` (`error`).
        transport: Another way to the fleet, instead of `url`; see `testing`.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        namespace: str = "sf",
        producer: str | None = None,
        slices: int | None = None,
        reply_to: str | None = None,
        max_backlog: int = MAX_BACKLOG,
        when_full: WhenFull = "block",
        transport: Transport | None = None,
    ) -> None:
        self._producer = Producer(
            transport or transport_to(url, namespace, producer, slices),
            reply_to=reply_to,
            max_backlog=max_backlog,
            when_full=when_full,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def submit(self, job: Offer) -> str:
        """Submit one job, or the fields of one; return its id.

        Raises:
            InvalidJob: When it is none.
        """
        return (await self._producer.submit([job_of(job)]))[0]

    async def submit_many(self, jobs: Iterable[Offer]) -> list[str]:
        """Submit jobs, many in one round trip; return their ids.

        Raises:
            InvalidJob: When one is none. What was sent in earlier round trips is in; so after any
                error.
        """
        ids = []
        for chunk in chunks(map(job_of, jobs)):
            ids += await self._producer.submit(chunk)
        return ids

    async def result(self, id: str, timeout: float | timedelta | None = None) -> Result:  # noqa: A002, ASYNC109
        """Wait for the result of a job, whoever submitted it.

        Args:
            id: Of the job.
            timeout: Seconds, or a timedelta; None waits for ever.

        Raises:
            ResultTimeout: When there is none in time. The job goes on.
            IdConflict: When this client submitted another job under the id than is answered.
            ResultUnreadable: When the fleet is too new for this client.
        """
        return await self._producer.result(id, timeout)

    async def as_completed(
        self,
        ids: Iterable[str],
        timeout: float | timedelta | None = None,  # noqa: ASYNC109
    ) -> AsyncGenerator[Result, None]:
        """Yield the result of each of these jobs once, as they come. `timeout` is for all of them.

        Where `result` would raise `IdConflict` or `ResultUnreadable`, a result stands in its place,
        as in `map`.

        Raises:
            ResultTimeout: When the time is up; it has the ids that are missing.
        """
        arrivals = self._producer.arrivals(ids, timeout)
        try:
            while arrived := await arrivals.next():
                for arrival in arrived:
                    yield as_result(arrival)
        finally:
            arrivals.close()

    async def map(
        self,
        jobs: Iterable[Offer] | AsyncIterable[Offer],
        *,
        max_in_flight: int = 1000,
        ordered: bool = True,
        cancel_on_close: bool = False,
        on_invalid: OnInvalid = "raise",
    ) -> AsyncGenerator[Result, None]:
        """Submit jobs as there is room, and yield a result for each.

        A job that cannot have its own result ends nobody else's: it yields one of status `failed`
        whose problem has the code `id_conflict` (its id was submitted before with another text,
        task or options; give it another) or `result_unreadable` (the fleet is too new).

        Memory is bounded however many jobs there are: no more than `max_in_flight` are pulled from
        `jobs` and not yet yielded. If you leave the loop early, close the generator
        (`contextlib.aclosing`).

        Args:
            jobs: Any iterable, pulled lazily. One that blocks should be asynchronous.
            max_in_flight: Most jobs that are submitted and unanswered, or held back for the order.
            ordered: Yield in the order of the jobs, or else as they are answered.
            cancel_on_close: Cancel what is unanswered when the generator is closed early. A
                cancellation is a result for ever: leave it out where ids are submitted again later.
            on_invalid: What to do about a job that breaks a rule, such as an empty text: raise
                `InvalidJob`, or yield a result of status `refused` in its place and go on. For that
                the jobs must be given as mappings of their fields: one that cannot be made of them
                has ended the generator which makes it.
        """
        flow = self._producer.flow(
            max_in_flight=max_in_flight, ordered=ordered, on_invalid=on_invalid
        )
        feeder = asyncio.create_task(flow.feed(jobs))
        try:
            while not flow.is_done:
                for result in await flow.collect():
                    yield result
                if feeder.done():
                    feeder.result()
        finally:
            await end_tasks(feeder)
            if cancel_on_close:
                with suppress(ClientClosed):
                    await flow.cancel_rest()
            else:
                flow.close()

    async def status(self, id: str) -> JobLocation:  # noqa: A002
        """Find out where a job is now."""
        return await self._producer.locate(id)

    async def cancel(self, id: str) -> None:  # noqa: A002
        """Ask that a job be dropped. Where no result stands yet, it will say cancelled.

        A job that is submitted within the next ten minutes is cancelled too.
        """
        await self._producer.cancel(id)

    async def close(self) -> None:
        """Let the connections go. Whoever still waits gets `ClientClosed`."""
        await self._producer.close()


class Client:
    """Submits jobs to a fleet and waits for their results; threads may share one.

    Its work is done on a thread of its own, which starts with the first call and ends with `close`.
    A client that was used does not survive a fork: create it after. Arguments, methods and errors
    are those of `AsyncClient`.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        namespace: str = "sf",
        producer: str | None = None,
        slices: int | None = None,
        reply_to: str | None = None,
        max_backlog: int = MAX_BACKLOG,
        when_full: WhenFull = "block",
        transport: Transport | None = None,
    ) -> None:
        self._producer = Producer(
            transport or transport_to(url, namespace, producer, slices),
            reply_to=reply_to,
            max_backlog=max_backlog,
            when_full=when_full,
        )
        self._loop = LoopThread("smallfirst-client", at_end=self._producer.close)
        # Ends the thread also when the client is dropped, or the program ends.
        self._end = weakref.finalize(self, self._loop.stop)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def submit(self, job: Offer) -> str:
        """Submit one job, or the fields of one; return its id.

        Raises:
            InvalidJob: When it is none.
        """
        return self._loop.call(self._producer.submit([job_of(job)]))[0]

    def submit_many(self, jobs: Iterable[Offer]) -> list[str]:
        """Submit jobs, many in one round trip; return their ids.

        Raises:
            InvalidJob: When one is none. What was sent in earlier round trips is in; so after any
                error.
        """
        ids = []
        for chunk in chunks(map(job_of, jobs)):
            ids += self._loop.call(self._producer.submit(chunk))
        return ids

    def result(self, id: str, timeout: float | timedelta | None = None) -> Result:  # noqa: A002
        """Wait for the result of a job, whoever submitted it.

        Args:
            id: Of the job.
            timeout: Seconds, or a timedelta; None waits for ever.

        Raises:
            ResultTimeout: When there is none in time. The job goes on.
            IdConflict: When this client submitted another job under the id than is answered.
            ResultUnreadable: When the fleet is too new for this client.
        """
        return self._loop.call(self._producer.result(id, timeout))

    def as_completed(
        self, ids: Iterable[str], timeout: float | timedelta | None = None
    ) -> Generator[Result, None, None]:
        """Yield the result of each of these jobs once, as they come. `timeout` is for all of them.

        Where `result` would raise `IdConflict` or `ResultUnreadable`, a result stands in its place,
        as in `map`.

        Raises:
            ResultTimeout: When the time is up; it has the ids that are missing.
        """
        arrivals = self._producer.arrivals(ids, timeout)
        try:
            while arrived := self._loop.call(arrivals.next()):
                yield from map(as_result, arrived)
        finally:
            self._loop.post(arrivals.close)

    def map(
        self,
        jobs: Iterable[Offer],
        *,
        max_in_flight: int = 1000,
        ordered: bool = True,
        cancel_on_close: bool = False,
        on_invalid: OnInvalid = "raise",
    ) -> Generator[Result, None, None]:
        """Submit jobs as there is room, and yield a result for each.

        A job that cannot have its own result ends nobody else's: it yields one of status `failed`
        whose problem has the code `id_conflict` (its id was submitted before with another text,
        task or options; give it another) or `result_unreadable` (the fleet is too new).

        Memory is bounded however many jobs there are: no more than `max_in_flight` are pulled from
        `jobs` and not yet yielded.

        Args:
            jobs: Any iterable, pulled lazily in the caller's thread.
            max_in_flight: Most jobs that are submitted and unanswered, or held back for the order.
            ordered: Yield in the order of the jobs, or else as they are answered.
            cancel_on_close: Cancel what is unanswered when the generator is closed early. A
                cancellation is a result for ever: leave it out where ids are submitted again later.
            on_invalid: What to do about a job that breaks a rule, such as an empty text: raise
                `InvalidJob`, or yield a result of status `refused` in its place and go on. For that
                the jobs must be given as mappings of their fields: one that cannot be made of them
                has ended the generator which makes it.
        """
        flow = self._producer.flow(
            max_in_flight=max_in_flight, ordered=ordered, on_invalid=on_invalid
        )
        source = iter(jobs)
        try:
            while not flow.is_done:
                yield from self._loop.call(flow.turn(gather(source, flow.room)))
        finally:
            if cancel_on_close:
                with suppress(ClientClosed):
                    self._loop.call(flow.cancel_rest())
            else:
                self._loop.post(flow.close)

    def status(self, id: str) -> JobLocation:  # noqa: A002
        """Find out where a job is now."""
        return self._loop.call(self._producer.locate(id))

    def cancel(self, id: str) -> None:  # noqa: A002
        """Ask that a job be dropped. Where no result stands yet, it will say cancelled.

        A job that is submitted within the next ten minutes is cancelled too.
        """
        self._loop.call(self._producer.cancel(id))

    def close(self) -> None:
        """Let the connections go and end the thread. Whoever still waits gets `ClientClosed`."""
        self._end()
