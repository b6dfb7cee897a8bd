"""The encoder as sentence-transformers has it, for one thread: loaded once in a process."""

from functools import cache
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer


@cache
def encoder(model: Path, dtype: torch.dtype = torch.float32) -> SentenceTransformer:
    """Load the encoder, at its first use in this process."""
    torch.set_num_threads(1)
    kwargs = {"dtype": dtype}
    return SentenceTransformer(str(model), device="cpu", model_kwargs=kwargs)
