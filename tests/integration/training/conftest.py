"""Tiny tasks and a tiny encoder with random weights, so that a training takes seconds."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from smallfirst.process.training_plan import Method, TrainingPlan
from smallfirst_workers.training.wordpieces import save_pieces, train_pieces

#: Words of a mood each, and words of none.
MOODS = {"good": ("fine", "great", "lovely"), "bad": ("awful", "poor", "nasty")}
THINGS = ("the soup", "our room", "this film", "that train", "the sea", "her song")
NAMES = ("ada", "grace", "alan")


def mood_rows() -> list[dict[str, Any]]:
    """Texts that say good or bad of something."""
    return [
        {"text": f"{thing} was {word} number {number}", "label": mood}
        for mood, words in MOODS.items()
        for word in words
        for number, thing in enumerate(THINGS)
    ]


def several_rows() -> list[dict[str, Any]]:
    """Texts that say good, bad, both or neither."""
    rows = [{"text": row["text"], "labels": [row["label"]]} for row in mood_rows()]
    rows += [{"text": f"{thing} is fine and awful", "labels": ["good", "bad"]} for thing in THINGS]
    return rows + [{"text": f"there is {thing}", "labels": []} for thing in THINGS]


def name_rows() -> list[dict[str, Any]]:
    """Texts with a name in each, and some with none."""
    rows: list[dict[str, Any]] = [{"text": f"there is {thing}", "spans": []} for thing in THINGS]
    for name in NAMES:
        for thing in THINGS:
            span = {"start": 0, "end": len(name), "label": "name"}
            rows.append({"text": f"{name} likes {thing}", "spans": [span]})
    return rows


@dataclass
class Bench:
    """A folder with a catalogue, rows and a tiny encoder.

    Attributes:
        folder: Of all of it.
    """

    folder: Path

    @property
    def catalogue(self) -> Path:
        """With a task of each kind."""
        return self.folder / "catalogue.yaml"

    def write(self, name: str, rows: Sequence[Any]) -> Path:
        """Write rows, one a line; a string stands as it is."""
        path = self.folder / f"{name}.jsonl"
        lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
        path.write_text("\n".join(lines) + "\n")
        return path

    def plan(self, task: str = "mood", **settings: Any) -> TrainingPlan:
        """Plan a training of a task on its own rows, of few epochs unless it says otherwise."""
        usual = {
            "catalogue": self.catalogue,
            "data": self.folder / f"{task}.jsonl",
            "out": self.folder / "models" / f"{task}-1",
            "epochs": 12,
            "patience": 12,
            "batch_rows": 8,
            "learning_rate": 3e-3,
            "held_out": 0.2,
            "method": Method.TUNE,
        }
        return TrainingPlan.model_validate({**usual, "task": task, **settings})


CATALOGUE = """
version: 1
pools:
  cpu: {tier: slm, max_parameters: 50M}
models:
  tiny: {source: ./tiny, runtime: torch, precision: float32}
  minilm: {source: "bundled:minilm", runtime: torch, precision: float32}
tasks:
  mood:
    kind: classify
    labels: {good: "", bad: ""}
    cascade: [{model: tiny}]
  several:
    kind: multilabel
    labels: {good: "", bad: ""}
    cascade: [{model: tiny}]
  names:
    kind: tag
    labels: {name: ""}
    cascade: [{model: tiny}]
  similar:
    kind: embed
    cascade: [{model: tiny}]
"""


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two thin layers with random weights, and the word pieces of the rows."""
    folder = tmp_path_factory.mktemp("tiny")
    texts = [row["text"] for row in (*mood_rows(), *several_rows(), *name_rows())]
    tokenizer = train_pieces(texts, 200)
    save_pieces(tokenizer, folder, 32)
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=32,
        initializer_range=0.2,
    )
    transformers.BertModel(config).save_pretrained(folder)  # type: ignore[no-untyped-call]
    return folder


@pytest.fixture
def bench(tmp_path: Path, tiny: Path) -> Bench:
    """A bench of a test's own."""
    made = Bench(tmp_path)
    (tmp_path / "tiny").symlink_to(tiny)
    made.catalogue.write_text(CATALOGUE)
    for name, rows in (("mood", mood_rows), ("several", several_rows), ("names", name_rows)):
        made.write(name, rows())
    return made


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of converted models and heads, for all tests."""
    return tmp_path_factory.mktemp("cache")
