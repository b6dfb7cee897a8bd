"""Decisions: what a person answered, kept in Redis until it is final, and the result it becomes.

A decision belongs to no desk: whichever lives settles it, or else a router, once the job's wait is
over.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import Field
from redis import Redis

from smallfirst import results
from smallfirst.answers import Answer
from smallfirst.jobs import Attempt, Outcome, Tier
from smallfirst.ledger.held_jobs import HeldJob
from smallfirst.ledger.keys import Keys
from smallfirst.ledger.routing_slips import Moment
from smallfirst.ledger.settlements import Finish
from smallfirst.people import PERSON
from smallfirst.wire import Wire


class Decision(Wire):
    """What one person answered to one job."""

    person: str = Field(description="The pseudonym of the person.")
    answer: Answer = Field(description="The person's answer.")
    decided_ms: Moment = Field(description="The time of the decision, on Redis's clock.")
    seconds: float = Field(default=0.0, ge=0.0, description="The seconds spent on the job.")
    start: int = Field(ge=0, description="The number of the start that was answered.")


def read_decision(raw: bytes) -> Decision:
    """Read what a desk wrote.

    Raises:
        ValueError: When it is no decision.
    """
    return Decision.model_validate_json(raw)


def attempt_of(held: HeldJob, decision: Decision) -> Attempt:
    """Record that a person was asked and answered; the answer stands."""
    asked = held.slip.asked
    waited_ms = max(0.0, decision.decided_ms - decision.seconds * 1000 - held.slip.parked_ms)
    return Attempt(
        step=asked.step,
        tier=Tier.HUMAN,
        model=PERSON,
        revision=decision.person,
        pool=asked.pool,
        outcome=Outcome.ACCEPTED,
        confidence=decision.answer.confidence,
        seconds=decision.seconds,
        waited_seconds=waited_ms / 1000,
        answer=decision.answer,
    )


def finish_with(held: HeldJob, decision: Decision, *, now_ms: int) -> Finish:
    """End a job with what a person answered: exactly that, whatever steps before found."""
    attempt = attempt_of(held, decision)
    result = results.answered(
        held.job,
        decision.answer,
        (*held.slip.trail, attempt),
        submitted_ms=held.slip.submitted_ms,
        now_ms=now_ms,
    )
    return Finish(
        entry=held.entry.entry,
        producer=held.slip.producer,
        result=result,
        reply_to=held.job.reply_to,
        spent=attempt,
    )


class Decisions:
    """The decisions of one slice that are not settled yet."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis: Any = redis
        self._keys = keys

    def read(self, stream: str, entries: Sequence[str]) -> dict[str, bytes]:
        """Find what was decided on entries of a stream, as JSON, by entry."""
        pipeline = self._redis.pipeline(transaction=False)
        for entry in entries:
            pipeline.hget(self._keys.decisions, f"{stream} {entry}")
        found = zip(entries, pipeline.execute(), strict=True)
        return {entry: raw for entry, raw in found if raw is not None}

    def forget(self, stream: str, entries: Iterable[str]) -> None:
        """Drop what was decided on entries that have ended."""
        members = [f"{stream} {entry}" for entry in entries]
        if members:
            self._redis.hdel(self._keys.decisions, *members)
            self._redis.zrem(self._keys.decided, *members)
