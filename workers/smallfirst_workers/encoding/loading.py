"""Loading an encoder: its tokenizer, and the runtime that the catalogue names."""

from pathlib import Path
from typing import Literal

from smallfirst.catalogue import Model
from smallfirst.catalogue.encoder_files import pooling_of
from smallfirst.errors import ModelFilesError
from smallfirst_workers.encoding.encoder import Encoder
from smallfirst_workers.encoding.model_folder import ModelFolder
from smallfirst_workers.encoding.runtimes.loading import load_runtime
from smallfirst_workers.encoding.tokenising import Reader
from smallfirst_workers.errors import ModelError


def load_encoder(folder: ModelFolder, model: Model, *, cache: Path, threads: int) -> Encoder:
    """Load a model's tokenizer and weights, converting them first if no process has yet.

    Args:
        folder: Its files.
        model: What the catalogue says of it.
        cache: Folder of what is made once and shared by all processes.
        threads: How many compute one pass.

    Raises:
        ModelError: When it cannot be loaded.
    """
    pooling = own_pooling(folder, model)
    return Encoder(
        Reader.load(folder, cache=cache, max_tokens=model.max_tokens),
        load_runtime(folder, model, cache=cache, threads=threads),
        folder.classifier,
        folder.is_multilabel,
        pooling,
    )


def own_pooling(folder: ModelFolder, model: Model) -> Literal["mean", "cls"]:
    """How a small model's token states become one vector.

    Raises:
        ModelError: When its files want a way that is not served.
    """
    try:
        pooling = pooling_of(model, folder.path)
    except ModelFilesError as err:
        raise ModelError(folder.name, f"{err.reason}; {err.remedy}") from err
    if pooling == "last":
        raise ModelError(folder.name, "wants its last token pooled, which large models do alone")
    return pooling
