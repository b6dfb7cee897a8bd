"""Tells a broken model from a job that breaks it, by a question that no sound model fails on."""

import structlog

from smallfirst.jobs import Problem
from smallfirst.step_options import NO_OPTIONS, StepOptions
from smallfirst_workers.engines import Engine, EngineRequest, EngineResult, WaitsForEndpoint
from smallfirst_workers.problems import MODEL_ERROR

log = structlog.get_logger()

#: Plain words: a model that fails on these fails on everything.
PLAIN_TEXT = "Hello, this is a short and plain text."


def has_failed(done: EngineResult) -> bool:
    """Whether the model failed on every question of a pass."""
    return bool(done.answers) and all(
        isinstance(answer, Problem) and answer.code == MODEL_ERROR for answer in done.answers
    )


def is_sound(engine: Engine, task: str, options: StepOptions = NO_OPTIONS) -> bool:
    """Ask the plain question; a model elsewhere counts as sound, since its trouble is told apart.

    What the engine raises here is the answer to the question, so it is not raised further.
    """
    if isinstance(engine, WaitsForEndpoint):
        return True
    try:
        portions = list(engine.answer([EngineRequest(PLAIN_TEXT, task, options)]))
    except Exception as error:  # noqa: BLE001 - whatever it is, a plain text should not cause it
        log.warning("probe.failed", task=task, error=type(error).__name__)
        return False
    return not any(has_failed(portion) for portion in portions)
