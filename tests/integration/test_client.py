"""The laws of both clients, on a real Redis and on the fleet in memory.

On Redis the tests play the fleet's part themselves, with the real ledger.
"""

import asyncio
import itertools
import threading
from collections import Counter
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Iterator,
)
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Protocol

import pytest
from redis import Redis
from tests.waiting import WaitUntil

from smallfirst import (
    AsyncClient,
    BacklogFull,
    Client,
    ClientClosed,
    ClientMoved,
    FleetRefused,
    FleetUnreachable,
    Job,
    Priority,
    Result,
    ResultTimeout,
    ResultUnreadable,
    State,
    Status,
    TextAnswer,
    Whereabouts,
    endings,
)
from smallfirst.client.transports import RedisTransport
from smallfirst.keys import POOL_GROUP, ROUTER_GROUP, Keys
from smallfirst.ledger import Ledger, Settlement, StreamEntry
from smallfirst.local.redis_server import RedisServer, free_port
from smallfirst.testing import MemoryFleet

KEYS = Keys()
BACKLOG = KEYS.backlog("cpu", Priority.BULK)
Kind = Literal["async", "threaded"]


Eventually = Callable[[Callable[[], object], str], Awaitable[None]]


class ThreadedClient:
    """`Client` with every call made on some thread, so that one suite serves both clients."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def submit(self, job: Job) -> str:
        """As the client's."""
        return await asyncio.to_thread(self.client.submit, job)

    async def submit_many(self, jobs: Iterable[Job]) -> list[str]:
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

    def map(self, jobs: Iterable[Job], **options: Any) -> AsyncGenerator[Result, None]:
        """As the client's."""
        return stepwise(self.client.map(jobs, **options))

    async def status(self, id: str) -> Whereabouts:  # noqa: A002
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
    #: How far a job comes that nobody takes in.
    frozen_state: State

    def client(self, kind: Kind, **options: Any) -> AnyClient:
        """Make a client of this fleet."""

    @property
    def num_waiting(self) -> int:
        """How many jobs are submitted and not answered."""

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
        #: Tell nobody of results.
        self.is_mute = False
        self._redis = Redis.from_url(url)
        self._ledger = Ledger(self._redis, KEYS, "played")
        self._ledger.open([KEYS.jobs], ROUTER_GROUP)
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
        return self._ledger.count_entries([KEYS.jobs, BACKLOG])

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
                    entries = self._ledger.read([KEYS.jobs], ROUTER_GROUP, count=500)
                    self._ledger.settle(KEYS.jobs, ROUTER_GROUP, list(map(self._triage, entries)))
                if self._allowance != 0:
                    self._answer(self._allowance or 500)
            self._stopping.wait(0.002)

    def _triage(self, entry: StreamEntry) -> Settlement:
        if job_id := entry.fields.get(b"cancel", b"").decode():
            result = endings.without_job(
                job_id,
                Status.CANCELLED,
                endings.CANCELLED,
                submitted_ms=(now_ms := self._ledger.now_ms()),
                now_ms=now_ms,
            )
            body = result.model_dump_json()
            return Settlement(verb="cancel", entry=entry.entry, job_id=job_id, body=body)
        job = Job.model_validate_json(entry.fields[b"job"])
        return Settlement(
            verb="move",
            entry=entry.entry,
            job_id=job.id,
            fingerprint=job.fingerprint,
            reply_to="" if self.is_mute else job.reply_to or "",
            body=entry.fields[b"job"],
            leg="{}",
            to=BACKLOG,
        )

    def _answer(self, num_jobs: int) -> None:
        entries = self._ledger.read([BACKLOG], POOL_GROUP, count=num_jobs)
        if self._allowance is not None:
            self._allowance -= len(entries)
        self._ledger.settle(BACKLOG, POOL_GROUP, list(map(self._result, entries)))

    def _result(self, entry: StreamEntry) -> Settlement:
        job = Job.model_validate_json(entry.fields[b"job"])
        self.answered[job.id] += 1
        result = endings.unanswered(
            job,
            Status.ANSWERED,
            endings.CANCELLED,
            submitted_ms=entry.written_ms(now_ms := self._ledger.now_ms()),
            now_ms=now_ms,
        ).model_copy(update={"problem": None, "answer": capitals(job)})
        return Settlement(
            verb="result", entry=entry.entry, job_id=job.id, body=result.model_dump_json()
        )


