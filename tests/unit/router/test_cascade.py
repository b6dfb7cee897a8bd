"""Where a job goes next."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from smallfirst.acceptance import Acceptance, RuleAcceptance
from smallfirst.answers import LabelAnswer, Span, SpansAnswer
from smallfirst.catalogue import Backlog, Catalogue, Kind, Pattern, Promise, Rule, step_specs
from smallfirst.catalogue.loading import load_catalogue
from smallfirst.errors import CatalogueError
from smallfirst.evaluation.promises import write_promise
from smallfirst.jobs import Attempt, Job, Outcome, Tier
from smallfirst.step_options import StepOptions
from smallfirst_router.cascade import (
    Accept,
    Ask,
    LocalRule,
    PlannedStep,
    RunOut,
    TaskPlan,
    next_move,
    plan_of,
    pools_ahead,
)
from smallfirst_router.patterns import MAX_CANDIDATES
from smallfirst_router.rules import compile_rule

CALIBRATED = """\
version: 1
pools: {cpu: {tier: slm, max_parameters: 50M}}
models: {mini: {source: bundled:minilm, parameters: 22M}}
tasks:
  orders:
    kind: tag
    labels: {order: An order's number.}
    examples: [{text: about A-1234, spans: []}]
    cascade:
      - rule: {patterns: [{label: order, pattern: '\\bA-[0-9]{4}\\b'}]}
      - model: mini
        accept: calibrated
"""
PROMISED = Acceptance(threshold=0.9, temperature=1.5, revision="abc")
ORDER = Rule(patterns=(Pattern(label="order", pattern=r"\bA-[0-9]{4}\b"),))


def rule_step(number: int = 0, accepts: str = "match") -> PlannedStep:
    """Make a step that finds order numbers."""
    rule = LocalRule(compile_rule(ORDER, Kind.TAG), RuleAcceptance(accepts))
    return PlannedStep(number, Tier.RULE, "rules", Acceptance(), rule)


def model_step(number: int, tier: Tier = Tier.SLM, model: str = "minilm") -> PlannedStep:
    """Make a step that asks a model."""
    return PlannedStep(number, tier, model, Acceptance(threshold=0.8), Backlog("cpu", model))


def task_of(*steps: PlannedStep) -> TaskPlan:
    """Make a task of these steps."""
    return TaskPlan("orders", Kind.TAG, 10_000, steps)


def ask_here(step: PlannedStep, job: Job) -> Attempt:
    """Ask a real rule, without a clock."""
    asked = step.destination
    assert isinstance(asked, LocalRule)
    said = asked.ask(job)
    return Attempt(
        step=step.number,
        tier=step.tier,
        model=step.name,
        revision=asked.revision,
        outcome=said.outcome,
        reason=said.reason,
        answer=said.answer,
    )


def job_of(text: str, first: Tier | None = None, last: Tier | None = None) -> Job:
    """Make a job for the task."""
    return Job(id="a1", task="orders", text=text, first_tier=first, last_tier=last)


def test_a_rule_that_matches_answers() -> None:
    """A match ends the cascade at the rule, and no model is asked."""
    move = next_move(job_of("about A-1234"), task_of(rule_step(), model_step(1)), ask_here)
    assert isinstance(move, Accept)
    assert isinstance(move.answer, SpansAnswer)
    assert [(span.start, span.end) for span in move.answer.spans] == [(6, 12)]
    assert [attempt.tier for attempt in move.trail] == [Tier.RULE]


def test_a_rule_that_finds_nothing_passes_on() -> None:
    """Without a match the next step is asked, and the trail tells of the rule."""
    move = next_move(job_of("no number"), task_of(rule_step(), model_step(1)), ask_here)
    assert isinstance(move, Ask)
    assert move.step.number == 1
    assert [attempt.outcome for attempt in move.trail] == [Outcome.ESCALATED]


def test_a_rule_may_always_answer() -> None:
    """For a task that only rules serve, no match is an answer too."""
    move = next_move(job_of("no number"), task_of(rule_step(accepts="always")), ask_here)
    assert isinstance(move, Accept)
    assert move.answer == SpansAnswer(spans=(), confidence=1.0)


def test_a_rule_may_hand_its_spans_on() -> None:
    """What a rule is sure of is kept for the model's answer to be added to."""
    plan = task_of(rule_step(accepts="never"), model_step(1))
    move = next_move(job_of("about A-1234"), plan, ask_here)
    assert isinstance(move, Ask)
    assert [(span.start, span.end) for span in move.kept_spans] == [(6, 12)]


@pytest.mark.parametrize("accepts", ["match", "always", "never"])
def test_a_rule_that_a_bound_stops_ends_the_cascade(accepts: str) -> None:
    """No later step answers for the spans that a bound kept a rule from: the trail says which."""
    plan = task_of(rule_step(accepts=accepts), rule_step(1, accepts="always"), model_step(2))
    move = next_move(job_of("A-1234 " * (MAX_CANDIDATES + 1)), plan, ask_here)
    assert isinstance(move, RunOut)
    (attempt,) = move.trail
    assert attempt.outcome is Outcome.ESCALATED
    assert attempt.reason == "pattern 'order' has more than 20000 matches"


def test_a_job_goes_on_from_the_step_it_came_back_from() -> None:
    """An escalated job asks the next model, with its trail."""
    tried = Attempt(step=0, tier=Tier.SLM, model="minilm", revision="a", outcome=Outcome.ESCALATED)
    plan = task_of(model_step(0), model_step(1, model="deberta"))
    move = next_move(job_of("x"), plan, ask_here, step=1, trail=[tried])
    assert isinstance(move, Ask)
    assert (move.backlog.model, move.trail) == ("deberta", (tried,))


def test_a_cascade_without_steps_left_runs_out() -> None:
    """After the last step nobody is left to ask."""
    assert next_move(job_of("x"), task_of(model_step(0)), ask_here, step=1) == RunOut(())


@pytest.mark.parametrize(
    ("first", "last", "asked"),
    [
        (None, None, "minilm"),
        (Tier.SLM, None, "minilm"),
        (Tier.LLM, None, "llama"),
        (None, Tier.SLM, "minilm"),
        (None, Tier.RULE, None),
        (Tier.HUMAN, None, None),
    ],
)
def test_a_job_may_bound_the_tiers(first: Tier | None, last: Tier | None, asked: str) -> None:
    """Steps outside the job's tiers are not tried."""
    plan = task_of(rule_step(), model_step(1), model_step(2, Tier.LLM, "llama"))
    move = next_move(job_of("no number", first, last), plan, ask_here)
    assert (move.backlog.model if isinstance(move, Ask) else None) == asked


@pytest.mark.parametrize("accepts", ["match", "always", "never"])
def test_a_rule_without_an_answer_never_stands(accepts: str) -> None:
    """A classify rule that matched no pattern has no label to give."""
    assert RuleAcceptance(accepts).outcome(None) is Outcome.ESCALATED


def test_a_label_by_rule_stands() -> None:
    """A label is a match by itself."""
    answer = LabelAnswer(label="spam", confidence=1.0)
    assert RuleAcceptance.MATCH.outcome(answer) is Outcome.ACCEPTED
    assert RuleAcceptance.NEVER.outcome(answer) is Outcome.ESCALATED
    assert RuleAcceptance.MATCH.outcome(SpansAnswer(spans=(), confidence=1.0)) is Outcome.ESCALATED
    found = SpansAnswer(spans=(Span(start=0, end=1, label="a"),), confidence=1.0)
    assert RuleAcceptance.MATCH.outcome(found) is Outcome.ACCEPTED


def test_a_job_may_come_to_the_pools_of_its_tiers() -> None:
    """In order, from the step that is asked on; rules need no pool."""
    large = replace(model_step(2, Tier.LLM), destination=Backlog("gpu", "large"))
    plan = task_of(rule_step(), model_step(1), large)
    assert list(pools_ahead(job_of("x"), plan, 0)) == ["cpu", "gpu"]
    assert list(pools_ahead(job_of("x"), plan, 2)) == ["gpu"]
    assert list(pools_ahead(job_of("x", last=Tier.SLM), plan, 0)) == ["cpu"]


def test_a_step_of_which_no_answer_could_stand_is_not_asked() -> None:
    """It is passed over without a place in the trail; the steps after it keep their numbers."""
    never = replace(model_step(0), acceptance=Acceptance(threshold="never"))
    move = next_move(job_of("x"), task_of(never, model_step(1, model="deberta")), ask_here)
    assert isinstance(move, Ask)
    assert (move.step.number, move.trail) == (1, ())
    assert next_move(job_of("x"), task_of(never), ask_here) == RunOut(())


def calibrated(path: Path, rule_revision: str) -> Catalogue:
    """A catalogue of one rule and one model, calibrated for a revision of the rule."""
    path.write_text(CALIBRATED)
    catalogue = load_catalogue(path, needs_promises=False)
    specs = step_specs(catalogue.tasks["orders"], catalogue.models)
    found = {"share_answered": 0.5, "num_tested": 9, "num_wrong": 0, "error_bound": 0.3}
    steps = [
        {"tier": "rule", "model": "rules", "acceptance": {"revision": rule_revision}},
        {"tier": "slm", "model": "mini", "acceptance": PROMISED.model_dump()},
    ]
    promise = {
        "task": "orders",
        "target": 0.05,
        "confidence": 0.95,
        "num_rows": 20,
        "num_tested": 14,
        "num_accepted": 9,
        "num_wrong": 0,
        "error_bound": 0.3,
        "share_answered": 0.6,
        "cost_per_job": 0.0,
        "currency": "USD",
        "abstention_cost": 1.0,
        "num_distinct": 100,
        "data": "0" * 16,
        "made_at": "2026-11-01T00:00:00Z",
        "steps": [{**step, **found, "spec": spec} for step, spec in zip(steps, specs, strict=True)],
    }
    write_promise(Promise.model_validate_json(json.dumps(promise)), path)
    return load_catalogue(path)


def planned(catalogue: Catalogue) -> Mapping[str, TaskPlan]:
    """Every task's plan."""
    return plan_of(catalogue).tasks


def test_a_step_that_is_calibrated_tells_what_it_accepts(tmp_path: Path) -> None:
    """What calibration found is the very object that travels with the job."""
    revision = compile_rule(ORDER, Kind.TAG).revision
    plan = planned(calibrated(tmp_path / "catalogue.yaml", revision))["orders"]
    assert plan.steps[1].acceptance == PROMISED


def test_a_rule_that_was_not_calibrated_so_is_refused(tmp_path: Path) -> None:
    """Another version of the recognizers voids the promise of the whole cascade."""
    catalogue = calibrated(tmp_path / "catalogue.yaml", "0123456789ab")
    with pytest.raises(CatalogueError, match="finds otherwise than when it was calibrated"):
        planned(catalogue)


def test_what_a_step_asks_of_its_model_travels_with_the_job() -> None:
    """A worker looks no step up by its place: thoughts, votes and adapter are in the plan."""
    wanted = {"model": "big", "think": {"tokens": 64}, "vote": 5, "adapter": "law"}
    far = {"source": "./big", "tier": "llm", "parameters": "1M", "adapters": {"law": "./law"}}
    catalogue = Catalogue.model_validate(
        {
            "version": 1,
            "pools": {"gpu": {"tier": "llm", "max_parameters": "8B"}},
            "models": {"big": far},
            "tasks": {"reply": {"kind": "generate", "cascade": [wanted]}},
        }
    )
    [step] = planned(catalogue)["reply"].steps
    assert step.options == StepOptions(think_tokens=64, vote=5, adapter="law")
