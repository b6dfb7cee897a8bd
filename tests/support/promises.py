"""A promise as calibration writes it, of a task `topic`: a rule, a small and a large model."""

from datetime import UTC, datetime
from pathlib import Path

from smallfirst.catalogue import Promise, StepPromise, step_specs
from smallfirst.catalogue.loading import load_catalogue
from smallfirst.jobs import Tier


def promise_for(path: Path, *, first: float = 0.9) -> Promise:
    """Make a promise of the catalogue as it is."""
    catalogue = load_catalogue(path, needs_promises=False)
    task = catalogue.tasks["topic"]
    specs = step_specs(task, catalogue.models)
    tiers, thresholds = (Tier.RULE, Tier.SLM, Tier.LLM), (1.0, first, "never")
    steps = tuple(
        StepPromise.model_validate(
            {
                "tier": tier,
                "model": step.name,
                "spec": specs[index],
                "acceptance": {
                    "revision": f"r{index}",
                    "temperature": 1.5 if tier is Tier.SLM else 1.0,
                    "threshold": thresholds[index],
                },
                "share_answered": 0.3,
                "num_tested": 100,
                "num_wrong": 1,
                "error_bound": 0.05,
            }
        )
        for index, (tier, step) in enumerate(zip(tiers, task.cascade, strict=True))
    )
    return Promise(
        task="topic",
        target=0.02,
        confidence=0.95,
        num_rows=500,
        num_tested=350,
        num_accepted=300,
        num_wrong=1,
        error_bound=0.016,
        share_answered=0.8,
        cost_per_job=0.001,
        currency="USD",
        abstention_cost=0.1,
        num_distinct=1,
        data="0" * 16,
        made_at=datetime(2026, 11, 1, tzinfo=UTC),
        steps=steps,
    )
