"""Who in this process waits for which result, and how the result gets there.

One task listens on the client's reply channel, another fetches what they name. Notices
may be missed, and nobody sends any for a job that another client submitted; so everything
outstanding is also asked for by id, in rounds: often while that finds something, seldom while the
notices do the work. It does not own submitting, nor the order in which results are given out.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from smallfirst.client.affinity import LoopAffinity
from smallfirst.client.cancelling import end_tasks
from smallfirst.client.chunks import CHUNK, chunks
from smallfirst.client.transports import Transport
from smallfirst.client.withheld import Arrival, given_out, is_anothers, read_arrival
from smallfirst.errors import ClientClosed, ClientError
from smallfirst.jobs import Job, Result, Status

#: Seconds between two rounds, while they find something and while they do not.
SHORTEST_PAUSE, LONGEST_PAUSE = 0.2, 1.0
#: A pause is at least so many times as long as the round before it took.
PAUSE_PER_ROUND = 4
#: Submissions remembered, to tell whose result stands under their ids; see `ResultInbox.announce`.
MAX_REMEMBERED = 20_000


@dataclass(frozen=True)
class _Submission:
    """What this client submitted last under an id.

    Attributes:
        fingerprint: Of the job.
        entry: In the jobs stream; None while it is on its way there.
        is_read: Whether a router has read it, so that what stands under the id, stands.
    """

    fingerprint: str
    entry: str | None = None
    is_read: bool = False


class Waiter:
    """The results that one caller waits for: those still missing, and those that are there.

    Attributes:
        missing: By id, the fingerprint of the job that was asked; None where that is not known.
    """

    def __init__(self, inbox: "ResultInbox") -> None:
        self._inbox = inbox
        self._news = asyncio.Event()
        self._arrived: deque[Arrival] = deque()
        self._error: Exception | None = None
        self.missing: dict[str, str | None] = {}

    @property
    def is_open(self) -> bool:
        """Whether there is anything to wait for or to take."""
        return bool(self.missing or self._arrived or self._error)

    def expect(self, asked: Mapping[str, str | None]) -> None:
        """Wait for the results of these ids too; each with its job's fingerprint, where known."""
        self._inbox.expect(self, asked)

    def take(self) -> list[Arrival]:
        """Return what has arrived; raise what went wrong if nothing has."""
        taken = list(self._arrived)
        self._arrived.clear()
        if not taken and self._error:
            error, self._error = self._error, None
            raise error
        return taken

    async def wait(self) -> None:
        """Wait until something has happened."""
        self._inbox.start()
        await self._news.wait()
        self._news.clear()

    def put(self, arrival: Arrival) -> None:
        """Let a result arrive; one that is another job's is not given out."""
        self._arrived.append(given_out(arrival, self.missing.pop(arrival.id, None)))
        self._news.set()

    def fail(self, error: Exception) -> None:
        """Let the caller know that waiting is no use."""
        self._error = error
        self._news.set()

    def wake(self) -> None:
        """Let the caller look again."""
        self._news.set()

    def close(self) -> None:
        """Wait for nothing any more."""
        self._inbox.forget(self)