class MemoryFleetInHand:
    """The fleet in memory as these tests use it."""

    frozen_state = State.QUEUED

    def __init__(self) -> None:
        self.answered: Counter[str] = Counter()
        self._fleet = MemoryFleet(self._answer)

    def _answer(self, job: Job) -> TextAnswer:
        self.answered[job.id] += 1
        return capitals(job)

    def client(self, kind: Kind, **options: Any) -> AnyClient:
        if kind == "async":
            return self._fleet.async_client(**options)
        return ThreadedClient(self._fleet.client(**options))

    @property
    def num_waiting(self) -> int:
        return self._fleet.num_waiting

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


def text_of(result: Result) -> str:
    """What a job was answered."""
    assert isinstance(result.answer, TextAnswer)
    return result.answer.text


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    """After each test no client's thread lives."""
    yield
    names = [thread.name for thread in threading.enumerate()]
    assert "smallfirst-client" not in names


@pytest.fixture(params=["async", "threaded"])
def kind(request: pytest.FixtureRequest) -> Kind:
    """Which of the two clients."""
    chosen: Kind = request.param
    return chosen


@pytest.fixture
def redis_fleet(redis_url: str) -> Iterator[RedisFleet]:
    """A fleet played on a real Redis."""
    fleet = RedisFleet(redis_url)
    yield fleet
    fleet.close()


@pytest.fixture(params=["redis", "memory"])
def fleet(request: pytest.FixtureRequest) -> Iterator[HandFleet]:
    """Either fleet."""
    if request.param == "redis":
        played: RedisFleet = request.getfixturevalue("redis_fleet")
        yield played
    else:
        in_memory = MemoryFleetInHand()
        yield in_memory
        in_memory.close()


@pytest.fixture
async def make_client(request: pytest.FixtureRequest, kind: Kind) -> AsyncIterator[MakeClient]:
    """Make clients of the fleet at hand; they are closed after the test."""
    name = "fleet" if "fleet" in request.fixturenames else "redis_fleet"
    fleet: HandFleet = request.getfixturevalue(name)
    made: list[AnyClient] = []

    def make(**options: Any) -> AnyClient:
        made.append(fleet.client(kind, **options))
        return made[-1]

    yield make
    for client in made:
        await client.close()


@pytest.fixture
async def client(make_client: MakeClient) -> AnyClient:
    """One client of the fleet at hand."""
    return make_client()


@pytest.fixture
def eventually(wait_until: WaitUntil) -> Eventually:
    """Wait beside the event loop until something is so."""

    async def wait(predicate: Callable[[], object], description: str) -> None:
        await asyncio.to_thread(wait_until, predicate, description=description)

    return wait


# Submitting and waiting


async def test_a_job_gets_its_result(client: AnyClient) -> None:
    """What is submitted is answered under the same id."""
    job = job_of("hello", metadata={"order": "7"})
    assert await client.submit(job) == job.id
    result = await client.result(job.id, timeout=5)
    assert (result.id, result.status, text_of(result)) == (job.id, Status.ANSWERED, "HELLO")
    assert result.metadata == {"order": "7"}


async def test_every_id_is_answered_once(client: AnyClient, fleet: HandFleet) -> None:
    """A thousand jobs have a thousand results, one each."""
    ids = await client.submit_many(job_of(f"text {i}") for i in range(1200))
    results = Counter([result.id async for result in client.as_completed(ids, timeout=30)])
    assert results == Counter(ids) == fleet.answered
    assert len(ids) == 1200


async def test_a_repeated_id_gets_the_first_result(client: AnyClient, fleet: HandFleet) -> None:
    """The same id again, even with another text, is not worked on again."""
    await client.submit(job_of("first", id="a"))
    first = await client.result("a", timeout=5)
    await client.submit(job_of("second", id="a"))
    assert await client.result("a", timeout=5) == first
    assert fleet.answered == {"a": 1}


async def test_a_repeat_in_flight_gets_the_first_result(
    make_client: MakeClient, fleet: HandFleet
) -> None:
    """Two clients that submit one id while it is worked on get the same result."""
    fleet.hold()
    clients = [make_client(), make_client()]
    for one in clients:
        await one.submit(job_of("first", id="a"))
    fleet.release()
    results = [await one.result("a", timeout=5) for one in clients]
    assert [text_of(result) for result in results] == ["FIRST", "FIRST"]
    assert fleet.answered == {"a": 1}


