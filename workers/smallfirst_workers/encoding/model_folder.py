"""A model as it lies on disk: what its files say about it, and what is refused before any is run.

It reads JSON, the headers of weights, and hashes bytes; it imports neither torch nor transformers,
so a worker whose model is already converted never loads them.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from safetensors import SafetensorError, safe_open

from smallfirst.catalogue.encoder_files import POOLING_FILE
from smallfirst_workers.errors import ModelError

#: The files that decide what a model answers. Read-mes, and weights in other formats, do not.
_MODEL_FILES = ("*.safetensors", "*.json", "*.txt", "*.model", POOLING_FILE)
#: Position 0 of these models is `pad_token_id + 1`, so they read that many tokens fewer than they
#: have positions. Source: transformers, `create_position_ids_from_input_ids` of each.
_POSITIONS_AFTER_PADDING = frozenset(
    {"roberta", "xlm-roberta", "camembert", "mpnet", "longformer", "roberta-prelayernorm"}
)

#: What `smallfirst train` writes beside an encoder, with the weights in `head.safetensors`.
HEAD_FILE = "head.json"

Classifier = Literal["sequence", "token"]


@dataclass(frozen=True)
class ModelFolder:
    """A model's folder, checked: weights in safetensors, and no code of its own."""

    name: str
    path: Path
    config: Mapping[str, Any]

    @classmethod
    def open(cls, name: str, path: Path) -> "ModelFolder":
        """Read and check the folder of the catalogue's model `name`.

        Raises:
            ModelError: When files are missing or torn, or the model wants code of its own to be
                run.
        """
        _check_weights(name, path)
        config, of_tokenizer = (
            _checked_json(name, path / f"{part}.json") for part in ("config", "tokenizer_config")
        )
        if not config:
            raise ModelError(name, "has no config.json")
        if "auto_map" in config or "auto_map" in of_tokenizer:
            raise ModelError(name, "asks to run code of its own (auto_map), which is refused")
        return cls(name, path, config)

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 over names and bytes of the model's files, in hexadecimal."""
        digest = hashlib.sha256()
        for path in sorted({path for glob in _MODEL_FILES for path in self.path.glob(glob)}):
            with path.open("rb") as file:
                inner = hashlib.file_digest(file, "sha256").hexdigest()
            digest.update(f"{path.relative_to(self.path).as_posix()}\0{inner}\n".encode())
        return digest.hexdigest()

    @property
    def classifier(self) -> Classifier | None:
        """What the model's own last layer judges: whole texts, tokens, or nothing."""
        architecture = str((self.config.get("architectures") or [""])[0])
        if architecture.endswith("ForSequenceClassification"):
            return "sequence"
        return "token" if architecture.endswith("ForTokenClassification") else None

    @property
    def has_head(self) -> bool:
        """Whether a trained head lies beside the encoder; see `LinearHead.save`."""
        return self.classifier is None and (self.path / HEAD_FILE).is_file()

    @property
    def is_multilabel(self) -> bool:
        """Whether the model's own classifier of texts judges every label for itself (sigmoid)."""
        is_said = self.config.get("problem_type") == "multi_label_classification"
        return is_said and self.classifier == "sequence"

    @property
    def own_labels(self) -> tuple[str, ...]:
        """Names of the classifier's outputs, in their order; two nameless ones where unsaid."""
        named: Mapping[str, str] = self.config.get("id2label") or {"0": "LABEL_0", "1": "LABEL_1"}
        return tuple(named[key] for key in sorted(named, key=int))

    @property
    def max_positions(self) -> int | None:
        """The most tokens that the model's positions and its authors' settings allow, if said."""
        positions = self.config.get("max_position_embeddings")
        if positions and self.config.get("model_type") in _POSITIONS_AFTER_PADDING:
            positions -= int(self.config.get("pad_token_id", 1)) + 1
        # Sentence encoders are trained on shorter texts than they have positions for.
        trained = _read_json(self.path / "sentence_bert_config.json").get("max_seq_length")
        return min((int(limit) for limit in (positions, trained) if limit), default=None)


def _check_weights(name: str, path: Path) -> None:
    """Read the headers of the weights, which tell whether each file is whole."""
    files = sorted(path.glob("*.safetensors"))
    if not files:
        raise ModelError(name, "has no weights in safetensors (pickled weights can run code)")
    for file in files:
        try:
            with safe_open(file, framework="np"):
                pass
        except (SafetensorError, OSError) as err:
            raise ModelError(name, f"cannot be loaded: {file.name}: {err}") from err


def _checked_json(name: str, path: Path) -> dict[str, Any]:
    try:
        return _read_json(path)
    except (ValueError, OSError) as err:
        raise ModelError(name, f"cannot be loaded: {path.name}: {err}") from err


def _read_json(path: Path) -> dict[str, Any]:
    """Read an object from a JSON file; empty where there is no such file."""
    if not path.is_file():
        return {}
    content = json.loads(path.read_text(encoding="utf-8"))
    return content if isinstance(content, dict) else {}
