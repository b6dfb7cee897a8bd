"""A chain over the words of a text: which output follows which, and what that makes of each word.

A head judges every word by itself, and so loses the comma in the midst of an address. The chain
adds what the examples say about neighbours. Its score of a path of outputs `y` is the sum over
words of `log p(y_t | word) + w (log P(y_t | y_t-1) - log P(y_t))`, a conditional random field whose
parts are counted and fitted apart: the maximum entropy Markov model's division by the prior as in
hybrid models of speech (Bourlard & Morgan 1994), its weight `w` chosen on texts left out.
Pure functions of arrays.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smallfirst.linear.probabilities import Floats

Outputs = NDArray[np.int64]

#: Added to each count, so that nothing is impossible because no example shows it.
_UNSEEN = 0.1
#: The least probability that a word is taken to have of an output.
_LEAST = 1e-9
#: Sums over paths are scaled after as many words: float64 holds far more factors of `_LEAST`.
_SCALED_EVERY = 16


@dataclass(frozen=True)
class Chain:
    """Scores of outputs by their neighbours, in nats.

    Attributes:
        first: `(outputs,)`, float32: of the first word's.
        steps: `(outputs, outputs)`, float32: of an output (column) after another (row).
    """

    first: Floats
    steps: Floats

    @classmethod
    def counted(cls, paths: Sequence[Outputs], num_outputs: int) -> "Chain":
        """Count which output follows which in texts; see the formula above, with `w` = 1."""
        first = np.full(num_outputs, _UNSEEN)
        steps = np.full((num_outputs, num_outputs), _UNSEEN)
        prior = np.full(num_outputs, _UNSEEN)
        for path in paths:
            if len(path):
                first[path[0]] += 1
                np.add.at(steps, (path[:-1], path[1:]), 1)
                np.add.at(prior, path, 1)
        rarity = np.log(prior / prior.sum())
        return cls(
            np.asarray(np.log(first / first.sum()) - rarity, np.float32),
            np.asarray(np.log(steps / steps.sum(axis=1, keepdims=True)) - rarity, np.float32),
        )

    def weighted(self, weight: float) -> "Chain":
        """The same chain, heeded more or less; with 0 each word stands by itself."""
        return Chain(self.first * np.float32(weight), self.steps * np.float32(weight))

    def reordered(self, outputs: Sequence[int]) -> "Chain":
        """The same chain over outputs in another order."""
        return Chain(self.first[outputs], self.steps[np.ix_(outputs, outputs)])

    def best_path(self, probabilities: Floats) -> Outputs:
        """Find the path of highest score (Viterbi): `(words,)`, of `(words, outputs)`."""
        scores = _logs(probabilities)
        if not len(scores):
            return np.zeros(0, np.int64)
        steps = self.steps.astype(np.float64)
        through = np.zeros((len(scores), *steps.shape))  # (words, outputs before, outputs)
        best = self.first + scores[0]
        for word in range(1, len(scores)):
            np.add(best[:, None], steps, out=through[word])
            best = through[word].max(axis=0) + scores[word]
        origins = through.argmax(axis=1).tolist()
        path = [int(best.argmax())]
        for word in range(len(scores) - 1, 0, -1):
            path.append(origins[word][path[-1]])
        return np.array(path[::-1], np.int64)

    def marginals(self, probabilities: Floats) -> Floats:
        """Each word's probability of each output, all paths considered: `(words, outputs)`.

        Source: forward-backward (Rabiner 1989, section III.A), each word's sum scaled to 1.
        """
        seen = np.maximum(probabilities.astype(np.float64), _LEAST)
        if not len(seen):
            return np.asarray(seen, np.float32)
        steps = np.exp(self.steps.astype(np.float64))
        # Both directions go in one loop, which costs half as much: forward in 0, backward in 1.
        both = np.stack([steps, steps.T])  # (2, outputs, outputs)
        own = np.stack([seen, seen[::-1]], axis=1)[:, :, None]  # (words, 2, 1, outputs)
        reach = own.copy()
        reach[0, 0, 0] *= np.exp(self.first)
        for word in range(1, len(seen)):
            reach[word] *= reach[word - 1] @ both
            if word % _SCALED_EVERY == 0:
                reach[word] /= reach[word].sum(axis=2, keepdims=True)
        forward, backward = reach[:, 0, 0], reach[::-1, 1, 0]
        forward /= forward.sum(axis=1, keepdims=True)
        backward /= backward.sum(axis=1, keepdims=True)
        product = forward * backward / seen  # both hold the word itself
        return np.asarray(product / product.sum(axis=1, keepdims=True), np.float32)

    def log_losses(self, probabilities: Floats, path: Outputs, weights: Floats) -> Floats:
        """Say how surprising a whole path is, in nats: minus the log of its share of all paths.

        Args:
            probabilities: `(words, outputs)`: of each word alone.
            path: `(words,)`: the right one.
            weights: `(weights,)`: how much the chain counts, one loss for each.
        """
        scores, firsts = _logs(probabilities), np.multiply.outer(weights, self.first)
        if not len(scores):
            return np.zeros(len(weights), np.float32)
        powers = np.exp(np.multiply.outer(weights, self.steps))  # (weights, before, outputs)
        reach, total = firsts + scores[0], np.zeros(len(weights))
        for score in scores[1:]:
            highest = reach.max(axis=1)
            total += highest
            passed = np.exp(reach - highest[:, None])[:, None, :] @ powers
            reach = np.log(passed[:, 0]) + score
        highest = reach.max(axis=1)
        total += highest + np.log(np.exp(reach - highest[:, None]).sum(axis=1))
        own = self.first[path[0]] + self.steps[path[:-1], path[1:]].sum()
        return np.asarray(
            total - weights * own - scores[np.arange(len(path)), path].sum(), np.float32
        )


def _logs(probabilities: Floats) -> NDArray[np.float64]:
    logs: NDArray[np.float64] = np.log(np.maximum(probabilities.astype(np.float64), _LEAST))
    return logs