async def test_anybodys_result_can_be_awaited(make_client: MakeClient, fleet: HandFleet) -> None:
    """A client finds the results of jobs that another one submitted."""
    fleet.hold()
    ids = await make_client().submit_many(jobs_of(20))
    stranger = make_client()
    results = asyncio.ensure_future(collected(stranger.as_completed(ids, timeout=10)))
    fleet.release()
    assert {result.id for result in await results} == set(ids)


async def test_an_id_named_twice_completes_once(client: AnyClient) -> None:
    """`as_completed` yields one result per job."""
    await client.submit(job_of(id="a"))
    assert len(await collected(client.as_completed(["a", "a"], timeout=5))) == 1


async def test_results_come_as_they_are_there(client: AnyClient, fleet: HandFleet) -> None:
    """`as_completed` does not wait for those that take longer."""
    fleet.hold()
    ids = await client.submit_many(jobs_of(3))
    await client.cancel(ids[2])
    async with aclosing(client.as_completed(ids, timeout=10)) as results:
        assert (await anext(results)).id == ids[2]


# Timeouts


@pytest.mark.parametrize("timeout", [0, 0.05, timedelta(milliseconds=50)])
async def test_a_result_that_takes_longer_times_out(
    client: AnyClient, fleet: HandFleet, timeout: float | timedelta
) -> None:
    """Waiting ends with an error that names the job; the job goes on."""
    fleet.hold()
    await client.submit(job_of(id="a"))
    with pytest.raises(ResultTimeout, match="job a within") as caught:
        await client.result("a", timeout=timeout)
    assert caught.value.ids == ("a",)
    fleet.release()
    assert (await client.result("a", timeout=5)).is_answered


async def test_a_result_that_is_there_needs_no_time(client: AnyClient, fleet: HandFleet) -> None:
    """A timeout of nothing returns what stands."""
    await client.submit(job_of(id="a"))
    await client.result("a", timeout=5)
    assert (await client.result("a", timeout=0)).id == "a"
    assert fleet.answered == {"a": 1}


async def test_a_timeout_names_what_is_missing(
    client: AnyClient, fleet: HandFleet, eventually: Eventually
) -> None:
    """After a timeout a caller knows which jobs to wait for again."""
    fleet.hold()
    ids = await client.submit_many(jobs_of(5))
    fleet.answer_next(2)
    await eventually(lambda: fleet.num_waiting == 3, "two are answered")
    with pytest.raises(ResultTimeout, match="and 2 more") as caught:
        await collected(client.as_completed(ids, timeout=0.1))
    assert set(caught.value.ids) == set(ids[2:])


# map


@pytest.mark.parametrize("ordered", [True, False])
async def test_map_yields_a_result_for_each_job(client: AnyClient, *, ordered: bool) -> None:
    """However many jobs there are, each has its result, in order where that is asked."""
    results = await collected(client.map(iter(jobs_of(700)), max_in_flight=64, ordered=ordered))
    texts = [text_of(result) for result in results]
    expected = [f"TEXT {i}" for i in range(700)]
    assert texts == expected if ordered else sorted(texts) == sorted(expected)


@pytest.mark.parametrize("ordered", [True, False])
async def test_map_yields_once_per_repeated_job(client: AnyClient, *, ordered: bool) -> None:
    """A job that stands twice among the jobs has its result twice."""
    [one, other] = jobs_of(2)
    results = await collected(client.map([one, one, other, one], ordered=ordered))
    ids = [result.id for result in results]
    expected = ["job-0", "job-0", "job-1", "job-0"]
    assert ids == expected if ordered else Counter(ids) == Counter(expected)


async def test_map_of_nothing_yields_nothing(client: AnyClient) -> None:
    """No jobs, no results, no waiting."""
    assert await collected(client.map([])) == []


async def test_map_never_has_more_in_flight(
    client: AnyClient, fleet: HandFleet, eventually: Eventually
) -> None:
    """Jobs are pulled one by one as results are given out; the window is filled and kept."""
    fleet.hold()
    pulled = yielded = 0

    def source() -> Iterator[Job]:
        nonlocal pulled
        for job in jobs_of(60):
            pulled += 1
            assert pulled - yielded <= 10
            yield job

    async def consume() -> None:
        nonlocal yielded
        async for _ in client.map(source(), max_in_flight=10):
            yielded += 1

    consuming = asyncio.create_task(consume())
    for num_answered in range(0, 60, 3):
        expected = (min(60, num_answered + 10), min(10, 60 - num_answered))
        await eventually(lambda: (pulled, fleet.num_waiting) == expected, f"{expected} in flight")  # noqa: B023
        fleet.answer_next(3)
    await asyncio.wait_for(consuming, 10)
    assert yielded == 60


