"""Laws of `outputs`: what a catalogue calls the outputs of a model's own classifier."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from smallfirst.catalogue import Kind, Model, ModelStep, Task, step_specs
from smallfirst.catalogue.encoder_config import EncoderConfig
from smallfirst.catalogue.model_tasks import classifier_problem, renaming_problem

TEXTS, WORDS = "BertForSequenceClassification", "BertForTokenClassification"
SEVERAL = {"problem_type": "multi_label_classification"}
TAGS = ("O", "B-PER", "I-PER", "B-LOC")
BOTH = ("LABEL_0", "LABEL_1")


def config(
    given: tuple[str, ...], architecture: str = TEXTS, /, more: Any = None, **names: str
) -> EncoderConfig:
    """What a model's files say of it, and what the catalogue calls its outputs."""
    id2label = {str(number): label for number, label in enumerate(given)}
    content = {"architectures": [architecture], "id2label": id2label, **(more or {})}
    return EncoderConfig(Path("mood"), content, {}, names)


def task(kind: Kind, *labels: str) -> Task:
    """A task without examples."""
    return Task(kind=kind, labels=dict.fromkeys(labels, ""), cascade=(ModelStep(model="mood"),))


@pytest.mark.parametrize(
    ("given", "architecture", "names", "own"),
    [
        (BOTH, TEXTS, {"LABEL_0": "bad", "LABEL_1": "good"}, ("bad", "good")),
        (BOTH, TEXTS, {"LABEL_1": "good"}, ("LABEL_0", "good")),
        (("a", "b"), TEXTS, {"a": "b", "b": "a"}, ("b", "a")),
        (("B-1", "I-1"), TEXTS, {"B-1": "good"}, ("good", "I-1")),
        (TAGS, WORDS, {"PER": "person"}, ("O", "B-person", "I-person", "B-LOC")),
        (TAGS, WORDS, {"B-PER": "person"}, ("O", "B-person", "I-PER", "B-LOC")),
        (TAGS, WORDS, {"B-PER": "I-person", "PER": "x"}, ("O", "I-person", "I-x", "B-LOC")),
        (TAGS, WORDS, {"PER": "O"}, ("O", "O", "O", "B-LOC")),
        (BOTH, WORDS, {"LABEL_0": "O", "LABEL_1": "B-person"}, ("O", "B-person")),
    ],
)
def test_outputs_are_called_as_the_catalogue_says(
    given: tuple[str, ...], architecture: str, names: dict[str, str], own: tuple[str, ...]
) -> None:
    """All at once; what is not named stays, and so does a tagger's prefix where none is given."""
    found = config(given, architecture, **names)
    assert found.own_labels == own
    assert renaming_problem(found) is None


@pytest.mark.parametrize(
    ("about", "rule"),
    [
        (
            config(BOTH, LABEL_2="good"),
            "has 'LABEL_2', which is none of the model's outputs (LABEL_0, LABEL_1)",
        ),
        (config(TAGS, TEXTS, PER="person"), "has 'PER', which is none of the model's outputs"),
        (config(TAGS, WORDS, PER="B-person"), "calls every part of 'PER' 'B-person'; leave the"),
        (config(BOTH, "BertModel", LABEL_0="bad"), "and the model is none; leave it out"),
        (config(("LABEL_0",), TEXTS, LABEL_0="score"), "and the model is none; leave it out"),
        (
            config(BOTH, TEXTS, SEVERAL, LABEL_0="good", LABEL_1="good"),
            "must tell apart the outputs that are called 'good': each is judged for itself",
        ),
    ],
)
def test_names_that_cannot_be_meant_are_refused(about: EncoderConfig, rule: str) -> None:
    """The rule says what is wrong, and what the model has."""
    assert rule in (renaming_problem(about) or "")


def test_a_task_is_compared_with_the_new_names() -> None:
    """Outputs that exclude each other may be one label; the old names are none any more."""
    stars = config(("1", "2", "3"), TEXTS, **{"1": "bad", "2": "bad", "3": "good"})
    assert renaming_problem(stars) is None
    assert classifier_problem(task(Kind.CLASSIFY, "good", "bad"), stars, "mood") is None
    assert classifier_problem(task(Kind.CLASSIFY, "1", "2", "3"), stars, "mood")


def test_no_output_of_a_text_classifier_is_left_out() -> None:
    """`O` is outside every span where words are judged; of a whole text it is a label."""
    names = {"1": "bad", "2": "good", "3": "O"}
    asked = {TEXTS: task(Kind.CLASSIFY, "good", "bad"), WORDS: task(Kind.TAG, "good", "bad")}
    refused = [
        each
        for each, wanted in asked.items()
        if classifier_problem(wanted, config(("1", "2", "3"), each, **names), "mood")
    ]
    assert refused == [TEXTS]


@pytest.mark.parametrize(
    ("about", "labels", "remedy"),
    [
        (config(BOTH), ("good", "bad"), "was not given: say in models.mood.outputs which label"),
        (config(BOTH, LABEL_0="bad"), ("good", "bad"), "each is, {LABEL_1: …}, in the order"),
        (config(("GOOD", "BAD")), ("good", "bad"), "upper and lower case count; or say in models"),
        (config(("gut", "bad")), ("good", "bad"), "; or say in models.mood.outputs which label"),
        (config(("good", "bad")), ("good", "bad", "so"), "which are: bad, good"),
    ],
)
def test_a_refused_task_is_told_of_outputs(
    about: EncoderConfig, labels: tuple[str, ...], remedy: str
) -> None:
    """Wherever an output could be called otherwise, the error names the key that does it."""
    problem = classifier_problem(task(Kind.CLASSIFY, *labels), about, "mood")
    assert remedy in (problem or "")


@pytest.mark.parametrize(
    ("said", "rule"),
    [
        ({"source": "./x", "tier": "llm"}, "only a model of tier slm has this"),
        ({"source": "bundled:words", "tier": "linear"}, "a model of tier linear has none of this"),
        (
            {"source": "x", "tier": "llm", "endpoint": "http://127.0.0.1:8000/v1"},
            "only a model of tier slm has this",
        ),
    ],
)
def test_models_of_other_tiers_have_no_outputs(said: dict[str, Any], rule: str) -> None:
    """What no engine would heed is refused as the catalogue is read."""
    with pytest.raises(ValidationError, match=f"outputs: {rule}"):
        Model.model_validate({**said, "outputs": {"LABEL_0": "bad"}})


def test_a_promise_is_void_once_outputs_mean_something_else() -> None:
    """The same labels turned round are other answers."""
    meanings = ({"LABEL_0": "bad", "LABEL_1": "good"}, {"LABEL_0": "good", "LABEL_1": "bad"})
    models = [Model(source="./x", outputs=each) for each in meanings]
    asked = task(Kind.CLASSIFY, "good", "bad")
    assert len({step_specs(asked, {"mood": model}) for model in models}) == 2
