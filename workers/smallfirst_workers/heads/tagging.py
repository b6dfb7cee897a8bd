"""Fitting a head that judges words: a regression on each word, and a chain over all of a text.

How strongly the regression is regularised and how much the chain counts are chosen together, by how
surprising the right path through a text is that was left out: the loss that rewards whole spans.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from smallfirst.linear.probabilities import Floats, softmax
from smallfirst.linear.regression import Layer, choose_strength, fit_classes
from smallfirst_workers.heads.chain import Chain, Outputs
from smallfirst_workers.heads.strengths import FINAL_TOLERANCE, SEARCH

#: How much the chain may count. Above 1, what stood nearby is believed more than was counted.
_WEIGHTS = np.array([0, 0.25, 0.5, 0.75, 1], np.float32)
#: Where fitting stops while choosing; ten times finer took twice as long and chose the same.
_CHOOSING_TOLERANCE = 1e-3
#: From how many words times outputs on one fold says enough.
_ONE_FOLD_FROM = 40_000


@dataclass(frozen=True)
class TaggedText:
    """A text to learn from.

    Attributes:
        vectors: `(words, width)`: what the head sees of each word.
        path: `(words,)`: the right output of each.
        fold: In which it is left out.
    """

    vectors: Floats
    path: Outputs
    fold: int


@dataclass(frozen=True)
class FittedTagger:
    """What a fit came to.

    Attributes:
        layer: Weights and bias of the regression.
        chain: As much as it counts.
        chosen: On texts left out, for people: both settings, and the loss of a word.
    """

    layer: Layer
    chain: Chain
    chosen: dict[str, float]


def fit_tagger(texts: Sequence[TaggedText], num_outputs: int) -> FittedTagger:
    """Fit regression and chain, and choose what is to be chosen."""
    weights: dict[float, float] = {}

    def loss_of(strength: float) -> float:
        losses = _left_out_losses(texts, num_outputs, strength)
        best = int(losses.argmin())
        weights[strength] = float(_WEIGHTS[best])
        return float(losses[best])

    strength, loss = choose_strength(loss_of, SEARCH)
    chosen = {
        "strength": strength,
        "chain_weight": weights[strength],
        "left_out_log_loss": round(loss, 4),
    }
    layer = _fit(texts, num_outputs, strength, FINAL_TOLERANCE)
    chain = Chain.counted([text.path for text in texts], num_outputs)
    return FittedTagger(layer, chain.weighted(weights[strength]), chosen)


def _left_out_losses(texts: Sequence[TaggedText], num_outputs: int, strength: float) -> Floats:
    """Mean log loss of a word in texts left out, by the chain's weight: `(weights,)`."""
    folds = sorted({text.fold for text in texts})
    num_words = sum(len(text.path) for text in texts)
    sums, words = np.zeros(len(_WEIGHTS)), 0
    for fold in folds[:1] if num_words * num_outputs >= _ONE_FOLD_FROM else folds:
        kept = [text for text in texts if text.fold != fold]
        layer = _fit(kept, num_outputs, strength, _CHOOSING_TOLERANCE)
        chain = Chain.counted([text.path for text in kept], num_outputs)
        for text in texts:
            if text.fold == fold:
                alone = softmax(text.vectors @ layer[0].T + layer[1])
                sums += chain.log_losses(alone, text.path, _WEIGHTS)
                words += len(text.path)
    return np.asarray(sums / max(1, words), np.float32)


def _fit(texts: Sequence[TaggedText], num_outputs: int, strength: float, tolerance: float) -> Layer:
    """Fit the regression on the words of texts, each by itself."""
    vectors = np.concatenate([text.vectors for text in texts])
    truth = np.eye(num_outputs, dtype=np.bool_)[np.concatenate([text.path for text in texts])]
    return fit_classes(vectors, truth, strength, tolerance)