async def test_results_held_for_the_order_count(
    client: AnyClient, fleet: HandFleet, eventually: Eventually
) -> None:
    """Answered jobs that wait for an earlier one keep their place in the window."""
    fleet.hold()
    jobs = jobs_of(8)
    pulled: list[str] = []
    source = (pulled.append(job.id) or job for job in jobs)  # type: ignore[func-returns-value]
    async with aclosing(client.map(source, max_in_flight=4)) as results:
        first = asyncio.ensure_future(anext(results))
        await eventually(lambda: fleet.num_waiting == 4, "the window is full")
        for job in jobs[1:4]:
            await client.cancel(job.id)
            assert (await client.result(job.id, timeout=5)).status is Status.CANCELLED
        assert (len(pulled), first.done()) == (4, False)
        fleet.release()
        assert (await first).id == "job-0"


async def test_without_order_a_late_job_holds_up_nobody(
    client: AnyClient, fleet: HandFleet, eventually: Eventually
) -> None:
    """Unordered results are given out as they come."""
    fleet.hold()
    async with aclosing(client.map(jobs_of(3), ordered=False)) as results:
        first = asyncio.ensure_future(anext(results))
        await eventually(lambda: fleet.num_waiting == 3, "all are submitted")
        await client.cancel("job-2")
        assert (await first).id == "job-2"


async def test_a_map_left_early_pulls_no_more(
    client: AnyClient, fleet: HandFleet, eventually: Eventually
) -> None:
    """Of endless jobs only the window is pulled; what was submitted is still answered."""
    numbers = itertools.count()
    source = (job_of(f"text {i}", id=f"job-{i}") for i in numbers)
    async with aclosing(client.map(source, max_in_flight=20)) as results:
        taken = [await anext(results) for _ in range(30)]
    assert [result.id for result in taken] == [f"job-{i}" for i in range(30)]
    num_pulled = next(numbers)
    assert num_pulled <= 50
    await eventually(lambda: fleet.num_waiting == 0, "what was submitted is answered")
    assert (await client.result("job-31", timeout=5)).is_answered


async def test_a_map_left_early_can_cancel_the_rest(
    client: AnyClient, fleet: HandFleet, eventually: Eventually
) -> None:
    """With `cancel_on_close` what is unanswered is cancelled, and what is answered stands."""
    fleet.hold()
    jobs = jobs_of(6)
    async with aclosing(client.map(jobs, max_in_flight=4, cancel_on_close=True)) as results:
        first = asyncio.ensure_future(anext(results))
        await eventually(lambda: fleet.num_waiting == 4, "the window is full")
        fleet.answer_next(1)
        assert (await first).id == "job-0"
    statuses = [(await client.result(job.id, timeout=5)).status for job in jobs[:4]]
    assert statuses == [Status.ANSWERED] + 3 * [Status.CANCELLED]


async def test_an_error_among_the_jobs_reaches_the_caller(client: AnyClient) -> None:
    """What the jobs' iterator raises ends the map, and nothing but the map."""

    def source() -> Iterator[Job]:
        yield job_of(id="a")
        raise LookupError("the file ends here")

    with pytest.raises(LookupError, match="the file ends here"):
        await collected(client.map(source()))
    await client.submit(job_of(id="b"))
    assert (await client.result("b", timeout=5)).is_answered


@pytest.mark.parametrize("kind", ["async"], indirect=True)
async def test_jobs_may_come_asynchronously(client: AsyncClient) -> None:
    """An asynchronous source may even wait for the results of its own jobs."""
    seen = asyncio.Queue[str]()

    async def source() -> AsyncIterator[Job]:
        yield job_of("a")
        for _ in range(5):
            yield job_of((await seen.get()).lower() + "a")

    texts = []
    async for result in client.map(source()):
        texts.append(text_of(result))
        seen.put_nowait(texts[-1])
    assert texts == ["A", "AA", "AAA", "AAAA", "AAAAA", "AAAAAA"]


# A full backlog


