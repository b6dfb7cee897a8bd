"""A task with a promise and a reference, and jobs that were counted of it, for tests of drift."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from smallfirst.acceptance import Acceptance, Thresholds
from smallfirst.catalogue import (
    Cautious,
    Promise,
    QuantityReference,
    Reference,
    StepPromise,
    step_specs,
)
from smallfirst.catalogue.loading import load_catalogue
from smallfirst.catalogue.promises import promise_digest
from smallfirst.drift.bins import CONFIDENCE_BINS, ESCALATION_BINS, LENGTH_BINS, What
from smallfirst.evaluation.promises import write_promise
from smallfirst.jobs import Tier
from smallfirst.ledger.books import BOOKED_TTL_SECONDS
from smallfirst.ledger.keys import Keys, date_of

KEYS = Keys()
#: The line of the catalogue that says what is done about drift.
ALERT = "drift: {alarm: alert}"
RAISE = "drift: {alarm: raise_threshold}"
MORE = "audit: 0.1\n    drift: {alarm: audit_more}"
CATALOGUE = """
version: 1
pools:
  cpu: {tier: slm, max_parameters: 50M}
models:
  minilm: {source: "bundled:minilm"}
tasks:
  topic:
    kind: classify
    labels: {a: one, b: two}
    drift: {alarm: alert}
    cascade: [{model: minilm, accept: calibrated}]
"""
NUM_ROWS = 1000
#: How the rows fell into bins, in per mille.
ROWS: Mapping[tuple[What, int | None], Mapping[str, int]] = {
    (What.LENGTH, None): {"64": 300, "128": 700},
    (What.LABEL, None): {"a": 500, "b": 400, "": 0},
    (What.CONFIDENCE, 0): {"0.5": 100, "0.9": 900},
    (What.ESCALATION, 0): {"accepted": 900, "escalated": 100},
}
_BINS = {
    What.LENGTH: LENGTH_BINS,
    What.CONFIDENCE: CONFIDENCE_BINS,
    What.ESCALATION: ESCALATION_BINS,
    What.LABEL: ("a", "b", ""),
}
#: The same of jobs of which most are long, and unsure.
OTHERWISE: Mapping[tuple[What, int | None], Mapping[str, int]] = {
    (What.LENGTH, None): {"128": 100, "2048": 900},
    (What.LABEL, None): {"a": 280, "b": 220},
    (What.CONFIDENCE, 0): {"0.5": 500, "0.9": 500},
    (What.ESCALATION, 0): {"accepted": 500, "escalated": 500},
}


def reference() -> Reference:
    """What the rows were like."""
    quantities = (
        QuantityReference(
            what=what, step=step, counts={name: counts.get(name, 0) for name in _BINS[what]}
        )
        for (what, step), counts in ROWS.items()
    )
    return Reference(num_rows=NUM_ROWS, num_distinct=NUM_ROWS, quantities=tuple(quantities))


def calibrated(
    folder: Path, *, days_ago: int = 3, drift: str = ALERT, **more: Any
) -> tuple[Path, Promise]:
    """Write a catalogue and its promise, made some days ago.

    Args:
        folder: Of the catalogue.
        days_ago: When the promise was made.
        drift: The line of the task that has another in its place.
        more: What the promise says besides, or otherwise.
    """
    path = folder / "catalogue.yaml"
    path.write_text(CATALOGUE.replace(ALERT, drift))
    catalogue = load_catalogue(path, needs_promises=False)
    step = StepPromise(
        tier=Tier.SLM,
        model="minilm",
        spec=step_specs(catalogue.tasks["topic"], catalogue.models)[0],
        acceptance=Acceptance(threshold=0.8),
        share_answered=0.9,
        num_tested=900,
        num_wrong=9,
        error_bound=0.02,
    )
    made_at = datetime.now(UTC).replace(microsecond=0) - timedelta(days=days_ago)
    told: dict[str, Any] = {
        "num_rows": 2 * NUM_ROWS,
        "num_tested": NUM_ROWS,
        "num_distinct": NUM_ROWS,
        "num_accepted": 900,
        "num_wrong": 9,
        "reference": reference(),
        "cautious": Cautious(
            target=0.01, share_answered=0.7, thresholds=(Thresholds(threshold=0.9),)
        ),
    }
    promise = Promise(
        task="topic",
        target=0.02,
        confidence=0.95,
        error_bound=0.02,
        share_answered=0.9,
        cost_per_job=0.0,
        currency="USD",
        abstention_cost=0.1,
        data="0" * 16,
        made_at=made_at,
        steps=(step,),
        **(told | more),
    )
    write_promise(promise, path)
    return path, promise


def see(
    redis: Any,
    promise: Promise,
    jobs: Mapping[tuple[What, int | None], Mapping[str, int]],
    *,
    times: int = 1,
    days_ago: int = 0,
) -> None:
    """Count jobs of one day, so many times as is said."""
    now_ms = int(redis.time()[0]) * 1000
    key = KEYS.seen(date_of(now_ms - days_ago * 86_400_000))
    for (what, step), counts in jobs.items():
        own = f"topic:{promise_digest(promise)}:{what}:{'' if step is None else step}"
        for name, count in counts.items():
            redis.hincrby(key, f"{own}:{name}", times * count)
    redis.expire(key, BOOKED_TTL_SECONDS)
