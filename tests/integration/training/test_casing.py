"""Laws of teaching a lower-casing model capital letters."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from smallfirst.answers import LabelAnswer
from smallfirst.catalogue import Kind, Model, ModelStep, Task
from smallfirst_workers.encoding.model_folder import ModelFolder
from smallfirst_workers.encoding.tokenising import Reader
from smallfirst_workers.engines import EngineRequest
from smallfirst_workers.errors import TrainingError
from smallfirst_workers.slm.engine import SlmEngine
from smallfirst_workers.training.casing import CasedEmbedding, fold_case, teach_case, unfold_case
from smallfirst_workers.training.methods import load_encoder
from smallfirst_workers.training.training import train
from smallfirst_workers.training.workspace import lay_out

from .conftest import Bench

TEXTS = ("the soup was fine", "The SOUP was Fine", "Ada likes our room", "ÉTÉ 12 the-soup")


@pytest.fixture
def cased(tiny: Path, tmp_path: Path) -> ModelFolder:
    """The tiny encoder with its twins."""
    to = tmp_path / "cased"
    to.mkdir()
    teach_case(ModelFolder.open("tiny", tiny), to)
    return ModelFolder.open("cased", to)


def states(folder: ModelFolder, cache: Path, text: str, encoder: Any = None) -> Any:
    """What the encoder makes of a text: `(tokens, hidden)`."""
    reader = Reader.load(folder, cache=cache, max_tokens=None)
    (reading,) = reader.read([text])
    ids = torch.from_numpy(reader.row(reading, reading.windows[0]))[None]
    with torch.inference_mode():
        return (encoder or load_encoder(folder.path)).eval()(input_ids=ids)[0][0].numpy()


@pytest.mark.parametrize("text", TEXTS)
def test_before_it_is_taught_it_says_what_it_said(
    tiny: Path, cased: ModelFolder, cache: Path, text: str
) -> None:
    """A capital is another token with the same meaning, until somebody says otherwise."""
    before = states(ModelFolder.open("tiny", tiny), cache, text)

    np.testing.assert_allclose(states(cased, cache, text), before, atol=1e-6)


def test_what_one_capital_teaches_holds_for_all(cased: ModelFolder, cache: Path) -> None:
    """Folded back, the model is a plain one in which every capital has moved by the same vector."""
    encoder = load_encoder(cased.path)
    unfold_case(encoder, cased.path)
    embedding = encoder.embeddings.word_embeddings
    assert isinstance(embedding, CasedEmbedding)
    with torch.no_grad():
        embedding.cases[1] += torch.linspace(-1, 1, 32)  # a norm hides what is the same for all
    taught = states(cased, cache, "The Soup", encoder)

    fold_case(encoder)

    assert isinstance(encoder.embeddings.word_embeddings, torch.nn.Embedding)
    np.testing.assert_allclose(states(cased, cache, "The Soup", encoder), taught, atol=1e-6)
    assert not np.allclose(taught, states(cased, cache, "the soup", encoder), atol=1e-2)


def test_only_a_model_that_lower_cases_is_taught(cased: ModelFolder, tmp_path: Path) -> None:
    """One that knows capitals already is refused."""
    with pytest.raises(TrainingError, match="no BERT that lower-cases"):
        teach_case(cased, tmp_path)


def test_a_task_of_nothing_but_case_is_learned(bench: Bench, cache: Path) -> None:
    """A model that saw no difference between two texts tells them apart once taught."""
    words = ("soup", "room", "film", "train", "sea", "song", "ada", "grace")
    rows = [{"text": f"the {word}", "label": "bad"} for word in words]
    rows += [{"text": f"the {word.capitalize()}", "label": "good"} for word in words]
    plan = bench.plan(
        data=bench.write("case", rows), keep_case=True, held_out=0.0, epochs=30, layer_decay=1.0
    )
    trained = train(lay_out(plan, cache))

    engine = _engine(trained.folder, cache)
    pair = engine.run(
        [EngineRequest("the Fine", "mood"), EngineRequest("the fine", "mood")]
    ).answers

    labels = [answer.label for answer in pair if isinstance(answer, LabelAnswer)]
    assert labels == ["good", "bad"]


def _engine(folder: Path, cache: Path) -> SlmEngine:
    task = Task(kind=Kind.CLASSIFY, labels={"good": "", "bad": ""}, cascade=(ModelStep(model="m"),))
    model = Model(source=str(folder), runtime="torch", precision="float32")
    engine = SlmEngine.load("m", model, folder, cache=cache, threads=1)
    engine.prepare({"mood": task})
    return engine