async def test_a_full_backlog_blocks(
    make_client: MakeClient, fleet: HandFleet, eventually: Eventually
) -> None:
    """No more than `max_backlog` jobs wait; the rest is submitted as there is room."""
    fleet.freeze()
    client = make_client(max_backlog=5)
    submitting = asyncio.ensure_future(client.submit_many(jobs_of(8)))
    await eventually(lambda: fleet.num_waiting == 5, "the backlog is full")
    assert not submitting.done()
    fleet.release()
    ids = await asyncio.wait_for(submitting, 10)
    assert len(await collected(client.as_completed(ids, timeout=10))) == 8


async def test_a_full_backlog_raises_where_asked(make_client: MakeClient, fleet: HandFleet) -> None:
    """With `error` a submission beyond the bound raises, and is in the fleet no more than said."""
    fleet.freeze()
    client = make_client(max_backlog=5, when_full="error")
    with pytest.raises(BacklogFull) as caught:
        await client.submit_many(jobs_of(8))
    assert (caught.value.limit, caught.value.is_retryable, fleet.num_waiting) == (5, True, 5)
    with pytest.raises(BacklogFull):
        await client.submit(job_of())


async def test_a_full_backlog_does_not_keep_results_back(
    make_client: MakeClient, fleet: HandFleet, eventually: Eventually
) -> None:
    """While a map cannot submit it still yields what is answered."""
    fleet.freeze()
    client = make_client(max_backlog=3)
    async with aclosing(client.map(jobs_of(9), ordered=False)) as results:
        first = asyncio.ensure_future(anext(results))
        await eventually(lambda: fleet.num_waiting == 3, "the backlog is full")
        fleet.release()
        assert (await asyncio.wait_for(first, 10)).id == "job-0"
        assert len([result async for result in results]) == 8


# Status and cancel


async def test_a_job_can_be_followed(
    client: AnyClient, fleet: HandFleet, eventually: Eventually
) -> None:
    """A job is unknown, submitted, queued, done."""
    assert (await client.status("a")).state is State.UNKNOWN
    fleet.freeze()
    await client.submit(job_of(id="a"))
    assert (await client.status("a")).state is fleet.frozen_state
    fleet.hold()
    await eventually(lambda: fleet.num_waiting == 1, "one job is held")
    while (queued := await client.status("a")).state is State.SUBMITTED:
        pass
    assert (queued.state, bool(queued.where)) == (State.QUEUED, True)
    fleet.release()
    await client.result("a", timeout=5)
    done = Whereabouts(id="a", state=State.DONE, status=Status.ANSWERED)
    assert await client.status("a") == done


async def test_a_job_in_flight_can_be_cancelled(client: AnyClient, fleet: HandFleet) -> None:
    """A cancelled job's result says so, whatever the fleet does afterwards."""
    fleet.hold()
    await client.submit(job_of(id="a"))
    await client.cancel("a")
    assert (await client.result("a", timeout=5)).status is Status.CANCELLED
    fleet.release()
    assert (await client.result("a", timeout=5)).status is Status.CANCELLED


async def test_an_answer_cannot_be_cancelled(client: AnyClient) -> None:
    """A result never changes; cancelling what is answered, or unknown, does nothing."""
    await client.submit(job_of(id="a"))
    first = await client.result("a", timeout=5)
    await client.cancel("a")
    await client.cancel("nobody")
    await client.submit(job_of(id="b"))
    await client.result("b", timeout=5)
    assert await client.result("a", timeout=5) == first
    assert (await client.status("nobody")).state is State.UNKNOWN


# The end


async def test_a_closed_client_says_so(client: AnyClient) -> None:
    """Every use after `close` raises; closing again does nothing."""
    await client.submit(job_of(id="a"))
    await client.close()
    await client.close()
    uses: list[Callable[[], Awaitable[object]]] = [
        lambda: client.submit(job_of()),
        lambda: client.submit_many([job_of()]),
        lambda: client.result("a", timeout=5),
        lambda: collected(client.as_completed(["a"])),
        lambda: collected(client.map([job_of()])),
        lambda: client.status("a"),
        lambda: client.cancel("a"),
    ]
    for use in uses:
        with pytest.raises(ClientClosed):
            await use()


async def test_closing_frees_those_who_wait(
    client: AnyClient, fleet: HandFleet, eventually: Eventually
) -> None:
    """Nobody waits for ever on a closed client."""
    fleet.hold()
    await client.submit(job_of(id="a"))
    waiting = asyncio.ensure_future(client.result("a"))
    mapping = asyncio.ensure_future(collected(client.map(jobs_of(3))))
    await eventually(lambda: fleet.num_waiting == 4, "all are submitted")
    await client.close()
    for waiter in (waiting, mapping):
        with pytest.raises(ClientClosed):
            await asyncio.wait_for(waiter, 5)


