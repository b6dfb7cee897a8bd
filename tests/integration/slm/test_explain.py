"""Laws of the words that an answer names as its reason."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from smallfirst.answers import MAX_EVIDENCE, LabelAnswer, LabelsAnswer, SpansAnswer
from smallfirst.catalogue import Kind, ModelStep, Task
from smallfirst.step_options import StepOptions
from smallfirst_workers.engines import EngineRequest
from smallfirst_workers.heads.explain import contributions
from smallfirst_workers.heads.heads import LinearHead
from smallfirst_workers.slm.engine import SlmEngine
from smallfirst_workers.slm.occlusion import MAX_PARTS, MAX_TOKENS, parts_of, without

CASCADE = (ModelStep(model="minilm"),)
EXACTLY = StepOptions(models=("minilm",))
TEXT = "Hello there, I ordered it in May and my card has still not arrived, can you help?"


def head_of(engine: SlmEngine, task: str) -> LinearHead:
    """A task's trained head."""
    head = engine.head_of(task, EXACTLY)
    assert isinstance(head, LinearHead)
    return head


def odds_of(answer: LabelAnswer, label: str) -> float:
    """The log-odds of a label."""
    chance = answer.distribution[label]
    return math.log(chance / (1 - chance))


def test_the_parts_sum_to_the_margin(engine: SlmEngine) -> None:
    """Words and rest make up exactly what the winner's logit has over the mean of all."""
    head = head_of(engine, "topic")
    for text in (TEXT, TEXT * 30):
        (states,), _ = engine.encoder.read([text], wants_words=[True])
        logits = head.logits(states.vector)
        winner = int(logits.argmax())

        parts = contributions(head, states, winner)

        margin = float(logits[winner] - logits.mean())
        assert abs(parts.margin - margin) < 1e-3


def test_evidence_names_the_words_that_count(engine: SlmEngine) -> None:
    """What decides the topic is among the words named, at its place in the text."""
    (answer,) = engine.run([EngineRequest(TEXT, "topic", explain=True)]).answers

    assert isinstance(answer, LabelAnswer)
    words = {TEXT[one.start : one.end]: one.weight for one in answer.evidence}
    assert len(answer.evidence) == MAX_EVIDENCE
    assert max(words, key=words.__getitem__) in {"card", "arrived"}
    starts = [one.start for one in answer.evidence]
    assert starts == sorted(starts)


def test_an_answer_tells_all_of_its_score(engine: SlmEngine) -> None:
    """The words named, the others and the bias are the margin that decided."""
    (answer,) = engine.run([EngineRequest(TEXT, "topic", EXACTLY, explain=True)]).answers

    assert isinstance(answer, LabelAnswer)
    told = answer.explanation
    assert told is not None
    assert (told.method, told.label) == ("states", answer.label)
    logits = np.log(list(answer.distribution.values()))
    assert told.score == pytest.approx(logits.max() - logits.mean(), abs=1e-3)
    assert told.rest is not None
    assert told.bias is not None
    named = sum(one.weight for one in answer.evidence)
    assert named + told.rest + told.bias == pytest.approx(told.score, abs=1e-5)


def test_labels_judged_for_themselves_are_explained_too(engine: SlmEngine) -> None:
    """The words are those that speak for the likeliest label."""
    (answer,) = engine.run([EngineRequest("please refund me", "about", explain=True)]).answers

    assert isinstance(answer, LabelsAnswer)
    weights = {one.start: one.weight for one in answer.evidence}
    assert max(weights, key=weights.__getitem__) == "please refund me".index("refund")


def test_what_is_no_sum_is_explained_by_leaving_words_out(
    load: Callable[..., SlmEngine], tasks: Mapping[str, Task]
) -> None:
    """A head on a first token's state: without the heaviest word its label is as much less sure."""
    engine = load(pooling="cls")
    engine.prepare({"topic": tasks["topic"]})

    done = engine.run([EngineRequest(TEXT, "topic", explain=True), EngineRequest(TEXT, "topic")])

    answer, plain = done.answers
    assert isinstance(answer, LabelAnswer)
    assert answer.model_copy(update={"evidence": (), "explanation": None}) == plain
    assert len(answer.evidence) == MAX_EVIDENCE
    assert answer.explanation is not None
    assert (answer.explanation.method, answer.explanation.label) == ("occlusion", answer.label)
    heaviest = max(answer.evidence, key=lambda one: one.weight)
    [left] = engine.run(
        [EngineRequest(without(TEXT, heaviest.start, heaviest.end), "topic")]
    ).answers
    assert isinstance(left, LabelAnswer)
    before, after = (odds_of(each, answer.label) for each in (answer, left))
    assert answer.explanation.score == pytest.approx(before, abs=1e-3)
    assert before - after == pytest.approx(heaviest.weight, abs=1e-2)
    assert before - after > 0
    # Who asks pays: a reading for each of 18 words, and its half of the one that they share.
    assert done.tokens[0] > 15 * done.tokens[1]


def test_a_models_own_classifier_is_explained(
    load: Callable[..., SlmEngine], tiny: Callable[..., Path]
) -> None:
    """A text of one word, or of nothing that is known, names none, and is answered."""
    labels = {"id2label": {0: "a", 1: "b"}, "label2id": {"a": 0, "b": 1}}
    folder = tiny("ForSequenceClassification", **labels)
    engine = load(folder, cache=folder / "cache")
    task = Task(kind=Kind.CLASSIFY, labels={"a": "", "b": ""}, cascade=CASCADE)
    engine.prepare({"own": task})
    texts = ["ada wrote to paris", "ada", "\u200b \U0001f600 \u200d", "the good the bad " * 400]

    answers = engine.run([EngineRequest(text, "own", explain=True) for text in texts]).answers

    several, one, _, long = answers
    assert isinstance(several, LabelAnswer)
    assert isinstance(one, LabelAnswer)
    assert isinstance(long, LabelAnswer)
    assert [(e.start, e.end) for e in several.evidence] == [(0, 3), (4, 9), (10, 12), (13, 18)]
    assert (one.evidence, one.explanation) == ((), None)
    assert len(long.evidence) <= MAX_EVIDENCE


def test_leaving_out_is_bounded_for_long_texts() -> None:
    """A longer text has fewer parts, which hold all of its words; a book has none."""
    text = "word " * 1000
    for num_tokens in (1000, 4000, 9000):
        parts = parts_of(text, num_tokens)
        assert len(parts) * num_tokens <= MAX_TOKENS
        assert len(parts) in {8, 2, 0}
    assert len(parts_of(text, 100)) == MAX_PARTS
    covered = "".join(text[start:end] for start, end in parts_of(text, 1000).tolist())
    assert covered.count("word") == 1000


def test_spans_name_no_words(engine: SlmEngine) -> None:
    """They are the words that they are about."""
    (spans,) = engine.run([EngineRequest(TEXT, "names", explain=True)]).answers
    assert isinstance(spans, SpansAnswer)
    assert spans.evidence == ()


def test_nobody_is_explained_to_unasked(engine: SlmEngine) -> None:
    """Evidence costs bytes; it goes only to who wants it, in a batch that mixes both."""
    done = engine.run([EngineRequest(TEXT, "topic"), EngineRequest(TEXT, "topic", explain=True)])

    plain, explained = done.answers
    assert isinstance(plain, LabelAnswer)
    assert isinstance(explained, LabelAnswer)
    assert plain.evidence == ()
    assert explained.evidence
    assert plain.label == explained.label
