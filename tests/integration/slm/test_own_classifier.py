"""Laws of models that bring a classifier of their own. They are tiny, random, and made here."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from smallfirst.answers import LabelAnswer, LabelsAnswer, SpansAnswer
from smallfirst.catalogue import Kind, ModelStep, Task
from smallfirst_workers.engines import EngineRequest
from smallfirst_workers.errors import ModelError, TaskError
from smallfirst_workers.slm.engine import SlmEngine

Load = Callable[..., SlmEngine]
Tiny = Callable[..., Path]
TEXT = "Ada wrote to Grace, the good"
LONG = "Ada wrote to the good Grace. " * 30


def task(kind: Kind, *labels: str) -> Task:
    """A task without examples: the model knows."""
    return Task(kind=kind, labels=dict.fromkeys(labels, ""), cascade=(ModelStep(model="minilm"),))


def settings(*labels: str) -> dict[str, dict[int, str] | dict[str, int]]:
    """The part of a configuration that names a classifier's outputs."""
    return {
        "id2label": dict(enumerate(labels)),
        "label2id": {label: number for number, label in enumerate(labels)},
    }


def test_a_text_classifier_answers_its_own_probabilities(load: Load, tiny: Tiny) -> None:
    """The distribution is the softmax of the model's logits, whatever order the task lists."""
    folder = tiny("ForSequenceClassification", **settings("good", "bad", "mixed"))
    engine = load(folder, precision="float32")
    engine.prepare({"mood": task(Kind.CLASSIFY, "mixed", "bad", "good")})

    (answer,) = engine.run([EngineRequest(TEXT, "mood")]).answers

    assert isinstance(answer, LabelAnswer)
    for label, probability in _reference(folder, TEXT).items():
        assert abs(answer.distribution[label] - probability) < 1e-4


def test_outputs_answer_by_the_names_that_the_catalogue_gives(load: Load, tiny: Tiny) -> None:
    """An answer has the model's probability of each output under its new name, or their sum."""
    folder = tiny("ForSequenceClassification", num_labels=3)
    names = {"LABEL_0": "bad", "LABEL_1": "good", "LABEL_2": "bad"}
    engine = load(folder, precision="float32", outputs=names)
    engine.prepare({"mood": task(Kind.CLASSIFY, "good", "bad")})

    (answer,) = engine.run([EngineRequest(TEXT, "mood")]).answers

    assert isinstance(answer, LabelAnswer)
    own = _reference(folder, TEXT)
    assert abs(answer.distribution["good"] - own["LABEL_1"]) < 1e-4
    assert abs(answer.distribution["bad"] - own["LABEL_0"] - own["LABEL_2"]) < 1e-4


def test_a_revision_covers_the_names_of_outputs(load: Load, tiny: Tiny) -> None:
    """Turned round, the same classifier is another revision; only named anew, it is so once."""
    folder = tiny("ForSequenceClassification")
    revisions = []
    for names in (("good", "bad"), ("bad", "good"), ("good", "bad")):
        outputs = dict(zip(("LABEL_0", "LABEL_1"), names, strict=True))
        engine = load(folder, runtime="torch", outputs=outputs)
        engine.prepare({"mood": task(Kind.CLASSIFY, "good", "bad")})
        revisions.append(engine.revision_of("mood"))
    assert revisions[0] == revisions[2] != revisions[1]


def test_outputs_that_the_model_lacks_are_refused(load: Load, tiny: Tiny) -> None:
    """A worker says it in the words of `smallfirst check`."""
    folder = tiny("ForSequenceClassification", **settings("good", "bad"))
    rule = "models.minilm cannot be served: outputs: has 'LABEL_0', which is none of the model's"
    with pytest.raises(ModelError, match=re.escape(rule)):
        load(folder, runtime="torch", outputs={"LABEL_0": "good"})


def test_a_revision_covers_the_precision(load: Load, tiny: Tiny) -> None:
    """Computed in another precision, the same classifier is another revision to a promise."""
    folder = tiny("ForSequenceClassification", **settings("good", "bad"))
    revisions = set()
    for precision in ("float32", "bfloat16", "float32"):
        engine = load(folder, runtime="torch", precision=precision)
        engine.prepare({"mood": task(Kind.CLASSIFY, "good", "bad")})
        revisions.add(engine.revision_of("mood"))
    assert len(revisions) == 2