def test_threads_may_share_a_client(fleet: HandFleet) -> None:
    """Each of many threads gets the results of its own jobs."""
    shared = fleet.client("threaded")
    assert isinstance(shared, ThreadedClient)

    def work(thread: int) -> list[str]:
        jobs = [job_of(f"{thread} {i}", id=f"{thread}-{i}") for i in range(40)]
        texts = [text_of(result) for result in shared.client.map(jobs[:20], max_in_flight=5)]
        ids = shared.client.submit_many(jobs[20:])
        return texts + [text_of(shared.client.result(job_id, timeout=20)) for job_id in ids]

    with shared.client, ThreadPoolExecutor(8) as threads:
        for thread, texts in enumerate(threads.map(work, range(8))):
            assert texts == [f"{thread} {i}" for i in range(40)]


# Redis itself


async def test_missed_notices_do_not_matter(
    client: AnyClient, redis_fleet: RedisFleet, redis: Redis, eventually: Eventually
) -> None:
    """Results are found by their ids when the reply stream is lost midway."""
    ids = await client.submit_many(jobs_of(40))
    assert len(await collected(client.as_completed(ids, timeout=10))) == 40
    redis_fleet.hold()
    mapping = asyncio.ensure_future(collected(client.map(jobs_of(100)[50:])))
    await eventually(lambda: redis_fleet.num_waiting == 50, "all are submitted")
    [stream] = redis.keys(KEYS.results("*"))
    redis_fleet.answer_next(20)
    redis.delete(stream)
    redis_fleet.release()
    assert [result.id for result in await mapping] == [f"job-{i}" for i in range(50, 100)]


async def test_untold_results_are_found(
    client: AnyClient, redis_fleet: RedisFleet, redis: Redis
) -> None:
    """Every result is found by its id when there are no notices at all."""
    redis_fleet.is_mute = True
    results = await collected(client.map(jobs_of(50), max_in_flight=20))
    assert [result.id for result in results] == [f"job-{i}" for i in range(50)]
    assert not redis.keys(KEYS.results("*"))


async def test_a_lost_connection_is_made_again(
    client: AnyClient, redis_fleet: RedisFleet, redis: Redis, eventually: Eventually
) -> None:
    """A wait outlives its connections, and so does the next submission."""
    redis_fleet.hold()
    await client.submit(job_of(id="a"))
    waiting = asyncio.ensure_future(client.result("a", timeout=10))
    await eventually(lambda: len(connections(redis)) >= 2, "the client listens")
    for connection in connections(redis):
        redis.client_kill_filter(_id=connection)
    redis_fleet.release()
    assert (await waiting).is_answered
    for connection in connections(redis):
        redis.client_kill_filter(_id=connection)
    await client.submit(job_of(id="b"))
    assert (await client.result("b", timeout=10)).is_answered


async def test_a_plain_xadd_is_a_submission(
    client: AnyClient, redis_fleet: RedisFleet, redis: Redis
) -> None:
    """What a program in another language adds to the stream is found like any other job."""
    redis_fleet.freeze()
    redis.xadd(KEYS.jobs, {"job": '{"id": "a", "task": "shout", "text": "hi"}'})
    assert (await client.status("a")).state is State.SUBMITTED
    redis_fleet.release()
    assert text_of(await client.result("a", timeout=5)) == "HI"


async def test_fleets_do_not_see_each_other(
    make_client: MakeClient, redis_fleet: RedisFleet, redis: Redis
) -> None:
    """A client of another namespace submits to another fleet."""
    stranger = make_client(namespace="other")
    await stranger.submit(job_of(id="a"))
    assert redis.xlen("other:jobs") == 1
    assert redis_fleet.num_waiting == 0
    assert (await make_client().status("a")).state is State.UNKNOWN


