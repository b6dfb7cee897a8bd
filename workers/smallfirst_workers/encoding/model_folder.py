"""A model as it lies on disk: what its files say about it, and what is refused before any is run.

It reads JSON, the headers of weights, and hashes bytes; it imports neither torch nor transformers,
so a worker whose model is already converted never loads them.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from smallfirst.catalogue.encoder_config import (
    NOTHING_RENAMED,
    Classifier,
    EncoderConfig,
    read_encoder_config,
)
from smallfirst.catalogue.encoder_files import POOLING_FILE
from smallfirst.catalogue.model_tasks import renaming_problem
from smallfirst.errors import ModelFilesError
from smallfirst_workers.errors import ModelError

#: The files that decide what a model answers. Read-mes, and weights in other formats, do not.
_MODEL_FILES = ("*.safetensors", "*.json", "*.txt", "*.model", POOLING_FILE)


@dataclass(frozen=True)
class ModelFolder:
    """A model's folder, checked: weights in safetensors, and no code of its own."""

    name: str
    path: Path
    about: EncoderConfig

    @classmethod
    def open(
        cls, name: str, path: Path, renaming: Mapping[str, str] = NOTHING_RENAMED
    ) -> "ModelFolder":
        """Read and check the folder of the catalogue's model `name`.

        Args:
            name: Of the model in the catalogue.
            path: Of the folder.
            renaming: What the catalogue calls the classifier's outputs; see `Model.outputs`.

        Raises:
            ModelError: When files are missing or torn, the model wants code of its own to be run,
                or its outputs cannot be called so.
        """
        _check_weights(name, path)
        try:
            about = read_encoder_config(path, renaming)
        except ModelFilesError as err:
            raise ModelError(name, f"{err.reason}; {err.remedy}") from err
        if problem := renaming_problem(about):
            raise ModelError(name, f"cannot be served: outputs: {problem}")
        return cls(name, path, about)

    @property
    def config(self) -> Mapping[str, Any]:
        """What its `config.json` holds."""
        return self.about.content

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
        return self.about.classifier

    @property
    def has_head(self) -> bool:
        """Whether a trained head lies beside the encoder; see `LinearHead.save`."""
        return self.about.has_head

    @property
    def is_multilabel(self) -> bool:
        """Whether the model's own classifier of texts judges every label for itself (sigmoid)."""
        return self.about.is_multilabel

    @property
    def own_labels(self) -> tuple[str, ...]:
        """Names of the classifier's outputs, in their order, as the catalogue has them."""
        return self.about.own_labels

    @property
    def max_positions(self) -> int | None:
        """The most tokens that the model's positions and its authors' settings allow, if said."""
        return self.about.max_positions


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
