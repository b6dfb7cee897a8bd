"""A fleet in memory, for the tests of programs that use a client.

    fleet = MemoryFleet(lambda job: LabelAnswer(label="refund", confidence=0.98))
    with fleet.client() as client:
        assert client.result(client.submit(job)).answer.label == "refund"

What goes wrong can be played too:

    MemoryFleet(lambda job: Status.ABSTAINED)            a fleet that is never sure
    fleet.is_reachable = False                           every call raises `FleetUnreachable`
    fleet.hold()                                         with a client whose backlog is small,
    fleet.client(max_backlog=1, when_full="error")       the second job raises `BacklogFull`

It keeps the promises of the wire (one result per id, duplicates answered from the first, another
job under a used id told so, a refused id may be submitted again) and passes the clients' own tests.
It has no catalogue, no cascade, no deadlines and no time to live.
"""

import asyncio
import threading
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from smallfirst import results
from smallfirst.answers import KNOWN_KINDS, Answer
from smallfirst.client import AsyncClient, Client
from smallfirst.client.transports import JobLocation, State, Transport
from smallfirst.errors import FleetUnreachable
from smallfirst.jobs import DEFAULT_PRODUCER, Attempt, Job, Outcome, Problem, Result, Status, Tier

#: Where a held job is said to be.
PLACE = "memory"
#: A producer's name and an id, which is that producer's own.
JobKey = tuple[str, str]


class MemoryFleet:
    """Answers every job with a function of yours, at once, or when told to.

    Args:
        answer: Called once per job, one at a time. It returns an answer; or a status, to play a
            fleet that abstains, say; or a whole result. What it raises makes a result that says
            `failed`.

    Attributes:
        is_reachable: Whether clients reach it; a test may say that they do not.
    """

    def __init__(self, answer: Callable[[Job], Answer | Status | Result]) -> None:
        self.is_reachable = True
        self._answer = answer
        self._lock = threading.RLock()
        self._is_holding = False
        self._jobs: dict[JobKey, tuple[Job, int]] = {}
        self._repliers: dict[JobKey, set[str]] = defaultdict(set)
        self._results: dict[JobKey, Result] = {}
        self._notices: dict[tuple[str, str], list[str]] = defaultdict(list)
        self._bells: list[Callable[[], None]] = []

    def client(self, producer: str = DEFAULT_PRODUCER, **options: Any) -> Client:
        """Make a client of this fleet; options are those of `Client`."""
        return Client(transport=self.transport(producer), **options)

    def async_client(self, producer: str = DEFAULT_PRODUCER, **options: Any) -> AsyncClient:
        """Make an asynchronous client of this fleet; options are those of `AsyncClient`."""
        return AsyncClient(transport=self.transport(producer), **options)

    def transport(self, producer: str = DEFAULT_PRODUCER) -> Transport:
        """Make a way to this fleet, for one client of a producer."""
        return MemoryTransport(self, producer)

    @property
    def num_waiting(self) -> int:
        """How many jobs are submitted and not answered."""
        return len(self._jobs)

    def num_waiting_of(self, producer: str) -> int:
        """How many of these are one producer's."""
        return sum(name == producer for name, _ in self._jobs)

    def hold(self) -> None:
        """Answer nothing from now on."""
        with self._lock:
            self._is_holding = True

    def release(self) -> None:
        """Answer everything that waits, and from now on at once."""
        with self._lock:
            self._is_holding = False
            self.answer_next(len(self._jobs))

    def answer_next(self, num_jobs: int = 1) -> None:
        """Answer the oldest jobs that wait, while the others are held."""
        with self._lock:
            for key in list(self._jobs)[:num_jobs]:
                job, submitted_ms = self._jobs[key]
                self._finish(key, self._ask(job, submitted_ms))

    def submit(self, producer: str, job: Job) -> int:
        """Take a producer's job in; return when, in ms since 1970."""
        with self._lock:
            now_ms, key = _now_ms(), (producer, job.id)
            done = self._results.get(key)
            if done and done.status is Status.REFUSED:
                del self._results[key]
            elif done:
                self._tell(job.reply_to, key)
                return now_ms
            if job.reply_to:
                self._repliers[key].add(job.reply_to)
            self._jobs.setdefault(key, (job, now_ms))
            if not self._is_holding:
                self.answer_next(len(self._jobs))
            return now_ms

    def cancel(self, producer: str, job_id: str) -> None:
        """End a producer's job that waits."""
        with self._lock:
            key = (producer, job_id)
            if key in self._jobs:
                job, submitted_ms = self._jobs[key]
                problem = results.CANCELLED
                self._finish(key, _unanswered(job, Status.CANCELLED, problem, submitted_ms))

    def locate(self, producer: str, job_id: str) -> JobLocation:
        """Say where a producer's job is."""
        with self._lock:
            key = (producer, job_id)
            if done := self._results.get(key):
                return JobLocation(id=job_id, state=State.DONE, status=done.status)
            if key in self._jobs:
                return JobLocation(id=job_id, state=State.QUEUED, where=PLACE)
            return JobLocation(id=job_id, state=State.UNKNOWN)

    def results_of(self, producer: str, ids: Sequence[str]) -> dict[str, str]:
        """Return the results (JSON) of those of a producer's jobs that have one."""
        with self._lock:
            found = {job_id: self._results.get((producer, job_id)) for job_id in ids}
        return {job_id: result.to_json() for job_id, result in found.items() if result}

    def told(self, producer: str, reply_to: str, num_heard: int | None) -> list[str]:
        """Return the ids that a producer's client was told of, but for the first few."""
        with self._lock:
            return self._notices[producer, reply_to][num_heard:]

    def add_bell(self, bell: Callable[[], None]) -> None:
        """Ring at every result."""
        with self._lock:
            self._bells.append(bell)

    def remove_bell(self, bell: Callable[[], None]) -> None:
        """Ring no more."""
        with self._lock:
            self._bells.remove(bell)

    def _ask(self, job: Job, submitted_ms: int) -> Result:
        try:
            answer = _checked(self._answer(job))
        except Exception as error:  # noqa: BLE001 - the user's; it goes into the result
            problem = Problem(code="model_error", message=f"{type(error).__name__}: {error}")
            return _unanswered(job, Status.FAILED, problem, submitted_ms)
        if isinstance(answer, Status):
            return _unanswered(job, answer, _problem_of(answer), submitted_ms)
        if isinstance(answer, Result):
            return answer.model_copy(update={"id": job.id, "fingerprint": job.fingerprint})
        attempt = Attempt(
            step=0,
            tier=Tier.RULE,
            model=PLACE,
            revision=PLACE,
            outcome=Outcome.ACCEPTED,
            confidence=answer.confidence,
            answer=answer,
        )
        return results.answered(
            job, answer, (attempt,), submitted_ms=submitted_ms, now_ms=_now_ms()
        )

    def _finish(self, key: JobKey, result: Result) -> None:
        del self._jobs[key]
        self._results[key] = result
        for reply_to in self._repliers.pop(key, ()):
            self._tell(reply_to, key)

    def _tell(self, reply_to: str | None, key: JobKey) -> None:
        producer, job_id = key
        if reply_to:
            self._notices[producer, reply_to].append(job_id)
        for bell in self._bells:
            bell()


