"""What a router sees of the jobs whose first step it asks itself."""

from pathlib import Path
from typing import Any

import pytest
from tests.support.drifting import KEYS, calibrated
from tests.support.routers import submit, topic

from smallfirst.catalogue import step_specs
from smallfirst.catalogue.loading import load_catalogue
from smallfirst.catalogue.promises import promise_digest
from smallfirst.evaluation.promises import write_promise
from smallfirst.jobs import Tier
from smallfirst.ledger.seen import SeenJobs
from smallfirst.settings import RouterSettings
from smallfirst_router.__main__ import Kept, build
from smallfirst_router.router_time import RouterTime

RULE = "[{rule: {patterns: [{label: a, pattern: parcel}]}}, {model: minilm, accept: calibrated}]"

PLAIN = "  plain: {kind: classify, labels: {a: one, b: two}, cascade: [{model: minilm}]}\n"


@pytest.fixture
def promised(tmp_path: Path) -> tuple[Path, str]:
    """A rule before the model, the hash of its promise, and a task without one."""
    path, promise = calibrated(tmp_path)
    written = path.read_text().replace("[{model: minilm, accept: calibrated}]", RULE)
    path.write_text(written + PLAIN)
    catalogue = load_catalogue(path, needs_promises=False)
    rule, model = step_specs(catalogue.tasks["topic"], catalogue.models)
    [step] = promise.steps
    steps = (
        step.model_copy(update={"tier": Tier.RULE, "model": "rules", "spec": rule}),
        step.model_copy(update={"spec": model}),
    )
    whole = promise.model_copy(update={"steps": steps})
    write_promise(whole, path)
    return path, promise_digest(whole)


def test_a_router_counts_what_it_asked_itself(
    redis: Any, redis_url: str, promised: tuple[Path, str]
) -> None:
    """What the rule answered and what it passed on, once each, written down as it ends."""
    path, digest = promised
    values: Any = {"redis_url": redis_url, "catalogue": path}
    kept = Kept(RouterTime(0.0), SeenJobs())
    router = build(RouterSettings.model_validate(values), kept=kept)
    router.open()
    submit(redis, topic("a", "where is my parcel"), topic("b", "x" * 40), topic("c", "y" * 70))
    submit(redis, topic("d", "of no promise", task="plain"))
    router.step()
    router.close()
    [of_day] = redis.scan_iter(KEYS.seen("*"))
    found = {name.decode(): int(number) for name, number in redis.hgetall(of_day).items()}
    own = f"topic:{digest}"
    assert found == {
        f"{own}:length::0": 1,
        f"{own}:length::32": 1,
        f"{own}:length::64": 1,
        f"{own}:label::a": 1,
        f"{own}:escalation:0:accepted": 1,
        f"{own}:escalation:0:escalated": 2,
    }