class ResultInbox:
    """Fetches results as they come, for every caller of one client."""

    def __init__(self, transport: Transport, reply_to: str, home: LoopAffinity) -> None:
        self._transport = transport
        self._reply_to = reply_to
        self._home = home
        self._waiting: dict[str, list[Waiter]] = {}
        self._told: dict[str, None] = {}
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._remembered: dict[str, _Submission] = {}

    def expect(self, basket: Waiter, asked: Mapping[str, str | None]) -> None:
        """Put the results of these ids into a basket when they come.

        Where the fingerprint of the job is not given, it is that of this client's last submission.
        """
        for job_id, fingerprint in asked.items():
            if job_id not in basket.missing:
                basket.missing[job_id] = fingerprint or self._fingerprint_of(job_id)
                self._waiting.setdefault(job_id, []).append(basket)

    def forget(self, basket: Waiter) -> None:
        """Put nothing into a basket any more."""
        for job_id in basket.missing:
            baskets = self._waiting.get(job_id, [])
            if basket in baskets:
                baskets.remove(basket)
            if not baskets:
                self._waiting.pop(job_id, None)
        basket.missing = {}

    def announce(self, jobs: Sequence[Job], basket: Waiter | None) -> None:
        """Note what is about to be submitted, and put its results into a basket when they come.

        Somebody else may have submitted another job under its id, whose result must not be taken
        for this one's. And a refused job may be corrected and submitted again under its id: until a
        router has read it the old refusal still stands.
        """
        asked = {job.id: job.fingerprint for job in jobs}
        for job_id, fingerprint in asked.items():
            self._remembered.pop(job_id, None)
            self._remembered[job_id] = _Submission(fingerprint)
        if basket is not None:
            self.expect(basket, asked)
        while len(self._remembered) > MAX_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]

    def note_entries(self, jobs: Sequence[Job], entries: Sequence[str]) -> None:
        """Note by which entries jobs were submitted."""
        for job, entry in zip(jobs, entries, strict=True):
            if submitted := self._remembered.get(job.id):
                self._remembered[job.id] = replace(submitted, entry=entry)

    def trust(self, ids: Iterable[str]) -> None:
        """Doubt what stands under these ids no more; whose it is, is still compared."""
        for job_id in ids:
            if submitted := self._remembered.get(job_id):
                self._remembered[job_id] = replace(submitted, is_read=True)

    async def look(self, ids: Sequence[str]) -> int:
        """Fetch those of these results that are there and waited for; return how many."""
        self._home.require()
        wanted = [job_id for job_id in ids if job_id in self._waiting]
        found = await self._transport.fetch(wanted)
        doubtful = [job_id for job_id, raw in found.items() if not self._deliver(job_id, raw)]
        num_found = len(found) - len(doubtful)
        if believed := await self._believe(doubtful):
            num_found += await self.look(believed)
        return num_found

    def start(self) -> None:
        """Follow the notices and fetch, from now until `close`."""
        self._home.require()
        if not self._tasks:
            self._tasks = [
                asyncio.create_task(self._listen(), name="smallfirst-listen"),
                asyncio.create_task(self._fetch(), name="smallfirst-fetch"),
            ]

    async def close(self) -> None:
        """Stop, and let whoever still waits know."""
        await end_tasks(*self._tasks)
        self._fail_all(ClientClosed())

    async def _listen(self) -> None:
        while True:
            try:
                async with aclosing(self._transport.notices(self._reply_to)) as notices:
                    async for ids in notices:
                        # An empty list: what came before this client listened, it was not told of.
                        told = ids or list(self._waiting)
                        self._told.update((i, None) for i in told if i in self._waiting)
                        self._news.set()
            except ClientError:
                # The rounds find what is missed here, and say what is wrong to those who wait.
                await asyncio.sleep(LONGEST_PAUSE)

    async def _fetch(self) -> None:
        loop = asyncio.get_running_loop()
        pause = SHORTEST_PAUSE
        while True:
            try:
                await self._fetch_told(until=loop.time() + pause)
                started = loop.time()
                found = await self._go_round()
                pause = next_pause(pause, found, loop.time() - started)
            except Exception as error:  # noqa: BLE001 - the outermost loop; whoever waits raises it
                self._fail_all(error)
                await asyncio.sleep(LONGEST_PAUSE)

    async def _fetch_told(self, *, until: float) -> None:
        """Fetch what notices name, as they come, until a moment of the loop's clock."""
        while True:
            while self._told:
                some = list(self._told)[:CHUNK]
                for job_id in some:
                    del self._told[job_id]
                await self.look(some)
            try:
                async with asyncio.timeout_at(until):
                    await self._news.wait()
            except TimeoutError:
                return
            self._news.clear()

    async def _go_round(self) -> int:
        """Ask for everything outstanding, and meanwhile serve the notices first."""
        found = 0
        for chunk in chunks(list(self._waiting)):
            found += await self.look(chunk)
            await self._fetch_told(until=0.0)
        return found

    def _deliver(self, job_id: str, raw: str) -> bool:
        """Put a result into the baskets; False where it may be older than the submission."""
        arrival = read_arrival(job_id, raw)
        if self._may_change(arrival):
            return False
        self.trust([job_id])
        for basket in self._waiting.pop(job_id, ()):
            basket.put(arrival)
        return True

    def _may_change(self, arrival: Arrival) -> bool:
        """Whether it may make room for that of a submission which no router has read yet."""
        submitted = self._remembered.get(arrival.id)
        if submitted is None or submitted.is_read:
            return False
        baskets = self._waiting.get(arrival.id, ())
        is_anyhow_anothers = any(is_anothers(arrival, each.missing[arrival.id]) for each in baskets)
        return is_anyhow_anothers or is_older_refusal(arrival, submitted.entry)

    def _fingerprint_of(self, job_id: str) -> str | None:
        submitted = self._remembered.get(job_id)
        return submitted.fingerprint if submitted else None

    async def _believe(self, ids: Sequence[str]) -> list[str]:
        """Return those whose submission was read: what stands now, stands."""
        submitted = {job_id: self._remembered[job_id].entry for job_id in ids}
        entries = {job_id: entry for job_id, entry in submitted.items() if entry}
        unread = await self._transport.unread(list(entries.values())) if entries else set()
        believed = [job_id for job_id, entry in entries.items() if entry not in unread]
        self.trust(believed)
        return believed

    def _fail_all(self, error: Exception) -> None:
        baskets = {id(basket): basket for waiting in self._waiting.values() for basket in waiting}
        for basket in baskets.values():
            basket.fail(error)


def next_pause(pause: float, num_found: int, round_seconds: float) -> float:
    """Say how long to wait before the next round: twice as long if this one found nothing."""
    wanted = SHORTEST_PAUSE if num_found else min(2 * pause, LONGEST_PAUSE)
    return max(wanted, PAUSE_PER_ROUND * round_seconds)


def is_older_refusal(arrival: Arrival, entry: str | None) -> bool:
    """Whether a result refuses an earlier submission than the one by this entry, or on its way."""
    if not isinstance(arrival, Result) or arrival.status is not Status.REFUSED:
        return False
    return entry is None or round(arrival.submitted_at.timestamp() * 1000) < int(
        entry.partition("-")[0]
    )
