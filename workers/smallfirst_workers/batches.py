"""Runs a batch: claim its entries, ask the engine, judge each answer, settle each job.

Whatever else is to know of a batch hangs on its observers.
"""

import os
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from datetime import timedelta

import structlog
from redis.exceptions import RedisError

from smallfirst.answers import Answer
from smallfirst.jobs import Attempt, Priority, Problem
from smallfirst.ledger.booking import FENCED
from smallfirst.ledger.entries import StreamEntry
from smallfirst.ledger.held_jobs import HeldJob, read_parked_job
from smallfirst.ledger.holders import process_here
from smallfirst.ledger.keys import POOL_GROUP, Keys
from smallfirst.ledger.ledger import Ledger
from smallfirst.ledger.routing_slips import BatchMessage
from smallfirst.ledger.settlements import Finish, Move, Settled
from smallfirst.ledger.unreadable import READING_ERRORS
from smallfirst_workers.broken_promises import without_broken
from smallfirst_workers.catalogue_wait import PAUSE, CatalogueWait
from smallfirst_workers.drifted_jobs import with_raised
from smallfirst_workers.engines import EngineRequest, EngineResult, ServedModel
from smallfirst_workers.errors import EngineDead, ModelBroken
from smallfirst_workers.isolation import Isolation
from smallfirst_workers.leases import BLAMELESS, LeaseKeeper
from smallfirst_workers.observers.base import BatchObserver, BatchOutcome, Unsettled
from smallfirst_workers.outcomes import (
    attempt_of,
    expire,
    settlement_of,
)
from smallfirst_workers.problems import EXPIRED, NOT_LOADED
from smallfirst_workers.running_batches import RedisClock, RunningBatch, entries_of

log = structlog.get_logger()

#: How a start ended whose worker is of too old a version.
COULD_NOT_READ = "could not read it"
#: How a job that was in hand ends.
Ended = tuple[HeldJob, Finish | Move]


