"""Runs a batch: claim its entries, ask the engine, judge each answer, settle each job."""

import os
import socket
import time
import traceback
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, astuple, dataclass
from datetime import timedelta

import structlog
from redis.exceptions import RedisError

from smallfirst.jobs import Attempt, Priority, Problem
from smallfirst.ledger.entries import Claim
from smallfirst.ledger.keys import POOL_GROUP, Keys
from smallfirst.ledger.ledger import Ledger
from smallfirst.ledger.routing_slips import BatchMessage
from smallfirst.ledger.settlements import Settled, Settlement
from smallfirst.ledger.unreadable import READING_ERRORS, unreadable
from smallfirst.telemetry.tracing import Mark, Tracing
from smallfirst_workers.engines import (
    Engine,
    EngineRequest,
    EngineResult,
    PartialResult,
    ServedModel,
    WaitsForEndpoint,
)
from smallfirst_workers.errors import EngineDead, ModelBroken
from smallfirst_workers.leases import BLAMELESS, LeaseKeeper
from smallfirst_workers.metrics import WorkerMetrics
from smallfirst_workers.outcomes import (
    Item,
    attempt_of,
    expire,
    is_not_loaded_yet,
    is_of_other_revision,
    judge,
    read_item,
    share_out,
)
from smallfirst_workers.probing import has_failed, is_sound
from smallfirst_workers.problems import EXPIRED
from smallfirst_workers.watchdog import Watchdog

log = structlog.get_logger()


@dataclass(frozen=True)
class Claimed:
    """What a batch brought into this worker's hands, and when.

    Attributes:
        items: The jobs.
        ms: Redis's clock at the claim.
        monotonic: This process's clock at the same moment.
    """

    items: tuple[Item, ...]
    ms: int
    monotonic: float

    def now_ms(self) -> int:
        """Redis's clock by now, without asking it again."""
        return self.ms + round((time.monotonic() - self.monotonic) * 1000)


@dataclass(frozen=True)
class Tally:
    """What has come of a batch so far."""

    results: int = 0
    escalated: int = 0
    fenced: int = 0
    tokens: int = 0
    positions: int = 0
    seconds: float = 0.0

    def __add__(self, other: "Tally") -> "Tally":
        pairs = zip(astuple(self), astuple(other), strict=True)
        return Tally(*(mine + others for mine, others in pairs))


@dataclass(frozen=True)
class Summary:
    """What a batch came to; Flower shows it as the task's result."""

    jobs: int
    results: int
    escalated: int
    fenced: int
    tokens: int
    fill: float
    seconds: float


def summarise(tally: Tally, *, num_jobs: int) -> Summary:
    """Say what a batch came to; `fill` is how much of what was computed was no padding."""
    return Summary(
        jobs=num_jobs,
        results=tally.results,
        escalated=tally.escalated,
        fenced=tally.fenced,
        tokens=tally.tokens,
        fill=round(tally.tokens / tally.positions, 3) if tally.positions else 1.0,
        seconds=round(tally.seconds, 4),
    )


