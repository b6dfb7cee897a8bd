"""Laws of serving an encoder with a trained head beside it."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smallfirst.answers import LabelAnswer, VectorAnswer
from smallfirst.catalogue import Kind, Model, ModelStep, Task
from smallfirst_workers.engines import EngineRequest
from smallfirst_workers.errors import TaskError
from smallfirst_workers.slm.engine import SlmEngine
from smallfirst_workers.training.network import blank_head

TEXT = "the soup was fine"


def task(kind: Kind, *labels: str) -> Task:
    """A task without examples: the head knows."""
    return Task(kind=kind, labels=dict.fromkeys(labels, ""), cascade=(ModelStep(model="own"),))


@pytest.fixture
def folder(tiny: Path, tmp_path: Path) -> Path:
    """The tiny encoder with a head for three labels."""
    folder = tmp_path / "own"
    shutil.copytree(tiny, folder)
    head = blank_head(Kind.CLASSIFY, ("good", "bad", "mixed"), 32, seed=0)
    head.save(folder, {"pooling": "mean"})
    return folder


def load(folder: Path, cache: Path, **settings: Any) -> SlmEngine:
    """The folder as a worker loads it."""
    model = Model(source=str(folder), runtime="torch", precision="float32", **settings)
    return SlmEngine.load("own", model, folder, cache=cache, threads=1)


def test_labels_may_stand_in_any_order(folder: Path, cache: Path) -> None:
    """Each label keeps its probability whatever order the task lists them in."""
    engine = load(folder, cache)
    engine.prepare({"one": task(Kind.CLASSIFY, "good", "bad", "mixed")})
    engine.prepare(
        {
            "one": task(Kind.CLASSIFY, "good", "bad", "mixed"),
            "other": task(Kind.CLASSIFY, "mixed", "good", "bad"),
        }
    )

    one, other = engine.run([EngineRequest(TEXT, "one"), EngineRequest(TEXT, "other")]).answers

    assert isinstance(one, LabelAnswer)
    assert isinstance(other, LabelAnswer)
    assert one.distribution == other.distribution
    assert list(other.distribution) == ["mixed", "good", "bad"]


def test_it_explains_and_embeds_like_the_encoder_it_is(folder: Path, cache: Path) -> None:
    """The head is linear in the words, so its evidence adds up; vectors are the encoder's own."""
    engine = load(folder, cache)
    similar = Task(kind=Kind.EMBED, cascade=(ModelStep(model="own"),))
    engine.prepare({"mood": task(Kind.CLASSIFY, "good", "bad", "mixed"), "similar": similar})

    mood, vector = engine.run(
        [EngineRequest(TEXT, "mood", explain=True), EngineRequest(TEXT, "similar")]
    ).answers

    assert isinstance(mood, LabelAnswer)
    assert isinstance(vector, VectorAnswer)
    assert mood.evidence
    assert abs(np.linalg.norm(vector.vector) - 1) < 1e-4


def test_another_head_is_another_revision(folder: Path, cache: Path) -> None:
    """A retrained head changes the revision, though the encoder is the same."""
    before = load(folder, cache).revision
    head = blank_head(Kind.CLASSIFY, ("good", "bad", "mixed"), 32, seed=1)
    head.save(folder, {"pooling": "mean"})

    assert load(folder, cache).revision != before


@pytest.mark.parametrize(
    ("wanted", "settings", "message"),
    [
        (
            task(Kind.CLASSIFY, "up", "down"),
            {},
            "tasks.mood must have the labels of models.own, which are: bad, good, mixed",
        ),
        (
            task(Kind.MULTILABEL, "good", "bad", "mixed"),
            {},
            "tasks.mood is of kind multilabel, but models.own is trained to classify",
        ),
        (
            task(Kind.CLASSIFY, "good", "bad", "mixed"),
            {"pooling": "cls"},
            "tasks.mood needs models.own to have pooling mean",
        ),
    ],
)
def test_it_serves_what_it_was_trained_for(
    folder: Path, cache: Path, wanted: Task, settings: dict[str, Any], message: str
) -> None:
    """Another kind, other labels or another way of pooling are refused by name."""
    engine = load(folder, cache, **settings)

    with pytest.raises(TaskError) as caught:
        engine.prepare({"mood": wanted})

    assert str(caught.value) == message
