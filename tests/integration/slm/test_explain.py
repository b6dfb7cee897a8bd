"""Laws of the words that an answer names as its reason."""

from collections.abc import Callable, Mapping

import numpy as np

from smallfirst.answers import LabelAnswer, LabelsAnswer, SpansAnswer
from smallfirst.catalogue import Task
from smallfirst.step_options import StepOptions
from smallfirst_workers.engines import EngineRequest
from smallfirst_workers.heads.explain import MAX_EVIDENCE, contributions
from smallfirst_workers.heads.heads import LinearHead
from smallfirst_workers.slm.engine import SlmEngine

EXACTLY = StepOptions(models=("minilm",))
TEXT = "Hello there, I ordered it in May and my card has still not arrived, can you help?"


def head_of(engine: SlmEngine, task: str) -> LinearHead:
    """A task's trained head."""
    head = engine.head_of(task, EXACTLY)
    assert isinstance(head, LinearHead)
    return head


def test_the_parts_sum_to_the_margin(engine: SlmEngine) -> None:
    """Words and rest make up exactly what the winner's logit has over the mean of all."""
    head = head_of(engine, "topic")
    for text in (TEXT, TEXT * 30):
        (states,), _ = engine.encoder.read([text], wants_words=[True])
        logits = head.logits(states.vector)
        winner = int(logits.argmax())

        parts = contributions(head, states, winner)

        margin = float(logits[winner] - logits.mean())
        assert abs(parts.words.sum() + parts.rest - margin) < 1e-3


def test_evidence_names_the_words_that_count(engine: SlmEngine) -> None:
    """What decides the topic is among the words named, at its place in the text."""
    (answer,) = engine.run([EngineRequest(TEXT, "topic", explain=True)]).answers

    assert isinstance(answer, LabelAnswer)
    words = {TEXT[one.start : one.end]: one.weight for one in answer.evidence}
    assert len(answer.evidence) == MAX_EVIDENCE
    assert max(words, key=words.__getitem__) in {"card", "arrived"}
    starts = [one.start for one in answer.evidence]
    assert starts == sorted(starts)


def test_labels_judged_for_themselves_are_explained_too(engine: SlmEngine) -> None:
    """The words are those that speak for the likeliest label."""
    (answer,) = engine.run([EngineRequest("please refund me", "about", explain=True)]).answers

    assert isinstance(answer, LabelsAnswer)
    weights = {one.start: one.weight for one in answer.evidence}
    assert max(weights, key=weights.__getitem__) == "please refund me".index("refund")


def test_what_cannot_be_explained_says_nothing(
    engine: SlmEngine, load: Callable[..., SlmEngine], tasks: Mapping[str, Task]
) -> None:
    """Spans, and heads on a first token's state, have no words to name."""
    first_token = load(pooling="cls")
    first_token.prepare({"topic": tasks["topic"]})

    (by_first,) = first_token.run([EngineRequest(TEXT, "topic", explain=True)]).answers
    (spans,) = engine.run([EngineRequest(TEXT, "names", explain=True)]).answers

    assert isinstance(by_first, LabelAnswer)
    assert isinstance(spans, SpansAnswer)
    assert by_first.evidence == spans.evidence == ()
    assert np.isclose(sum(by_first.distribution.values()), 1)


def test_nobody_is_explained_to_unasked(engine: SlmEngine) -> None:
    """Evidence costs bytes; it goes only to who wants it, in a batch that mixes both."""
    done = engine.run([EngineRequest(TEXT, "topic"), EngineRequest(TEXT, "topic", explain=True)])

    plain, explained = done.answers
    assert isinstance(plain, LabelAnswer)
    assert isinstance(explained, LabelAnswer)
    assert plain.evidence == ()
    assert explained.evidence
    assert plain.label == explained.label
