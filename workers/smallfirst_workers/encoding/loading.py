"""Loading an encoder: its tokenizer, and the runtime that the catalogue names."""

from pathlib import Path

from smallfirst.catalogue import Model
from smallfirst_workers.encoding.encoder import Encoder
from smallfirst_workers.encoding.model_folder import ModelFolder
from smallfirst_workers.encoding.runtimes.loading import load_runtime
from smallfirst_workers.encoding.tokenising import Reader


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
    return Encoder(
        Reader.load(folder, cache=cache, max_tokens=model.max_tokens),
        load_runtime(folder, model, cache=cache, threads=threads),
        folder.classifier,
        folder.is_multilabel,
        model.pooling,
    )
