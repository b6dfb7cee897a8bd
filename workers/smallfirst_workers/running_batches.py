"""A batch while it runs: its jobs, the clock they are judged by, and what has come of it so far."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from smallfirst.ledger.held_jobs import HeldJob
from smallfirst.ledger.routing_slips import BatchMessage
from smallfirst.ledger.settlements import Settled
from smallfirst_workers.engines import EngineResult, ServedModel


@dataclass(frozen=True)
class RedisClock:
    """Redis's clock as it stood at one moment, and this process's at the same one."""

    ms: int
    monotonic: float

    def now_ms(self) -> int:
        """Redis's clock by now, without asking it again."""
        return self.ms + round((time.monotonic() - self.monotonic) * 1000)


@dataclass
class RunningBatch:
    """What a batch brought into this worker's hands, and what has come of it.

    Attributes:
        message: What Celery brought.
        served: The model that is asked.
        jobs: All that was claimed and could be read.
        clock: As of the claim.
        began: When the batch began, on this process's clock.
        settled: How its entries ended so far.
        tokens: Tokens read and written, without padding.
        positions: Positions computed, padding included.
        seconds: Of the worker, within the engine.
        is_finished: Whether it came to its end, and nothing raised.
    """

    message: BatchMessage
    served: ServedModel
    jobs: tuple[HeldJob, ...]
    clock: RedisClock
    began: float
    settled: Settled = field(default_factory=Settled)
    tokens: int = 0
    positions: int = 0
    seconds: float = 0.0
    is_finished: bool = False

    @cached_property
    def live(self) -> list[HeldJob]:
        """The jobs that somebody still waited for when they were claimed."""
        return [held for held in self.jobs if self.clock.ms < held.slip.expires_ms]

    @cached_property
    def late(self) -> list[HeldJob]:
        """The jobs whose time was up when they were claimed."""
        return [held for held in self.jobs if self.clock.ms >= held.slip.expires_ms]

    def count_pass(self, done: EngineResult) -> None:
        """Add what the engine computed."""
        self.tokens += sum(done.tokens)
        self.positions += done.padded_tokens
        self.seconds += done.seconds

    def summary(self) -> dict[str, object]:
        """What the batch came to, for the log.

        `fill` is how much of what was computed was no padding.
        """
        return {
            "jobs": len(self.jobs),
            "results": self.settled.results,
            "escalated": self.settled.moves,
            "fenced": self.settled.fenced,
            "tokens": self.tokens,
            "fill": round(self.tokens / self.positions, 3) if self.positions else 1.0,
            "seconds": round(self.seconds, 4),
        }

    def in_short(self) -> str:
        """The same as Flower shows it, in a column of its list: how its jobs ended, and no more."""
        counts = {
            "results": self.settled.results,
            "escalated": self.settled.moves,
            "fenced": self.settled.fenced,
        }
        return ", ".join(f"{number} {name}" for name, number in counts.items() if number) or "none"


def entries_of(jobs: Iterable[HeldJob]) -> dict[str, list[str]]:
    """The ids of the jobs' entries, by stream."""
    entries: dict[str, list[str]] = {}
    for held in jobs:
        entries.setdefault(held.entry.stream, []).append(held.entry.entry)
    return entries
