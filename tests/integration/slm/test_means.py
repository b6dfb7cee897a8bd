"""Laws of an encoder whose answer is averaged with that of a linear model."""

from collections.abc import Callable, Mapping

import numpy as np

from smallfirst.answers import LabelAnswer
from smallfirst.catalogue import MeanStep, Model, ModelStep, Task
from smallfirst.step_options import StepOptions
from smallfirst_workers.engines import EngineRequest
from smallfirst_workers.heads.explain import contributions
from smallfirst_workers.heads.means import MeanHead
from smallfirst_workers.slm.engine import SlmEngine

MODELS = {"words": Model(source="bundled:words", tier="linear")}
BOTH = MeanStep(models=("words", "minilm"))
HEAD = MeanStep(models=("minilm",))
TEXT = "Is there a refund for the card that I lost?"


def test_a_step_gets_the_mean_that_it_asks(
    load: Callable[..., SlmEngine], tasks: Mapping[str, Task]
) -> None:
    """Steps of one task differ in answer and revision, share one pass, and sum up to the margin."""
    engine = load()
    topic = tasks["topic"].model_copy(update={"cascade": (HEAD, BOTH)})
    engine.prepare({"topic": topic}, MODELS)

    asked = [EngineRequest(TEXT, "topic", step.options, explain=True) for step in (HEAD, BOTH)]
    done = engine.run(asked)
    alone, both = done.answers
    head = engine.head_of("topic", BOTH.options)
    (states,), positions = engine.encoder.read([TEXT], wants_words=[True])

    assert isinstance(alone, LabelAnswer)
    assert isinstance(both, LabelAnswer)
    assert isinstance(head, MeanHead)
    assert alone.distribution != both.distribution
    assert engine.revision_of("topic", HEAD.options) != engine.revision_of("topic", BOTH.options)
    assert done.padded_tokens == positions
    [logs] = np.log(head.of_texts([states]))
    winner = int(logs.argmax())
    parts = contributions(head, states, winner)
    assert abs(parts.margin - (logs[winner] - logs.mean())) < 1e-3
    assert both.evidence


def test_jobs_on_their_way_are_answered_after_a_change(
    load: Callable[..., SlmEngine], tasks: Mapping[str, Task]
) -> None:
    """What a step asked until now is ready through one change of the catalogue, and no longer."""
    engine, topic = load(), tasks["topic"]
    for step in (HEAD, BOTH, ModelStep(model="minilm")):
        engine.prepare({"topic": topic.model_copy(update={"cascade": (step,)})}, MODELS)

    assert engine.head_of("topic", BOTH.options) is not None
    assert engine.head_of("topic", HEAD.options) is None
    assert engine.head_of("topic", StepOptions()) is not None
