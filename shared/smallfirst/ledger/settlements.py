"""How one entry of a stream ends: its result, its next stream, its refusal or its cancellation."""

import hashlib
from dataclasses import dataclass
from typing import Literal

from smallfirst.jobs import Outcome, Status
from smallfirst.ledger.routing_slips import DeadLetter


@dataclass(frozen=True)
class Spent:
    """What one attempt took, to be booked when its entry is settled."""

    task: str
    step: int
    outcome: Outcome
    seconds: float
    cost: float


@dataclass(frozen=True)
class Ending:
    """How a job of a task ends."""

    task: str
    status: Status


@dataclass(frozen=True, kw_only=True)
class Settlement:
    """How one entry ends: see the columns of settle.lua; `ending` is for who counts them."""

    verb: Literal["result", "move", "refuse", "cancel"]
    entry: str
    job_id: str = ""
    fingerprint: str = ""
    reply_to: str = ""
    body: bytes | str = b""
    slip: str = ""
    to: str = ""
    raw: bytes = b""
    spent: Spent | None = None
    ending: Ending | None = None

    def columns(self) -> list[bytes | str]:
        """One row of settle.lua's arguments."""
        spent = self.spent
        task = f"{spent.task}:{spent.step}:{spent.outcome}" if spent else ""
        took = f"{spent.seconds:.6f},{spent.cost:.9f}" if spent else ""
        row = [self.verb, self.entry, self.job_id, self.fingerprint, self.reply_to]
        return [*row, self.body, self.slip, self.to, self.raw, task, took]


@dataclass(frozen=True)
class Settled:
    """How many entries ended each way.

    Attributes:
        results: A result was written.
        moves: The job went on to another stream.
        joined: Answered by an earlier submission of the same id.
        fenced: Settled by somebody else before, or held by somebody else now.
    """

    results: int = 0
    moves: int = 0
    joined: int = 0
    fenced: int = 0

    def __add__(self, other: "Settled") -> "Settled":
        return Settled(
            self.results + other.results,
            self.moves + other.moves,
            self.joined + other.joined,
            self.fenced + other.fenced,
        )


def dead_letter(
    raw: bytes,
    reason: str,
    *,
    detail: str = "",
    job_id: str | None = None,
    task: str | None = None,
    is_refusal: bool = False,
) -> str:
    """Describe a raw submission that is given up, as JSON, by its size and hash alone."""
    return DeadLetter(
        id=job_id,
        task=task,
        reason=reason,
        detail=detail,
        size=len(raw),
        digest=f"sha256:{hashlib.sha256(raw).hexdigest()}",
        is_refusal=is_refusal,
    ).to_json()