async def test_a_corrected_job_is_not_refused_by_the_past(
    client: AnyClient, redis_fleet: RedisFleet, redis: Redis
) -> None:
    """The refusal of an earlier submission is not taken for the answer of the corrected one."""
    redis_fleet.freeze()
    old = endings.unanswered(
        job_of("wrong", id="a"),
        Status.REFUSED,
        endings.CANCELLED,
        submitted_ms=1_000,
        now_ms=1_001,
    )
    redis.set(KEYS.result("a"), old.model_dump_json(), ex=60)
    assert (await client.result("a", timeout=5)).status is Status.REFUSED
    await client.submit(job_of("right", id="a"))
    with pytest.raises(ResultTimeout):
        await client.result("a", timeout=0.7)
    redis_fleet.release()
    assert text_of(await client.result("a", timeout=5)) == "RIGHT"


async def test_a_repeated_refusal_is_believed(
    client: AnyClient, redis_fleet: RedisFleet, redis: Redis, eventually: Eventually
) -> None:
    """Once the router has read the new submission, a refusal that still stands is the answer."""
    redis_fleet.freeze()
    old = endings.unanswered(
        job_of("wrong", id="a"),
        Status.REFUSED,
        endings.CANCELLED,
        submitted_ms=1_000,
        now_ms=1_001,
    )
    redis.set(KEYS.result("a"), old.model_dump_json(), ex=60)
    await client.submit(job_of("wrong", id="a"))
    waiting = asyncio.ensure_future(client.result("a", timeout=10))
    await eventually(lambda: len(connections(redis)) >= 2, "the client listens")
    assert not waiting.done()
    redis.xtrim(KEYS.jobs, maxlen=0)
    assert (await waiting).status is Status.REFUSED


async def test_a_newer_result_is_not_misread(
    client: AnyClient, redis_fleet: RedisFleet, redis: Redis
) -> None:
    """A result of another version of the wire raises, and names the job."""
    assert redis_fleet.num_waiting == 0
    redis.set(KEYS.result("a"), '{"v":2,"id":"a"}', ex=60)
    with pytest.raises(ResultUnreadable, match="job a"):
        await client.result("a", timeout=5)


async def test_what_redis_refuses_is_told(
    client: AnyClient, redis_fleet: RedisFleet, redis: Redis
) -> None:
    """An error of Redis's own is raised at once, with the reason."""
    redis_fleet.freeze()
    redis.delete(KEYS.jobs)
    redis.set(KEYS.jobs, "not a stream")
    with pytest.raises(FleetRefused, match="WRONGTYPE"):
        await client.submit(job_of())
    redis.delete(KEYS.jobs)


@pytest.mark.parametrize("use", ["submit", "result", "map", "status", "cancel"])
async def test_no_redis_is_told_without_the_password(use: str) -> None:
    """When Redis cannot be reached every call says where it should be, and keeps its secret."""
    url = f"redis://me:hunter2@127.0.0.1:{free_port()}/3"
    transport = RedisTransport(url, patience=timedelta(milliseconds=100))
    async with AsyncClient(transport=transport) as client:
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "submit": lambda: client.submit(job_of()),
            "result": lambda: client.result("a"),
            "map": lambda: collected(client.map([job_of()])),
            "status": lambda: client.status("a"),
            "cancel": lambda: client.cancel("a"),
        }
        with pytest.raises(FleetUnreachable) as caught:
            await calls[use]()
    assert caught.value.address == url.replace("me:hunter2@", "")
    assert "hunter2" not in str(caught.value)
    assert caught.value.is_retryable


async def test_losing_redis_in_mid_wait_is_told(tmp_path: Path) -> None:
    """Who waits while Redis goes away for good is told, and not left waiting."""
    with RedisServer(tmp_path, persistent=False) as server:
        transport = RedisTransport(server.url, patience=timedelta(milliseconds=300))
        async with AsyncClient(transport=transport) as client:
            await client.submit(job_of(id="a"))
            waiting = asyncio.create_task(client.result("a"))
            await asyncio.to_thread(server.stop)
            with pytest.raises(FleetUnreachable):
                await asyncio.wait_for(waiting, 10)


def test_an_async_client_stays_in_its_loop() -> None:
    """Used from a second event loop it says so, instead of hanging."""
    client = MemoryFleet(capitals).async_client()
    asyncio.run(client.submit(job_of()))
    with pytest.raises(ClientMoved, match="event loop"):
        asyncio.run(client.submit(job_of()))


def connections(redis: Redis) -> list[str]:
    """The ids of the connections that clients have."""
    listed: Any = redis.client_list()
    return [row["id"] for row in listed if row["name"] == "smallfirst-client"]


async def collected(results: AsyncIterator[Result]) -> list[Result]:
    """All of them."""
    return [result async for result in results]
