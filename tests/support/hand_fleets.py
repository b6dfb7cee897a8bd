"""Fleets that a test plays by hand, on Redis and in memory; both clients behind one face."""

import asyncio
import threading
from collections import Counter
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterable,
)
from datetime import timedelta
from typing import Any, Literal, Protocol

from redis import Redis
from tests.support.shapes import slip_for

from smallfirst import (
    Answer,
    AsyncClient,
    Client,
    Job,
    JobLocation,
    Priority,
    Result,
    State,
    Status,
    TextAnswer,
    results,
)
from smallfirst.client.offers import Offer
from smallfirst.ledger.entries import StreamEntry
from smallfirst.ledger.keys import POOL_GROUP, ROUTER_GROUP, Keys
from smallfirst.ledger.ledger import Ledger
from smallfirst.ledger.settlements import Cancel, Finish, Move, Settlement
from smallfirst.testing import MemoryFleet

KEYS = Keys()
OWN = KEYS.of_producer("default")
#: The producers that a fleet on Redis serves, by their streams.
PRODUCERS = {KEYS.of_producer(name).jobs: name for name in ("default", "shop")}
BACKLOG = KEYS.backlog("cpu", Priority.BULK)
Kind = Literal["async", "threaded"]


Eventually = Callable[[Callable[[], object], str], Awaitable[None]]


class ThreadedClient:
    """`Client` with every call made on some thread, so that one suite serves both clients."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def submit(self, job: Offer) -> str:
        """As the client's."""
        return await asyncio.to_thread(self.client.submit, job)

    async def submit_many(self, jobs: Iterable[Offer]) -> list[str]:
        """As the client's."""
        return await asyncio.to_thread(self.client.submit_many, jobs)

    async def result(self, id: str, timeout: float | timedelta | None = None) -> Result:  # noqa: A002
        """As the client's."""
        return await asyncio.to_thread(self.client.result, id, timeout)

    def as_completed(
        self, ids: Iterable[str], timeout: float | timedelta | None = None
    ) -> AsyncGenerator[Result, None]:
        """As the client's."""
        return stepwise(self.client.as_completed(ids, timeout))

    def map(self, jobs: Iterable[Offer], **options: Any) -> AsyncGenerator[Result, None]:
        """As the client's."""
        return stepwise(self.client.map(jobs, **options))

    async def status(self, id: str) -> JobLocation:  # noqa: A002
        """As the client's."""
        return await asyncio.to_thread(self.client.status, id)

    async def cancel(self, id: str) -> None:  # noqa: A002
        """As the client's."""
        await asyncio.to_thread(self.client.cancel, id)

    async def close(self) -> None:
        """As the client's."""
        await asyncio.to_thread(self.client.close)


AnyClient = AsyncClient | ThreadedClient
MakeClient = Callable[..., AnyClient]


async def stepwise(results: Generator[Result, None, None]) -> AsyncGenerator[Result, None]:
    """Make each step of a generator on some thread."""
    try:
        while (result := await asyncio.to_thread(next, results, None)) is not None:
            yield result
    finally:
        await asyncio.to_thread(results.close)


class HandFleet(Protocol):
    """A fleet in the hand of a test."""

    answered: Counter[str]
    #: What it answers; capitals unless a test says otherwise.
    answer: Callable[[Job], Answer]
    #: How far a job comes that nobody takes in.
    frozen_state: State

    def client(self, kind: Kind, **options: Any) -> AnyClient:
        """Make a client of this fleet."""

    @property
    def num_waiting(self) -> int:
        """How many jobs are submitted and not answered."""

    def result_json(self, job_id: str) -> str | None:
        """A result as it stands."""

    def hold(self) -> None:
        """Take jobs in and answer none."""

    def freeze(self) -> None:
        """Take no jobs in."""

    def answer_next(self, num_jobs: int = 1) -> None:
        """Answer the oldest few of those that are held."""

    def release(self) -> None:
        """Answer everything."""

    def close(self) -> None:
        """Let go."""


