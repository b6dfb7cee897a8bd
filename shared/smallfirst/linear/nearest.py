"""Which of a task's examples a text is most like, by the features that its linear model weighs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smallfirst.answers import MOST_ALIKE, LikeExample, like_example
from smallfirst.linear.model import LinearModel, Weighed
from smallfirst.linear.probabilities import Floats

#: The most features of all examples together that are kept: 16 MB. The examples behind them are
#: not compared; short texts have about a hundred features each.
MAX_FEATURES: Final = 2_000_000
#: Texts that are weighed together.
_AT_ONCE: Final = 128


@dataclass(frozen=True)
class NearestExamples:
    """The examples of a task as its model sees them, by feature.

    Attributes:
        starts: `(features + 1,)`: where what each feature has begins in the next two.
        rows: `(features of all,)`: the examples that have it, from 0.
        values: `(features of all,)`: what it weighs there; each block's are of length 1 together.
        labels: Of each example that is compared.
        keys: Of their texts; see `text_key`.
    """

    starts: NDArray[np.int64]
    rows: NDArray[np.int32]
    values: Floats
    labels: Sequence[tuple[str, ...]]
    keys: Sequence[str]

    @classmethod
    def of(
        cls,
        model: LinearModel,
        texts: Sequence[str],
        labels: Sequence[tuple[str, ...]],
        keys: Sequence[str],
    ) -> "NearestExamples":
        """Weigh examples, as many from the first on as there is room for."""
        kept = list(_within(MAX_FEATURES, model, texts))
        sizes = [len(each.columns) for each in kept]
        rows = np.repeat(np.arange(len(kept), dtype=np.int32), sizes)
        columns = np.concatenate([np.zeros(0, np.int64), *(each.columns for each in kept)])
        values = np.concatenate([np.zeros(0, np.float32), *(each.values for each in kept)])
        order = np.argsort(columns, kind="stable")
        starts = np.searchsorted(columns[order], np.arange(len(model.idf) + 1))
        num = len(kept)
        return cls(starts, rows[order], values[order], labels[:num], keys[:num])

    def most_alike(self, model: LinearModel, text: str) -> tuple[LikeExample, ...]:
        """Name the examples most like a text, the most alike first; those that share nothing not.

        The likeness is the cosine: both blocks are of length 1, so it is half of the product.
        """
        [weighed] = model.weigh([text])
        products = np.zeros(len(self.labels))
        for column, value in zip(weighed.columns, weighed.values / 2, strict=True):
            of = slice(self.starts[column], self.starts[column + 1])
            products[self.rows[of]] += value * self.values[of]  # an example has a feature once
        ranked = np.argsort(-products, kind="stable")[:MOST_ALIKE].tolist()
        return tuple(
            like_example(
                number + 1, self.labels[number], self.keys[number], float(products[number])
            )
            for number in ranked
            if products[number] > 0
        )


def _within(room: int, model: LinearModel, texts: Sequence[str]) -> Iterator[Weighed]:
    """Weigh texts until their features are more than there is room for."""
    for first in range(0, len(texts), _AT_ONCE):
        for weighed in model.weigh(texts[first : first + _AT_ONCE]):
            room -= len(weighed.columns)
            if room < 0:
                return
            yield weighed