class BatchRunner:
    """What running batches takes, put together once per process."""

    def __init__(
        self,
        ledger: Ledger,
        keys: Keys,
        holder: LeaseKeeper,
        lease: timedelta,
        watchdog: Watchdog,
        metrics: WorkerMetrics,
        tracing: Tracing,
    ) -> None:
        self._ledger = ledger
        self._keys = keys
        self._holder = holder
        self._lease = lease
        self._watchdog = watchdog
        self.metrics = metrics
        self._tracing = tracing
        self._warned: set[tuple[str, str]] = set()

    def run(self, message: BatchMessage, served: ServedModel) -> Summary:
        """Run one batch to its end. What is claimed and not settled here is given back."""
        began = time.monotonic()
        with ExitStack() as hands:
            claimed = self._claim(message, hands)
            live, tally = self._drop_expired(claimed)
            waiting = set(range(len(live)))
            asked = [_asked(item, claimed) for item in live]
            mark = self._mark(message, live)
            hands.callback(mark.end)
            for portion in self._sound(message.model, served.engine, asked):
                items = [live[place] for place in portion.places]
                judged = self._judge(items, portion.done, served, claimed, mark)
                tally += self._settle(judged)
                tally += Tally(tokens=sum(portion.done.tokens), seconds=portion.done.seconds)
                tally += Tally(positions=portion.done.padded_tokens)
                waiting -= set(portion.places)
                if waiting and not any(self._holds(live[place]) for place in waiting):
                    break  # What is left is another's by now; closing the engine's answer ends it.
        self._count(message.model, tally, len(claimed.items), time.monotonic() - began)
        return summarise(tally, num_jobs=len(claimed.items))

    def _count(self, model: str, tally: Tally, num_jobs: int, seconds: float) -> None:
        counted = {"num_jobs": num_jobs, "num_fenced": tally.fenced}
        self.metrics.count_batch(model, **counted, seconds=seconds)
        self.metrics.count_positions(model, tokens=tally.tokens, positions=tally.positions)

    def _mark(self, message: BatchMessage, items: Sequence[Item]) -> Mark:
        """Begin the batch's span, linked to each job's."""
        told = {"smallfirst.batch": message.batch, "smallfirst.model": message.model}
        told |= {"smallfirst.pool": message.pool}
        links = [item.slip.traceparent for item in items]
        return self._tracing.begin("batch", attributes=told, links=links)

    def _sound(
        self, model: str, engine: Engine, asked: Sequence[EngineRequest]
    ) -> Iterator[PartialResult]:
        """Give answers out as long as the model is not found broken.

        Raises:
            ModelBroken: When it fails on these questions, and on a plain one too.
        """
        try:
            for portion in self._watched(engine, asked):
                if has_failed(portion.done):
                    self._probe(model, engine, asked[0])
                yield portion
        except (EngineDead, *BLAMELESS, GeneratorExit):
            raise
        except BaseException:
            self._probe(model, engine, asked[0])
            raise

    def _probe(self, model: str, engine: Engine, asked: EngineRequest) -> None:
        with self._watchdog.watching():
            if not is_sound(engine, asked.task, asked.options):
                raise ModelBroken(model)

    def _watched(self, engine: Engine, asked: Sequence[EngineRequest]) -> Iterator[PartialResult]:
        """Give the engine's answers out, and end the process where they do not come."""
        if isinstance(engine, WaitsForEndpoint):
            yield from engine.answer(asked)
            return
        with self._watchdog.watching() as watch:
            for portion in engine.answer(asked):
                yield portion
                watch.progress()

    def note_failure(self, error: BaseException) -> None:
        """Leave word of what a batch raised, for the dead letter that may come of it."""
        with suppress(RedisError):
            process = f"{socket.gethostname()}-{os.getpid()}"
            self._ledger.note_end(process, f"raised {type(error).__name__}")

    def _claim(self, message: BatchMessage, hands: ExitStack) -> Claimed:
        """Take the batch's entries in, from both priorities' streams."""
        now_ms, items = 0, []
        for priority, entries in message.entries.items():
            stream = self._keys.backlog(message.pool, Priority(priority))
            asked_at = time.monotonic()
            claim = self._ledger.claim(stream, entries, self._lease)
            taken = [entry.entry for entry in claim.entries]
            hands.enter_context(self._holder.holding(stream, taken, since=asked_at))
            items += self._read(stream, claim)
            now_ms = claim.now_ms
        return Claimed(tuple(items), now_ms, time.monotonic())

    def _read(self, stream: str, claim: Claim) -> list[Item]:
        """Read entries; those that cannot be read end here."""
        items, ended = [], []
        for entry in claim.entries:
            try:
                items.append(read_item(entry))
            except READING_ERRORS:
                ended.append(unreadable(entry, claim.now_ms))
        self._ledger.settle(stream, POOL_GROUP, ended)
        return items

    def _drop_expired(self, claimed: Claimed) -> tuple[list[Item], Tally]:
        """End what nobody wants any more, before a model sees it."""
        live = [item for item in claimed.items if claimed.ms < item.slip.expires_ms]
        late = [item for item in claimed.items if claimed.ms >= item.slip.expires_ms]
        settled = self._settle([(item, expire(item, now_ms=claimed.ms)) for item in late])
        return live, settled

    def _judge(
        self,
        items: Sequence[Item],
        done: EngineResult,
        served: ServedModel,
        claimed: Claimed,
        mark: Mark,
    ) -> list[tuple[Item, Settlement]]:
        judged = []
        shares = share_out(done, served.price_per_hour)
        for item, answer, share in zip(items, done.answers, shares, strict=True):
            if is_not_loaded_yet(item.slip, answer, served.catalogue):
                self._holder.give_back(item.entry.stream, [item.entry.entry])
                continue
            revision = served.engine.revision_of(item.job.task)
            self._warn_of_void_promise(item, revision)
            attempt = attempt_of(
                item,
                answer,
                share,
                tier=served.tier,
                revision=revision,
                started_ms=claimed.ms,
            )
            self._tell(item, attempt, claimed, mark)
            now_ms = claimed.now_ms()
            if isinstance(answer, Problem) and answer.code == EXPIRED.code:
                judged.append((item, expire(item, now_ms=now_ms, attempt=attempt)))
            else:
                escalations = self._keys.escalations
                judged.append((item, judge(item, attempt, escalations=escalations, now_ms=now_ms)))
        return judged

    def _tell(self, item: Item, attempt: Attempt, claimed: Claimed, mark: Mark) -> None:
        """Count an attempt, and make its span, beside that of the batch."""
        task, parent = item.job.task, item.slip.traceparent
        self.metrics.count_attempt(task, attempt)
        if parent is not None:
            link, seconds = mark.traceparent, time.monotonic() - claimed.monotonic
            self._tracing.step(task, attempt, parent=parent, link=link, seconds=seconds)

    def _warn_of_void_promise(self, item: Item, revision: str) -> None:
        """Warn once of a model that answers and is not the one that was calibrated."""
        known = (item.job.task, revision)
        if not is_of_other_revision(item.slip, revision) or known in self._warned:
            return
        self._warned.add(known)
        log.warning(
            "promise.void",
            task=item.job.task,
            model=item.slip.model,
            revision=revision,
            consequence="no answer of this model stands; its jobs go to the next step",
            remedy=f"calibrate the task again: smallfirst calibrate {item.job.task}",
        )

    def _settle(self, settlements: Sequence[tuple[Item, Settlement]]) -> Tally:
        """End what is still in hand; an entry whose lease was lost is somebody else's to end."""
        by_stream: dict[str, list[Settlement]] = defaultdict(list)
        num_lost = 0
        for item, settlement in settlements:
            if self._holds(item):
                by_stream[item.entry.stream].append(settlement)
            else:
                num_lost += 1
        if num_lost:
            log.warning("lease.lost", num_jobs=num_lost, consequence="another worker answers them")
        total = Settled(fenced=num_lost)
        for stream, rows in by_stream.items():
            total += self._ledger.settle(stream, POOL_GROUP, rows)
            self.metrics.count_endings(rows)
            self._holder.drop(stream, [row.entry for row in rows])
        return Tally(results=total.results, escalated=total.moves, fenced=total.fenced)

    def _holds(self, item: Item) -> bool:
        return self._holder.holds(item.entry.stream, item.entry.entry)