class BatchRunner:
    """What running batches takes, put together once per process and slice.

    Args:
        ledger: Of this worker.
        keys: Of the fleet.
        leases: Keeps what is in hand.
        lease: For how long a worker may be silent before a router takes over what it has in hand.
        observers: Each sees every batch; the first stands next to the engine.
        catalogue_wait: For how long a job may wait for a catalogue.
        isolation: Of the process, whose slices run their batches beside each other.
    """

    def __init__(
        self,
        ledger: Ledger,
        keys: Keys,
        leases: LeaseKeeper,
        lease: timedelta,
        observers: Sequence[BatchObserver],
        catalogue_wait: CatalogueWait | None = None,
        isolation: Isolation | None = None,
    ) -> None:
        self._ledger = ledger
        self._keys = keys
        self._leases = leases
        self._lease = lease
        self._observers = observers
        self._catalogue_wait = catalogue_wait or CatalogueWait()
        self._isolation = isolation or Isolation()

    def run(self, message: BatchMessage, served: ServedModel) -> RunningBatch:
        """Run one batch to its end. What is claimed and not settled here is given back."""
        with ExitStack() as hands:
            hands.enter_context(self._isolation.of(message.starts))
            batch = self._claim(message, served, hands)
            self._open(batch, hands)
            self._settle(
                batch, [(held, expire(held, now_ms=batch.clock.ms)) for held in batch.late]
            )
            waiting = set(range(len(batch.live)))
            for done in hands.enter_context(closing(self._ask(batch))):
                self._settle(batch, list(self._judge(batch, done)))
                waiting -= set(done.places)
                if waiting and not any(self._holds(batch.live[place]) for place in waiting):
                    break  # All that is left has ended elsewhere; closing the answer ends the work.
            batch.is_finished = True
        return batch

    def _claim(self, message: BatchMessage, served: ServedModel, hands: ExitStack) -> RunningBatch:
        """Take the batch's entries in, from both priorities' streams."""
        began, now_ms, jobs = time.monotonic(), 0, list[HeldJob]()
        for priority, entries in message.entries.items():
            stream = self._keys.backlog(message.pool, Priority(priority))
            # What another batch of this process has in hand, a router may have taken over and sent
            # once more while the process stood still.
            wanted = [entry for entry in entries if not self._leases.holds(stream, entry)]
            now_ms, claimed = self._ledger.claim(stream, wanted, starts=message.starts)
            hands.enter_context(self._leases.holding(stream, _starts_of(claimed)))
            jobs += self._read(stream, claimed)
        jobs = without_broken(with_raised(jobs, self._ledger.alarms), self._ledger.audits)
        return RunningBatch(
            message, served, tuple(jobs), RedisClock(now_ms, time.monotonic()), began
        )

    def _read(self, stream: str, entries: Sequence[StreamEntry]) -> list[HeldJob]:
        """Read entries; those that cannot be read go back, and are started again after a lease.

        A router ends them where it cannot read them either, or when too many starts were in vain;
        until then a worker of another version may do them.
        """
        jobs, odd = [], []
        for entry in entries:
            try:
                jobs.append(read_parked_job(entry))
            except READING_ERRORS:
                odd.append(entry)
        if odd:
            self._return_unread(stream, odd)
        return jobs

    def _return_unread(self, stream: str, entries: Sequence[StreamEntry]) -> None:
        self._note_end(COULD_NOT_READ)
        log.error(
            "entry.not_understood",
            stream=stream,
            entries=[entry.entry for entry in entries],
            consequence="another worker tries them, or they become dead letters",
            remedy="run routers and workers of one version",
        )
        starts = _starts_of(entries)
        self._leases.give_back(stream, starts, is_undone=False, pause=self._lease)

    def _open(self, batch: RunningBatch, hands: ExitStack) -> None:
        """Tell the observers now, and again when the batch is over."""
        for observer in self._observers:
            observer.on_claimed(batch)
            hands.callback(observer.on_closed, batch)

    def _ask(self, batch: RunningBatch) -> Generator[EngineResult]:
        """Ask the engine what somebody still waits for, past every observer."""
        requests = [_request(held, batch) for held in batch.live]
        answers = iter(batch.served.engine.answer(requests))
        for observer in self._observers:
            answers = observer.around_answers(batch, requests, answers)
        yield from answers

    def _judge(self, batch: RunningBatch, done: EngineResult) -> Iterator[Ended]:
        """Record each attempt, and decide how its entry ends."""
        batch.count_pass(done)
        for place, part in zip(done.places, done.parts(), strict=True):
            held, [answer] = batch.live[place], part.answers
            attempt = self._attempt(batch, held, part)
            if self._waits_for_catalogue(batch, held, answer):
                mine = _starts_of([held.entry])
                self._leases.give_back(held.entry.stream, mine, is_undone=True, pause=PAUSE)
                self._tell_unsettled(batch, held, attempt, "given_back")
                continue
            now_ms = batch.clock.now_ms()
            if isinstance(answer, Problem) and answer.code == EXPIRED.code:
                yield held, expire(held, now_ms=now_ms, attempt=attempt)
            else:
                escalations = self._keys.escalations
                yield held, settlement_of(held, attempt, escalations=escalations, now_ms=now_ms)

    def _attempt(self, batch: RunningBatch, held: HeldJob, part: EngineResult) -> Attempt:
        """Record what was asked of the engine, and tell the observers."""
        attempt = attempt_of(
            held,
            part,
            tier=batch.served.tier,
            revision=batch.served.engine.revision_of(held.job.task, held.slip.asked.options),
            price_per_hour=batch.served.price_per_hour,
            started_ms=batch.clock.ms,
        )
        for observer in self._observers:
            observer.on_attempt(batch, held, attempt)
        return attempt

    def _tell_unsettled(
        self, batch: RunningBatch, held: HeldJob, attempt: Attempt, outcome: Unsettled
    ) -> None:
        for observer in self._observers:
            observer.on_unsettled(batch, held, attempt, outcome)

    def _waits_for_catalogue(
        self, batch: RunningBatch, held: HeldJob, answer: Answer | Problem
    ) -> bool:
        """Whether a job came by a catalogue that this worker has yet to take up."""
        is_unknown = isinstance(answer, Problem) and answer.code == NOT_LOADED.code
        wanted, present = held.slip.asked.catalogue, batch.served.catalogue
        return is_unknown and self._catalogue_wait.goes_on(wanted, present, time.monotonic())

    def _settle(self, batch: RunningBatch, ended: Sequence[Ended]) -> None:
        """End what is still in hand, and has not ended elsewhere."""
        kept = [(held, settlement) for held, settlement in ended if self._holds(held)]
        if num_lost := len(ended) - len(kept):
            batch.settled += Settled(fenced=num_lost)
            self._tell_fenced(batch, [each for each in ended if each not in kept])
            log.warning("lease.lost", num_jobs=num_lost, consequence="they have ended elsewhere")
        for stream, entries in entries_of(held for held, _ in kept).items():
            rows = [settlement for held, settlement in kept if held.entry.stream == stream]
            batch.settled += self._ledger.settle(stream, POOL_GROUP, rows)
            for observer in self._observers:
                observer.on_settled(batch, rows)
            self._leases.drop(stream, entries)

    def _tell_fenced(self, batch: RunningBatch, ended: Sequence[Ended]) -> None:
        """Tell of attempts whose jobs have ended elsewhere: nobody else books what they took."""
        for held, settlement in ended:
            for attempt in settlement.spent:
                self._tell_unsettled(batch, held, attempt, FENCED)

    def _holds(self, held: HeldJob) -> bool:
        return self._leases.holds(held.entry.stream, held.entry.entry)

    def note_raised(
        self, message: BatchMessage, outcome: BatchOutcome, error: BaseException
    ) -> None:
        """Tell the observers of a batch that did not come to its end."""
        for observer in self._observers:
            observer.on_raised(message, outcome, error)

    def note_failure(self, error: BaseException) -> None:
        """Leave word of what a batch raised, for the dead letter that may come of it."""
        self._note_end(f"raised {type(error).__name__}")

    def _note_end(self, words: str) -> None:
        with suppress(RedisError):
            self._ledger.lives.note_end(process_here(os.getpid()), words)


def _starts_of(entries: Iterable[StreamEntry]) -> dict[str, int]:
    return {entry.entry: entry.starts for entry in entries}


def _request(held: HeldJob, batch: RunningBatch) -> EngineRequest:
    slip, job = held.slip, held.job
    seconds_left = (slip.expires_ms - batch.clock.now_ms()) / 1000
    return EngineRequest(
        job.text, job.task, slip.asked.options, job.explain, slip.kept_spans, seconds_left
    )


def run_message(runner: BatchRunner, message: BatchMessage, served: ServedModel) -> str:
    """Run a batch, and say in short what came of it.

    What raises, raises as an ordinary error, and is told to the observers.
    `SystemExit` and `MemoryError` would silently cost Celery's threads pool its one slot.
    """
    with structlog.contextvars.bound_contextvars(
        batch=message.batch, pool=message.pool, model=message.model
    ):
        try:
            return runner.run(message, served).in_short()
        except (EngineDead, ModelBroken) as error:
            runner.note_raised(message, "broken", error)
            raise
        except BLAMELESS as error:
            runner.note_raised(message, "given_back", error)
            raise
        except BaseException as error:  # noqa: BLE001 - the outermost place; told and re-raised
            runner.note_raised(message, "failed", error)
            runner.note_failure(error)
            raise RuntimeError(type(error).__name__) from None
