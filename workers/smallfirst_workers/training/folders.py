"""The folder of a trained model: a plain encoder, its head beside it, and what it was made from."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smallfirst.catalogue import Task
from smallfirst.catalogue.model_tasks import TRAINED_POOLING
from smallfirst.provenance.card import MODEL_CARD, Part, write_card
from smallfirst.provenance.files import provenance_by_key
from smallfirst.provenance.row_vectors import write_rows

if TYPE_CHECKING:  # torch, for who trains a linear model
    from smallfirst_workers.training.methods import Made

#: Hashes of every text that the model has seen, one a line (`quality.rows.text_key`). Calibration
#: refuses rows that stand here.
SEEN_FILE = "trained_on.txt"
#: The card for programs, and the one for people.
CARD_FILE, READ_ME = "card.json", "README.md"
#: What of a base model is neither weights nor about its weights.
_KEPT = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "*.model",
    "sentence_bert_config.json",
)
_WEIGHTS = ("model*.safetensors", "model.safetensors.index.json")


def write_model(
    to: Path, made: "Made", task: Task, *, keys: Sequence[str], data: Path, card: Mapping[str, Any]
) -> None:
    """Write a trained model into an empty folder.

    Args:
        to: The folder.
        made: Encoder and head.
        task: Whose labels, in this order, the folder names.
        keys: Of the texts that it was trained on.
        data: The file of its rows, which may say who labelled them.
        card: What it was made from and how good it is, for programs.
    """
    for pattern in _KEPT + (() if made.encoder is not None else _WEIGHTS):
        for path in made.base.path.glob(pattern):
            shutil.copyfile(path, to / path.name)
    if made.encoder is not None:
        made.encoder.save_pretrained(to)
    _write_config(to, made, task)
    made.head.save(to, {"pooling": TRAINED_POOLING})
    if made.taught:
        write_rows(to, made.taught)
    write_seen(to, keys, data)
    (to / CARD_FILE).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")


def write_seen(to: Path, keys: Sequence[str], data: Path) -> None:
    """Write which texts a model has seen, and who labelled them where the rows say so.

    Args:
        to: The model's folder.
        keys: Of the texts.
        data: The file of the rows.

    Raises:
        ProvenanceError: When a row says something of it that cannot be read.
    """
    (to / SEEN_FILE).write_text("".join(f"{key}\n" for key in keys), encoding="utf-8")
    if by_key := provenance_by_key(data):
        write_card(to / MODEL_CARD, {Part.LEARNING: keys}, by_key)


def _write_config(to: Path, made: "Made", task: Task) -> None:
    """Name the task's labels in the configuration, where every library looks for them."""
    path = to / "config.json"
    config = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else made.base.config
    labels = dict(enumerate(task.labels))
    named = {"id2label": labels, "label2id": {label: number for number, label in labels.items()}}
    path.write_text(json.dumps({**config, **named}, indent=2) + "\n", encoding="utf-8")


def seen_by(folder: Path) -> list[str]:
    """The keys of the texts that a base model was itself trained on here; none for others."""
    path = folder / SEEN_FILE
    return path.read_text(encoding="utf-8").split() if path.is_file() else []
