"""Runs a batch: claim its entries, one pass, judge each answer, settle each job."""

import time
import traceback
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import timedelta

import structlog

from smallfirst.jobs import Priority
from smallfirst.keys import POOL_GROUP, Keys
from smallfirst.ledger import Ledger, Settled, Settlement
from smallfirst.legs import BatchMessage
from smallfirst_workers.engines import Asked, Pass, Served
from smallfirst_workers.holding import Holder
from smallfirst_workers.judging import Item, attempt_of, expire, judge, read_item, share_out

log = structlog.get_logger()


@dataclass(frozen=True)
class Summary:
    """What a batch came to; Flower shows it as the task's result."""

    jobs: int
    answered: int
    escalated: int
    expired: int
    fenced: int
    tokens: int
    fill: float
    seconds: float


class BatchRunner:
    """What running batches takes, put together once per process."""

    def __init__(self, ledger: Ledger, keys: Keys, holder: Holder, lease: timedelta) -> None:
        self._ledger = ledger
        self._keys = keys
        self._holder = holder
        self._lease = lease

    def run(self, message: BatchMessage, served: Served) -> Summary:
        """Run one batch to its end. What is claimed and not settled here is given back."""
        with ExitStack() as hands:
            now_ms, items = self._claim(message, hands)
            expired = [item for item in items if now_ms >= item.leg.expires_ms]
            live = [item for item in items if now_ms < item.leg.expires_ms]
            settlements = [(item, expire(item, now_ms=now_ms)) for item in expired]
            done, seconds = self._ask(live, served)
            settlements += self._judge(live, done, seconds, served, now_ms)
            settled = self._settle(settlements)
        return _summary(live, expired, done, settled, seconds)

    def _claim(self, message: BatchMessage, hands: ExitStack) -> tuple[int, list[Item]]:
        """Take the batch's entries in, from both priorities' streams."""
        now_ms, items = 0, []
        for priority, entries in message.entries.items():
            stream = self._keys.backlog(message.pool, Priority(priority))
            claim = self._ledger.claim(stream, entries, self._lease)
            hands.enter_context(self._holder.holding(stream, [e.entry for e in claim.entries]))
            items += [read_item(entry) for entry in claim.entries]
            now_ms = claim.now_ms
        return now_ms, items

    def _ask(self, items: Sequence[Item], served: Served) -> tuple[Pass, float]:
        asked = [
            Asked(item.job.text, item.job.task, item.job.explain, item.leg.kept) for item in items
        ]
        start = time.perf_counter()
        done = served.engine.run(asked) if asked else Pass([], [], 0, 0.0)
        return done, time.perf_counter() - start

    def _judge(
        self, items: Sequence[Item], done: Pass, seconds: float, served: Served, now_ms: int
    ) -> list[tuple[Item, Settlement]]:
        shares = share_out(done.tokens, seconds, served.price_per_hour)
        ended_ms = now_ms + round(seconds * 1000)
        judged = []
        for item, answer, share in zip(items, done.answers, shares, strict=True):
            attempt = attempt_of(
                item,
                answer,
                share,
                tier=served.tier,
                revision=served.engine.revision_of(item.job.task),
                started_ms=now_ms,
            )
            escalations = self._keys.escalations
            judged.append((item, judge(item, attempt, escalations=escalations, now_ms=ended_ms)))
        return judged

    def _settle(self, settlements: Sequence[tuple[Item, Settlement]]) -> Settled:
        by_stream: dict[str, list[Settlement]] = defaultdict(list)
        for item, settlement in settlements:
            by_stream[item.entry.stream].append(settlement)
        total = Settled()
        for stream, rows in by_stream.items():
            total += self._ledger.settle(stream, POOL_GROUP, rows)
        return total


def run_message(runner: BatchRunner, message: BatchMessage, served: Served) -> dict[str, object]:
    """Run a batch and log it; what raises, raises as an ordinary error.

    `SystemExit` and `MemoryError` would silently cost Celery's threads pool its one slot.
    """
    with structlog.contextvars.bound_contextvars(
        batch=message.batch, pool=message.pool, model=message.model
    ):
        try:
            summary = asdict(runner.run(message, served))
        except BaseException as error:  # noqa: BLE001 - the outermost place; logged and re-raised
            # Where it happened, and never the error's own words: a tokenizer may quote the text.
            log.error(  # noqa: TRY400 - an exception's message is what must not be logged
                "batch.failed",
                error=type(error).__name__,
                where=traceback.format_tb(error.__traceback__),
                consequence="its jobs are dispatched again, in smaller batches",
            )
            raise RuntimeError(type(error).__name__) from None
        log.info("batch.settled", **summary)
        return summary


def _summary(
    live: Sequence[Item], expired: Sequence[Item], done: Pass, settled: Settled, seconds: float
) -> Summary:
    tokens = sum(done.tokens)
    return Summary(
        jobs=len(live) + len(expired),
        answered=settled.results - len(expired),
        escalated=settled.moves,
        expired=len(expired),
        fenced=settled.fenced,
        tokens=tokens,
        fill=round(tokens / done.padded_tokens, 3) if done.padded_tokens else 1.0,
        seconds=round(seconds, 4),
    )
