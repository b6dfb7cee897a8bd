"""The ceiling with weights and activations of eight bits; see `bare_loop`."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from bare_loop import Loop
from contest import Work, asked, divide, tell
from numpy.typing import NDArray


def load(work: Work) -> Callable[[list[str]], NDArray[np.float32]]:
    """Load the model for one thread."""
    return Loop(work.model, Path(sys.argv[1]) / "cache", "int8").vectors


if __name__ == "__main__":
    tell(*divide(asked(), load))
