"""sentence-transformers without any queue: bfloat16, all texts known and sorted beforehand."""

from collections.abc import Callable

import numpy as np
from contest import Work, asked, divide, tell
from numpy.typing import NDArray


def load(work: Work) -> Callable[[list[str]], NDArray[np.float32]]:
    """Load the model for one thread."""
    import torch
    from st_encoder import encoder

    model = encoder(work.model, torch.bfloat16)

    def vectors(texts: list[str]) -> NDArray[np.float32]:
        return np.asarray(model.encode(texts, batch_size=64, show_progress_bar=False))

    return vectors


if __name__ == "__main__":
    tell(*divide(asked(), load))