class MemoryTransport:
    """The way of one producer's client to a fleet in memory."""

    def __init__(self, fleet: MemoryFleet, producer: str) -> None:
        self._fleet = fleet
        self._producer = producer

    async def add(self, jobs: Sequence[Job]) -> list[str]:
        """Submit jobs; those that are not held are answered when this returns."""
        self._reach()
        return [f"{self._fleet.submit(self._producer, job)}-0" for job in jobs]

    async def cancel(self, ids: Sequence[str]) -> None:
        """End those that wait."""
        self._reach()
        for job_id in ids:
            self._fleet.cancel(self._producer, job_id)

    async def unread(self, entries: Sequence[str]) -> set[str]:  # noqa: ARG002 - the protocol's
        """Nothing: what is submitted is read at once."""
        return set()

    async def count_backlog(self) -> int:
        """Count the producer's jobs that are held."""
        self._reach()
        return self._fleet.num_waiting_of(self._producer)

    async def fetch(self, ids: Sequence[str]) -> dict[str, str]:
        """Return the results of those that have one."""
        self._reach()
        return self._fleet.results_of(self._producer, ids)

    async def notices(self, reply_to: str) -> AsyncGenerator[list[str], None]:
        """Yield the ids of results as they come, after an empty list."""
        self._reach()
        loop = asyncio.get_running_loop()
        rung = asyncio.Event()

        def bell() -> None:
            with suppress(RuntimeError):  # the loop is closed; its client was not
                loop.call_soon_threadsafe(rung.set)

        num_heard = len(self._fleet.told(self._producer, reply_to, None))
        self._fleet.add_bell(bell)
        try:
            yield []
            while True:
                rung.clear()
                if ids := self._fleet.told(self._producer, reply_to, num_heard):
                    num_heard += len(ids)
                    yield ids
                else:
                    await rung.wait()
        finally:
            self._fleet.remove_bell(bell)

    async def locate(self, job_id: str) -> JobLocation:
        """Say where a job is."""
        self._reach()
        return self._fleet.locate(self._producer, job_id)

    async def close(self) -> None:
        """Nothing to let go of."""

    def _reach(self) -> None:
        if not self._fleet.is_reachable:
            raise FleetUnreachable(PLACE, "played by a test")


def _checked(answer: object) -> Any:
    """Tell a test that its function returned what no fleet would."""
    is_answer = isinstance(answer, Result) or getattr(answer, "kind", None) in KNOWN_KINDS
    is_ending = isinstance(answer, Status) and answer is not Status.ANSWERED
    if not is_answer and not is_ending:
        kind = "Status.ANSWERED" if answer is Status.ANSWERED else type(answer).__name__
        raise TypeError(f"return an answer, another status, or a whole result, not {kind}")
    return answer


def _problem_of(status: Status) -> Problem:
    known = {Status.EXPIRED: results.EXPIRED, Status.CANCELLED: results.CANCELLED}
    code = "unsure" if status is Status.ABSTAINED else "played"
    return known.get(status) or Problem(code=code, message=f"played by a test: {status}")


def _unanswered(job: Job, status: Status, problem: Problem, submitted_ms: int) -> Result:
    return results.unanswered(job, status, problem, submitted_ms=submitted_ms, now_ms=_now_ms())


def _now_ms() -> int:
    return round(datetime.now(UTC).timestamp() * 1000)
