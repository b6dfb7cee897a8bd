"""Which texts tell most once they are labelled: those that many unsure ones are like. Pure.

A text is covered by what it is like among the labelled ones. Each next one is that which covers
most of what is not yet covered, where a text weighs as much as a model is unsure of it. So none is
chosen that is like one before, and none that is like no other; and the order is that of use.

Source: facility location by the greedy algorithm, within 1 - 1/e of the best choice (Nemhauser,
Wolsey and Fisher 1978); lazily, Minoux 1978. As an active learner: Wei, Iyer and Bilmes 2015,
Submodularity in data subset selection and active learning. Figures: benchmarks/results/to_label.md.
"""

from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smallfirst.linear.probabilities import Floats

#: Texts that are compared with all others at once, so that a product stays small.
_AT_ONCE = 500


def similarities(vectors: Any, others: Any) -> Floats:
    """Compare texts by the cosine of their vectors.

    Args:
        vectors: `(texts, width)`, each of length 1; an array, or a sparse matrix of scipy.
        others: `(others, width)`, the same.

    Returns:
        `(texts, others)`, from 0 on: what points away is like nothing.
    """
    found = np.zeros((vectors.shape[0], others.shape[0]), np.float32)
    for first in range(0, vectors.shape[0], _AT_ONCE):
        product = vectors[first : first + _AT_ONCE] @ others.T
        dense = product if isinstance(product, np.ndarray) else product.toarray()
        found[first : first + _AT_ONCE] = np.maximum(dense, 0)
    return found


def most_telling(likeness: Floats, covered: Floats, weights: Floats, count: int) -> list[int]:
    """Choose texts to label, those that tell most first.

    Args:
        likeness: `(texts, texts)`, symmetric: how much one, labelled, tells of the other.
        covered: `(texts,)`: how much those that are labelled already tell of each.
        weights: `(texts,)`: how much there is to tell of each.
        count: How many to choose.
    """
    gains = [(-_gain(likeness[at], covered, weights), at) for at in range(len(covered))]
    heapify(gains)
    chosen: list[int] = []
    while gains and len(chosen) < count:
        _, at = heappop(gains)
        # What others cover since then makes a gain smaller, never greater.
        gain = _gain(likeness[at], covered, weights)
        if gains and -gain > gains[0][0]:
            heappush(gains, (-gain, at))
            continue
        chosen.append(at)
        covered = np.maximum(covered, likeness[at])
    return chosen


def _gain(told: Floats, covered: Floats, weights: Floats) -> float:
    return float(weights @ np.maximum(told - covered, 0))


def unsureness(probabilities: Floats, *, is_choice: bool) -> Floats:
    """How unsure a model is of texts, from 0 to 1: `(texts,)`.

    Args:
        probabilities: `(texts, labels)`.
        is_choice: Whether one label is right; else each may hold, and the least sure one counts.

    Source: margin sampling, Scheffer, Decomain and Wrobel 2001.
    """
    if not is_choice:
        return np.asarray(1 - np.abs(2 * probabilities - 1).min(axis=1), np.float32)
    first, second = np.sort(probabilities, axis=1)[:, [-1, -2]].T
    return np.asarray(1 - (first - second), np.float32)


def one_of_each(
    clusters: Sequence[int], weights: Floats, is_taken: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], Floats]:
    """Keep the first text of each cluster, with the weight of all of it; none of a taken cluster.

    Args:
        clusters: `(texts,)`: the place of each text's cluster's first; see `likeness`.
        weights: `(texts,)`.
        is_taken: `(texts,)`: labelled already.

    Returns:
        The places of those kept, and their weights.
    """
    numbers = np.asarray(clusters, np.int64)
    sums = np.bincount(numbers, np.where(is_taken, 0, weights), len(numbers))
    taken = np.unique(numbers[is_taken])
    kept = np.setdiff1d(np.unique(numbers), taken)
    return kept, np.asarray(sums[kept], np.float32)