def _asked(item: Item, claimed: Claimed) -> EngineRequest:
    seconds_left = (item.slip.expires_ms - claimed.now_ms()) / 1000
    job = item.job
    return EngineRequest(
        job.text, job.task, item.slip.options, job.explain, item.slip.kept, seconds_left
    )


def run_message(
    runner: BatchRunner, message: BatchMessage, served: ServedModel
) -> dict[str, object]:
    """Run a batch and log it; what raises, raises as an ordinary error.

    `SystemExit` and `MemoryError` would silently cost Celery's threads pool its one slot.
    """
    with structlog.contextvars.bound_contextvars(
        batch=message.batch, pool=message.pool, model=message.model
    ):
        try:
            summary = asdict(runner.run(message, served))
        except (EngineDead, ModelBroken):
            runner.metrics.count_outcome(message.model, "broken")
            raise
        except BLAMELESS as error:
            runner.metrics.count_outcome(message.model, "given_back")
            log.warning(
                "batch.given_back",
                error=type(error).__name__,
                consequence="its jobs are dispatched again, and it counts as no start of theirs",
            )
            raise
        except BaseException as error:  # noqa: BLE001 - the outermost place; logged and re-raised
            # Where it happened, and never the error's own words: a tokenizer may quote the text.
            log.error(  # noqa: TRY400 - an exception's message is what must not be logged
                "batch.failed",
                error=type(error).__name__,
                where=traceback.format_tb(error.__traceback__),
                consequence="its jobs are dispatched again, in smaller batches",
            )
            runner.metrics.count_outcome(message.model, "failed")
            runner.note_failure(error)
            raise RuntimeError(type(error).__name__) from None
        log.info("batch.settled", **summary)
        return summary
