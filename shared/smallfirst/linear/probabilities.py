"""Logits into probabilities, and vectors to length 1. Arrays of any shape; the last axis counts."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

#: The least length that anything is divided by.
_TINY = np.finfo(np.float32).tiny


def softmax(logits: Floats) -> Floats:
    """Share one unit of probability among the entries of the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float32)


def sigmoid(logits: Floats) -> Floats:
    """Judge every entry for itself."""
    # The two forms are one function; each is exact, and free of overflow, on its own side.
    powers = np.exp(-np.abs(logits))
    return np.asarray(np.where(logits >= 0, 1 / (1 + powers), powers / (1 + powers)), np.float32)


def normalise(vectors: Floats) -> Floats:
    """Scale the last axis to length 1; a vector of zeros stays one."""
    # By powers of two first, which is exact: squares of tiny numbers would lose their digits.
    _, exponents = np.frexp(np.abs(vectors).max(axis=-1, keepdims=True))
    near_one = np.ldexp(vectors, -exponents)
    lengths = np.linalg.norm(near_one, axis=-1, keepdims=True)
    return np.asarray(near_one / np.maximum(lengths, _TINY), np.float32)
