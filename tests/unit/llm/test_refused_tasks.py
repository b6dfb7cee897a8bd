"""Tasks of a large model: one that does not fit ends alone. The engine behind it is not started."""

from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.support.chat_templates import CHATML

from smallfirst.catalogue import Task
from smallfirst.jobs import Problem
from smallfirst_workers.engines import EngineRequest
from smallfirst_workers.errors import TaskError
from smallfirst_workers.llm.vllm.async_engine import AsyncEngine
from smallfirst_workers.llm.vllm.engine import LlmEngine
from smallfirst_workers.problems import NOT_LOADED, REFUSED
from smallfirst_workers.prompting.prompter import Prompter


def task(num_labels: int, **more: Any) -> Task:
    """A task of so many labels."""
    labels = {f"label number {n}": "A description." for n in range(num_labels)}
    step = {"model": "m"}
    return Task.model_validate({"kind": "classify", "labels": labels, **more, "cascade": [step]})


GOOD, CROWDED = task(2), task(200)


@pytest.fixture
def engine() -> Iterator[LlmEngine]:
    """An engine with a context of 512 tokens that was never started."""
    prompter = Prompter("m", CHATML.tokenizer(), max_tokens=512, embed=lambda: None)
    engine = LlmEngine("m", "1", prompter, AsyncEngine("m"))
    yield engine
    engine.unload()


def problem_of(engine: LlmEngine, name: str) -> Problem:
    """Ask a question of a task that has no answer."""
    [done] = engine.answer([EngineRequest("x", name)])
    [answer] = done.answers
    assert isinstance(answer, Problem)
    return answer


def test_a_task_that_does_not_fit_ends_alone(engine: LlmEngine) -> None:
    """Its jobs are told why, as is the log; the others are served."""
    with capture_logs() as logs:
        engine.prepare({"good": GOOD, "crowded": CROWDED})

    told = problem_of(engine, "crowded")
    assert told.code == REFUSED
    assert told.message.startswith("tasks.crowded leaves no room for a text in 512 tokens")
    assert [(each["event"], each["task"]) for each in logs] == [("task.refused", "crowded")]
    assert problem_of(engine, "unknown") == NOT_LOADED
    assert "good" in engine._prompts


def test_a_refused_task_has_its_revision(engine: LlmEngine) -> None:
    """So that a promise which was made for it is not taken for void."""
    engine.prepare({"good": GOOD, "crowded": CROWDED})

    revisions = {engine.revision_of(name) for name in ("good", "crowded")}

    assert len(revisions) == 2
    assert engine.revision_of("unknown") not in revisions


def test_a_model_without_any_task_that_fits_is_not_served(engine: LlmEngine) -> None:
    """There is nothing for its worker to do; so the start says."""
    with pytest.raises(TaskError, match="crowded leaves no room"):
        engine.prepare({"crowded": CROWDED, "other": CROWDED})


def test_a_change_that_breaks_a_task_is_refused_whole(engine: LlmEngine) -> None:
    """What was served goes on being served as it was, and what was mended is served again."""
    engine.prepare({"good": GOOD, "other": GOOD})

    with pytest.raises(TaskError, match="good leaves no room"):
        engine.prepare({"good": CROWDED, "other": GOOD})

    assert {"good", "other"} == set(engine._prompts)
    engine.prepare({"good": GOOD, "new": CROWDED})
    engine.prepare({"good": GOOD, "new": GOOD})
    assert {"good", "new"} == set(engine._prompts)
    assert engine._refused == {}
