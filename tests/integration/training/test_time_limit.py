"""Laws of a training that may take so long and no longer."""

import json
from pathlib import Path
from typing import Any

import pytest
import transformers

from smallfirst.fitting.training import Done, Failed, TooLong, trained
from smallfirst.process.training_plan import TrainingPlan
from smallfirst_workers.errors import TooLongError
from smallfirst_workers.training.time_limit import SETTLED_STEPS, TimeLimit

from .conftest import Bench, mood_rows


def fitted(limit: TimeLimit, seconds_a_step: float, num_steps: int, clock: list[float]) -> None:
    """Let so many steps go by, each as long as the others."""
    state, control = transformers.TrainerState(max_steps=num_steps), transformers.TrainerControl()
    limit.on_train_begin(None, state, control)
    for step in range(1, num_steps + 1):
        state.global_step = step
        clock[0] += seconds_a_step
        limit.on_step_end(None, state, control)


def test_it_is_given_up_once_its_speed_is_known() -> None:
    """Not before, and not when it is nearly over."""
    clock = [100.0]
    with pytest.raises(TooLongError) as raised:
        fitted(TimeLimit(50.0, lambda: clock[0]), 1.0, 90, clock)
    assert clock[0] == 100.0 + SETTLED_STEPS
    assert raised.value.needed == pytest.approx(90)
    assert raised.value.allowed == 50.0


def test_one_that_is_quick_enough_goes_on() -> None:
    """Whatever the clock says at first; one of few steps is judged when all are done."""
    clock = [5.0]
    fitted(TimeLimit(91.0, lambda: clock[0]), 1.0, 90, clock)
    with pytest.raises(TooLongError):
        fitted(TimeLimit(3.0, lambda: clock[0]), 1.0, 4, clock)


def material(bench: Bench, **changed: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A catalogue of the bench's model and task, and rows."""
    model = {"source": str(bench.folder / "tiny"), "runtime": "torch", "precision": "float32"}
    task = {"kind": "classify", "labels": {"good": "", "bad": ""}, "cascade": [{"model": "tiny"}]}
    pools = {"cpu": {"tier": "slm", "max_parameters": "50M"}}
    base = {"version": 1, "pools": pools, "models": {"tiny": model}, "tasks": {"mood": task}}
    return {**base, **changed}, mood_rows()


def plan_of(bench: Bench, **settings: Any) -> TrainingPlan:
    """A plan whose files are written by whoever starts the training."""
    places: dict[str, Any] = {"catalogue": Path("catalogue.yaml"), "data": Path("rows.jsonl")}
    return bench.plan(**places, held_out=0.0, epochs=4, **settings)


def test_a_process_of_its_own_trains_in_time(bench: Bench) -> None:
    """The model is there, and what limited it is neither in its card nor beside it."""
    plan = plan_of(bench, time_limit=300.0)
    assert trained(plan, material(bench), 300.0) == Done()
    card = json.loads((plan.out / "card.json").read_text())
    assert "time_limit" not in card["settings"]


def test_a_process_that_would_take_too_long_leaves_no_model(bench: Bench) -> None:
    """By its own measure it says how long; by the clock of who asked it is ended."""
    slow = plan_of(bench, time_limit=1e-6)
    found = trained(slow, material(bench), 300.0)
    assert isinstance(found, TooLong)
    assert found.needed > 1e-6
    assert trained(plan_of(bench), material(bench), 0.2) == TooLong(0.2)
    assert not slow.out.exists()


def test_why_a_training_failed_is_told_in_words(bench: Bench) -> None:
    """A model that is not there, by the trainer's own sentence."""
    gone = {"tiny": {"source": "./nowhere", "runtime": "torch", "precision": "float32"}}
    found = trained(plan_of(bench), material(bench, models=gone), 300.0)
    assert isinstance(found, Failed)
    assert "nowhere: no folder" in found.reason
