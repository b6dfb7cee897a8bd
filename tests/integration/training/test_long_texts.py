"""Laws of texts longer than the model's window: they are trained on as they are served."""

import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from smallfirst.answers import LabelAnswer, LabelsAnswer, Span
from smallfirst.catalogue import Example, Kind, Model, ModelStep, Task
from smallfirst_workers.encoding.model_folder import ModelFolder
from smallfirst_workers.encoding.tokenising import Reader
from smallfirst_workers.encoding.words import find_words
from smallfirst_workers.engines import EngineRequest
from smallfirst_workers.slm.engine import SlmEngine
from smallfirst_workers.training.methods import load_encoder
from smallfirst_workers.training.network import Network, blank_head
from smallfirst_workers.training.training import train
from smallfirst_workers.training.training_data import Collator, make_material
from smallfirst_workers.training.workspace import lay_out

from .conftest import MOODS, THINGS, Bench

LONG, SHORT = " and ".join(THINGS * 4), "the soup was fine"


def task(kind: Kind, *labels: str) -> Task:
    """A task of labels alone."""
    return Task(kind=kind, labels=dict.fromkeys(labels, ""), cascade=(ModelStep(model="own"),))


@pytest.fixture
def reader(tiny: Path, cache: Path) -> Reader:
    """Of the tiny encoder, whose window is 32 tokens."""
    return Reader.load(ModelFolder.open("tiny", tiny), cache=cache, max_tokens=None)


def told_at_the_end() -> list[dict[str, Any]]:
    """Pairs of texts of three windows that differ in their last word, which tells the mood."""
    draw = random.Random(0)
    rows: list[dict[str, Any]] = []
    for number in range(36):
        beginning = " ".join(draw.choice(THINGS) for _ in range(24))
        for mood, words in MOODS.items():
            rows.append({"text": f"{beginning} was {words[number % 3]}", "label": mood})
    return rows


def test_the_end_of_a_text_is_learned(bench: Bench, cache: Path) -> None:
    """What only the last words of a long text tell is told of rows held out.

    By the first windows alone it could not be: each is there once with either label.
    """
    data = bench.write("ends", told_at_the_end())

    trained = train(lay_out(bench.plan(data=data, epochs=8, seed=3), cache))

    assert trained.card["metrics"]["held_out"]["score"] > 0.8


@pytest.mark.parametrize("kind", [Kind.CLASSIFY, Kind.MULTILABEL])
def test_a_text_is_trained_as_it_is_served(
    tiny: Path, tmp_path: Path, cache: Path, reader: Reader, kind: Kind
) -> None:
    """The network says of a batch of long and short texts what the engine says of each."""
    folder, mood = tmp_path / "own", task(kind, "good", "bad")
    shutil.copytree(tiny, folder)
    head = blank_head(kind, ("good", "bad"), 32, seed=0)
    head.save(folder, {"pooling": "mean"})
    model = Model(source=str(folder), runtime="torch", precision="float32")
    engine = SlmEngine.load("own", model, folder, cache=cache, threads=1)
    engine.prepare({"mood": mood})
    served = engine.run([EngineRequest(text, "mood") for text in (LONG, SHORT)]).answers

    is_multilabel = kind is Kind.MULTILABEL
    truth = {"labels": ("good",)} if is_multilabel else {"label": "good"}
    examples = [Example.model_validate({"text": text, **truth}) for text in (LONG, SHORT)]
    rows = make_material(examples, mood, reader)
    with torch.inference_mode():
        network = Network(load_encoder(tiny), head).eval()
        logits = network(**Collator(reader.pad_id, is_multilabel)(rows))["logits"][:, 0]
    said = (logits.sigmoid() if is_multilabel else logits.softmax(-1)).numpy()

    assert len(rows[0]["window_sizes"]) > 2
    for each, of_text in zip(served, said, strict=True):
        assert isinstance(each, LabelAnswer | LabelsAnswer)
        np.testing.assert_allclose(list(each.distribution.values()), of_text, atol=2e-4)


def test_each_word_of_a_long_text_is_taken_from_one_window(reader: Reader) -> None:
    """Windows overlap, but the words that they judge do not, and each has its own truth."""
    words = [LONG[start:end] for start, end in find_words(LONG)]
    start = LONG.rindex("sea")
    span = Span(start=start, end=start + 3, label="name")

    rows = make_material([Example(text=LONG, spans=(span,))], task(Kind.TAG, "name"), reader)

    assert len(rows) > 2
    truths = [truth for row in rows for truth in row["truth"].tolist()]
    assert len(truths) == len(words)
    assert [word for word, truth in zip(words, truths, strict=True) if truth] == ["sea"]
    assert sum(len(row["input_ids"]) for row in rows) > sum(
        int((row["units"] >= 0).sum()) + 2 for row in rows
    )


def test_a_checkpoint_is_of_one_window(bench: Bench, cache: Path) -> None:
    """A training whose texts are cut otherwise is another, and goes on from no other's work."""
    before = lay_out(bench.plan(), cache).work
    shorter = bench.catalogue.read_text().replace("./tiny,", "./tiny, max_tokens: 16,")
    bench.catalogue.write_text(shorter)

    assert lay_out(bench.plan(), cache).work != before
