"""Audits as a router sees them: what it accepts is drawn, a broken promise stops machines."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.support.routers import KEYS, published, result_of, router_of, start_worker, submit, topic

from smallfirst.catalogue import Promise, StepPromise, step_specs
from smallfirst.catalogue.audit_orders import audit_order
from smallfirst.catalogue.loading import load_catalogue
from smallfirst.evaluation.promises import write_promise
from smallfirst.jobs import Priority, Status, Tier
from smallfirst.ledger.audits import Audits
from smallfirst.ledger.held_jobs import read_parked_job
from smallfirst.ledger.keys import POOL_GROUP
from smallfirst.ledger.ledger import Ledger
from smallfirst_router.router import Router
from smallfirst_workers.broken_promises import without_broken

PEOPLE = KEYS.people("topic")[Priority.BULK]
BULK = KEYS.backlog("cpu", Priority.BULK)
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
    cascade:
      - {rule: {patterns: [{label: a, pattern: invoice}]}}
      - {model: minilm, accept: calibrated}
      - {person: {wait: 1h}}
    audit: {share: 1.0, when_broken: stop}
"""


def calibrate(path: Path, *, num_wrong: int = 1) -> None:
    """Write a promise of the catalogue as it is."""
    catalogue = load_catalogue(path, needs_promises=False)
    task = catalogue.tasks["topic"]
    specs = step_specs(task, catalogue.models)
    pairs = zip(task.machine_steps, specs, (Tier.RULE, Tier.SLM), strict=True)
    found = {"share_answered": 0.5, "num_tested": 100, "num_wrong": num_wrong, "error_bound": 0.02}
    steps = [
        StepPromise.model_validate(
            {"tier": tier, "model": step.name, "spec": spec, "acceptance": {}, **found}
        )
        for step, spec, tier in pairs
    ]
    told: dict[str, Any] = {"task": "topic", "target": 0.02, "confidence": 0.95, **found}
    counts = {"num_rows": 400, "num_distinct": 400, "num_accepted": 200, "cost_per_job": 0.1}
    more = {"currency": "USD", "abstention_cost": 0.0, "data": "0" * 16}
    promise = Promise.model_validate(
        {**told, **counts, **more, "made_at": datetime.now(UTC), "steps": steps}
    )
    write_promise(promise, path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A catalogue with its promise."""
    path = tmp_path / "catalogue.yaml"
    path.write_text(CATALOGUE)
    calibrate(path)
    return path


@pytest.fixture
def router(redis: Any, redis_url: str, path: Path) -> Router:
    """A router that the test steps."""
    return router_of(redis, redis_url, path)


def take_in(redis: Any, router: Router, job_id: str, text: str) -> None:
    """Submit a job and let the router decide on it."""
    submit(redis, topic(job_id, text))
    for _ in range(3):
        router.step()


def series_of(path: Path) -> str:
    """Of the promise in force."""
    catalogue = load_catalogue(path)
    order = audit_order(catalogue.tasks["topic"], catalogue.models)
    assert order is not None
    return order.series


def test_what_a_rule_answered_is_checked(redis: Any, router: Router, path: Path) -> None:
    """By the script that writes the result; a job for a model is told to the worker."""
    take_in(redis, router, "a1", "an invoice")
    assert result_of(redis, "a1").status is Status.ANSWERED
    counts = Audits(redis, KEYS).counts("topic", series_of(path))
    assert (counts.cells, counts.num_waiting) == ({"0:0": 1}, 1)
    start_worker(redis)
    take_in(redis, router, "a2", "something else")
    [(_, fields)] = redis.xrange(BULK)
    assert series_of(path).encode() in fields[b"slip"]


def test_a_broken_promise_stops_machines_until_the_task_is_calibrated_anew(
    redis: Any, router: Router, path: Path
) -> None:
    """Neither a rule nor a model is asked; people are, and after the calibration machines again."""
    audits = Audits(redis, KEYS)
    audits.say("topic", "{}", broken=series_of(path))
    router.look_at_audits()
    take_in(redis, router, "a1", "an invoice")
    assert (redis.xlen(PEOPLE), redis.exists(KEYS.of_producer("default").result("a1"))) == (1, 0)
    calibrate(path, num_wrong=2)
    router.reload()
    router.look_at_audits()
    take_in(redis, router, "a2", "an invoice")
    assert result_of(redis, "a2").tier is Tier.RULE


def test_a_stopped_task_without_a_person_says_why_it_has_no_answer(
    redis: Any, redis_url: str, tmp_path: Path
) -> None:
    """The producer reads that an audit stopped it, and nothing of tiers that it never named."""
    path = tmp_path / "catalogue.yaml"
    path.write_text(CATALOGUE.replace("      - {person: {wait: 1h}}\n", ""))
    calibrate(path)
    router = router_of(redis, redis_url, path)
    Audits(redis, KEYS).say("topic", "{}", broken=series_of(path))
    router.look_at_audits()
    take_in(redis, router, "a1", "an invoice")
    result = result_of(redis, "a1")
    assert (result.status, result.trail) == (Status.ABSTAINED, ())
    assert result.problem
    assert result.problem.code == "no_step"
    assert result.problem.message.startswith("an audit found more errors than are promised")
    assert "tiers" not in result.problem.message


def test_another_promise_than_the_broken_one_stands(redis: Any, router: Router) -> None:
    """What was said of the promise before says nothing of this one."""
    Audits(redis, KEYS).say("topic", "{}", broken="0" * 16)
    router.look_at_audits()
    take_in(redis, router, "a1", "an invoice")
    assert result_of(redis, "a1").tier is Tier.RULE


def test_what_was_parked_before_escalates_at_the_worker(
    redis: Any, router: Router, path: Path
) -> None:
    """A worker that takes it looks once, and accepts no answer to it."""
    start_worker(redis)
    take_in(redis, router, "a1", "something else")
    assert published(redis)
    [(entry, _)] = redis.xrange(BULK)
    worker = Ledger(redis, KEYS, "w1")
    _, claimed = worker.claim(BULK, [entry.decode()])
    jobs = [read_parked_job(each) for each in claimed]
    assert without_broken(jobs, worker.audits) == jobs
    worker.audits.say("topic", "{}", broken=series_of(path))
    [stopped] = without_broken(jobs, worker.audits)
    assert stopped.slip.asked.acceptance.is_never
    assert stopped.entry == jobs[0].entry
    assert redis.xpending(BULK, POOL_GROUP)["pending"] == 1


def test_a_router_drops_the_checks_that_nobody_answered(redis: Any, router: Router) -> None:
    """When it tidies up."""
    take_in(redis, router, "a1", "an invoice")
    for member in redis.zrange(KEYS.review("@blind.topic"), 0, -1):
        redis.zadd(KEYS.review("@blind.topic"), {member: 1})
    router.tidy()
    assert not redis.xlen(KEYS.checks("topic"))
