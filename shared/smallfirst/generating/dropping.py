"""Which texts that a model wrote are new: not the same as another, nor nearly so."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from smallfirst.catalogue.likeness import clusters_of, text_key
from smallfirst.fitting.telling import similarities
from smallfirst.fitting.to_label import ReadsVectors

#: From this cosine on two texts mean the same.
NEAR: Final = 0.95


class New:
    """Texts that are new, as they come.

    Args:
        known: Texts that are there already.
    """

    def __init__(self, known: Sequence[str]) -> None:
        self._seen = {text_key(text) for text in known}
        self.num_repeated = 0

    def is_new(self, text: str) -> bool:
        """Whether nobody has said it before; now somebody has."""
        key = text_key(text)
        if key in self._seen:
            self.num_repeated += 1
            return False
        self._seen.add(key)
        return True


def unlike(texts: Sequence[str], known: Sequence[str], vectors_of: ReadsVectors) -> list[int]:
    """Find the texts that are near no known one, and near none before them.

    Args:
        texts: To choose from.
        known: That are there already.
        vectors_of: Places texts by what they mean, or by their words.

    Returns:
        Their places, ascending.
    """
    everything = [*known, *texts]
    if not texts:
        return []
    vectors = vectors_of(everything)
    near = np.asarray(similarities(vectors[len(known) :], vectors)) >= NEAR
    clusters = clusters_of(everything)
    kept: list[int] = []
    for place in range(len(texts)):
        others = [*range(len(known)), *(len(known) + at for at in kept)]
        is_like = near[place, others].any() or clusters[len(known) + place] in {
            clusters[at] for at in others
        }
        if not is_like:
            kept.append(place)
    return kept