class RedisFleet:
    """Router and worker in one thread, with the real ledger.

    What is submitted is parked on a backlog, and from there it is answered in capitals.
    """

    frozen_state = State.SUBMITTED

    def __init__(self, url: str) -> None:
        self.url = url
        self.answered: Counter[str] = Counter()
        self.answer: Callable[[Job], Answer] = capitals
        #: Tell nobody of results.
        self.is_mute = False
        self._redis = Redis.from_url(url)
        self._ledger = Ledger(self._redis, KEYS, "played")
        self._ledger.open(PRODUCERS, ROUTER_GROUP)
        self._ledger.open([BACKLOG], POOL_GROUP)
        self._is_frozen = False
        #: How many jobs may be answered; None is all.
        self._allowance: int | None = None
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="played-fleet")
        self._thread.start()

    def client(self, kind: Kind, **options: Any) -> AnyClient:
        if kind == "async":
            return AsyncClient(self.url, **options)
        return ThreadedClient(Client(self.url, **options))

    @property
    def num_waiting(self) -> int:
        return sum(int(self._redis.xlen(stream)) for stream in (*PRODUCERS, BACKLOG))

    def result_json(self, job_id: str) -> str | None:
        found: Any = self._redis.get(OWN.result(job_id))
        return None if found is None else str(found, "utf-8")

    def hold(self) -> None:
        self._set(frozen=False, allowance=0)

    def freeze(self) -> None:
        self._set(frozen=True, allowance=0)

    def answer_next(self, num_jobs: int = 1) -> None:
        with self._lock:
            self._allowance = (self._allowance or 0) + num_jobs

    def release(self) -> None:
        self._set(frozen=False, allowance=None)

    def close(self) -> None:
        self._stopping.set()
        self._thread.join()
        self._redis.close()

    def _set(self, *, frozen: bool, allowance: int | None) -> None:
        # Under the lock, so that nothing is half way when this returns.
        with self._lock:
            self._is_frozen, self._allowance = frozen, allowance

    def _run(self) -> None:
        while not self._stopping.is_set():
            with self._lock:
                if not self._is_frozen:
                    self._take_in()
                if self._allowance != 0:
                    self._answer(self._allowance or 500)
            self._stopping.wait(0.002)

    def _take_in(self) -> None:
        entries = self._ledger.read(list(PRODUCERS), ROUTER_GROUP, count=500)
        for stream in PRODUCERS:
            rows = [self._triage(entry) for entry in entries if entry.stream == stream]
            self._ledger.settle(stream, ROUTER_GROUP, rows)

    def _triage(self, entry: StreamEntry) -> Settlement:
        producer = PRODUCERS[entry.stream]
        if job_id := entry.fields.get(b"cancel", b"").decode():
            result = results.without_job(
                job_id,
                Status.CANCELLED,
                results.CANCELLED,
                submitted_ms=(now_ms := self._ledger.now_ms()),
                now_ms=now_ms,
            )
            return Cancel(entry=entry.entry, producer=producer, result=result)
        job = Job.model_validate_json(entry.fields[b"job"])
        return Move(
            entry=entry.entry,
            job_id=job.id,
            job=entry.fields[b"job"],
            slip=slip_for(job.task, producer=producer),
            to=BACKLOG,
            reply_to=None if self.is_mute else job.reply_to,
            fingerprint=job.fingerprint,
            is_first_seen=True,
        )

    def _answer(self, num_jobs: int) -> None:
        entries = self._ledger.read([BACKLOG], POOL_GROUP, count=num_jobs)
        if self._allowance is not None:
            self._allowance -= len(entries)
        self._ledger.settle(BACKLOG, POOL_GROUP, list(map(self._result, entries)))

    def _result(self, entry: StreamEntry) -> Settlement:
        job = Job.model_validate_json(entry.fields[b"job"])
        self.answered[job.id] += 1
        result = results.unanswered(
            job,
            Status.ANSWERED,
            results.CANCELLED,
            submitted_ms=entry.written_ms(now_ms := self._ledger.now_ms()),
            now_ms=now_ms,
        ).model_copy(update={"problem": None, "answer": self.answer(job)})
        producer = entry.fields[b"producer"].decode()
        return Finish(entry=entry.entry, producer=producer, result=result)


class MemoryFleetInHand:
    """The fleet in memory as these tests use it."""

    frozen_state = State.QUEUED

    def __init__(self) -> None:
        self.answered: Counter[str] = Counter()
        self.answer: Callable[[Job], Answer] = capitals
        self._fleet = MemoryFleet(self._answer)

    def _answer(self, job: Job) -> Answer:
        self.answered[job.id] += 1
        return self.answer(job)

    def client(self, kind: Kind, **options: Any) -> AnyClient:
        if kind == "async":
            return self._fleet.async_client(**options)
        return ThreadedClient(self._fleet.client(**options))

    @property
    def num_waiting(self) -> int:
        return self._fleet.num_waiting

    def result_json(self, job_id: str) -> str | None:
        return self._fleet.results_of("default", [job_id]).get(job_id)

    def hold(self) -> None:
        self._fleet.hold()

    def freeze(self) -> None:
        self._fleet.hold()

    def answer_next(self, num_jobs: int = 1) -> None:
        self._fleet.answer_next(num_jobs)

    def release(self) -> None:
        self._fleet.release()

    def close(self) -> None:
        self._fleet.release()


def capitals(job: Job) -> TextAnswer:
    """Answer a job."""
    return TextAnswer(text=job.text.upper(), confidence=1.0)


def job_of(text: str = "hello", **more: Any) -> Job:
    """Make a job."""
    return Job(task="shout", text=text, **more)


def jobs_of(num_jobs: int) -> list[Job]:
    """Make jobs with ids and texts that tell their order."""
    return [job_of(f"text {i}", id=f"job-{i}") for i in range(num_jobs)]


def leave(redis: Redis, result: Result) -> None:
    """Leave a result as the ledger does."""
    redis.set(OWN.result(result.id), result.to_json(), ex=60)
    redis.hset(OWN.job(result.id), mapping={"status": str(result.status), "fingerprint": ""})
    redis.expire(OWN.job(result.id), 60)


def text_of(result: Result) -> str:
    """What a job was answered."""
    assert isinstance(result.answer, TextAnswer)
    return result.answer.text


async def collected(results: AsyncIterator[Result]) -> list[Result]:
    """All of them."""
    return [result async for result in results]