def test_a_long_text_gets_the_mean_of_its_windows(load: Load, tiny: Tiny) -> None:
    """Probabilities are averaged over windows and still sum to 1."""
    engine = load(tiny("ForSequenceClassification", **settings("good", "bad")))
    engine.prepare({"mood": task(Kind.CLASSIFY, "good", "bad")})

    done = engine.run([EngineRequest(LONG, "mood")])

    (answer,) = done.answers
    assert isinstance(answer, LabelAnswer)
    assert abs(sum(answer.distribution.values()) - 1) < 1e-9
    assert done.tokens[0] > 6 * 30


def test_labels_judged_for_themselves_need_not_sum_to_one(load: Load, tiny: Tiny) -> None:
    """A model made for several labels answers several, each with its own probability."""
    folder = tiny(
        "ForSequenceClassification",
        problem_type="multi_label_classification",
        **settings("good", "bad"),
    )
    engine = load(folder)
    engine.prepare({"mood": task(Kind.MULTILABEL, "good", "bad")})

    short, long = engine.run(
        [EngineRequest("the good", "mood"), EngineRequest(LONG + "the good", "mood")]
    ).answers

    assert isinstance(short, LabelsAnswer)
    assert isinstance(long, LabelsAnswer)
    assert set(short.labels) == {label for label, p in short.distribution.items() if p >= 0.5}


@pytest.mark.parametrize("is_named_here", [False, True])
def test_a_token_classifier_answers_spans_of_whole_words(
    load: Load, tiny: Tiny, *, is_named_here: bool
) -> None:
    """The beginning, inside and end of a label are one label, and spans hold whole words."""
    names = ("O", "B-person", "I-person", "B-place", "I-place")
    if is_named_here:
        outputs = {f"LABEL_{number}": name for number, name in enumerate(names)}
        engine = load(tiny("ForTokenClassification", num_labels=len(names)), outputs=outputs)
    else:
        engine = load(tiny("ForTokenClassification", **settings(*names)))
    engine.prepare({"who": task(Kind.TAG, "person", "place")})

    text = "Ada wrote to unknown Grace in paris " * 4
    (answer,) = engine.run([EngineRequest(text, "who")]).answers

    assert isinstance(answer, SpansAnswer)
    assert answer.spans
    words = set(text.split())
    for span in answer.spans:
        assert set(text[span.start : span.end].split()) <= words
        assert span.label in {"person", "place"}
    pairs = zip(answer.spans, answer.spans[1:], strict=False)
    assert all(first.end <= second.start for first, second in pairs)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (
            task(Kind.CLASSIFY, "up", "down"),
            (
                "tasks.mood must have the labels of models.minilm, which are: bad, good; or say in"
                " models.minilm.outputs which label each is, {good: …}"
            ),
        ),
        (
            task(Kind.TAG, "good", "bad"),
            "tasks.mood is of kind tag, but models.minilm can only classify",
        ),
        (
            Task(kind=Kind.EMBED, cascade=(ModelStep(model="minilm"),)),
            "tasks.mood wants vectors, but models.minilm only classifies",
        ),
    ],
)
def test_a_task_that_asks_for_something_else_is_refused(
    load: Load, tiny: Tiny, wanted: Task, message: str
) -> None:
    """A model's own classifier serves the task it was made for, and no other."""
    engine = load(tiny("ForSequenceClassification", **settings("good", "bad")), runtime="torch")

    with pytest.raises(TaskError) as caught:
        engine.prepare({"mood": wanted})

    assert str(caught.value) == message


def _reference(folder: Path, text: str) -> dict[str, float]:
    """What transformers itself says."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.inference_mode():
        logits = model(**tokenizer(text, return_tensors="pt")).logits[0]
    probabilities = np.asarray(logits.softmax(-1))
    return {model.config.id2label[n]: float(p) for n, p in enumerate(probabilities)}
