"""The smallest valid shapes of what travels, for tests of who carries it."""

from datetime import UTC, datetime
from typing import Any

from smallfirst.acceptance import Acceptance
from smallfirst.answers import LabelAnswer
from smallfirst.jobs import Attempt, Outcome, Problem, Result, Status, Tier
from smallfirst.ledger.routing_slips import RoutingSlip, StepRequest

NOW_MS = 1_800_000_000_000
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def slip_for(
    task: str = "topic",
    *,
    step: int = 0,
    model: str = "minilm",
    pool: str = "cpu",
    acceptance: Acceptance | None = None,
    catalogue: str = "",
    **more: Any,
) -> RoutingSlip:
    """A slip as a router parks it: a step to try, submitted a moment ago."""
    asked: dict[str, Any] = {"step": step, "model": model, "pool": pool, "catalogue": catalogue}
    request = StepRequest(**asked, acceptance=acceptance or Acceptance())
    times = {"submitted_ms": NOW_MS, "parked_ms": NOW_MS, "expires_ms": NOW_MS + 60_000}
    return RoutingSlip(
        **{
            "producer": "default",
            "task": task,
            "num_chars": 12,
            "request": request,
            **times,
            **more,
        }
    )


def result_for(job_id: str = "a1", status: Status = Status.ANSWERED, **more: Any) -> Result:
    """A result; an answered one says `yes`."""
    answer = LabelAnswer(label="yes", confidence=1.0) if status is Status.ANSWERED else None
    problem = None if answer else Problem(code=str(status), message="for a reason")
    ended = {"answer": answer, "problem": problem, "submitted_at": MOMENT, "finished_at": MOMENT}
    return Result(**{"id": job_id, "task": "topic", "status": status, **ended, **more})


def attempt_for(**more: Any) -> Attempt:
    """An attempt of a small model whose answer stands."""
    who = {"step": 0, "tier": Tier.SLM, "model": "minilm", "revision": "1", "pool": "cpu"}
    return Attempt(**{**who, "outcome": Outcome.ACCEPTED, **more})
