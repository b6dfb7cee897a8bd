"""The probability of each label, from the label's own tokens. Pure.

A label is a path of tokens that ends with the end of the answer, so that one label may begin as
another does. A model may end an answer by any of several tokens: their probabilities are added. A
label's probability is the product of its tokens' probabilities, and those of all labels are then
normalised to sum to 1: the model is asked how likely it is to say exactly this and stop. Words
around a label, quotes and braces never count, since nothing is generated.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from smallfirst.kinds.completions import MAX_LOGPROB

#: What is less likely than the best label by this factor is not followed further: it could not
#: change any probability by more than rounding does.
NEGLIGIBLE = math.log(1e-7)

Path = tuple[int, ...]


@dataclass(frozen=True)
class LabelTree:
    """Labels as token paths, arranged by their beginnings.

    Attributes:
        labels: In the task's order.
        paths: Of each label, the end included: the first of the end tokens stands for all.
        branches: For each beginning of a path, the tokens that may come next.
        ends: The tokens by any of which the model ends an answer.
    """

    labels: tuple[str, ...]
    paths: tuple[Path, ...]
    branches: Mapping[Path, tuple[int, ...]]
    ends: tuple[int, ...]

    @classmethod
    def of(
        cls, labels: Sequence[str], tokens: Sequence[Sequence[int]], ends: Sequence[int]
    ) -> "LabelTree":
        """Arrange labels, each written in `tokens`, and ended by one of `ends`.

        Raises:
            ValueError: When two labels are the same tokens.
        """
        paths = tuple((*path, ends[0]) for path in tokens)
        if len(set(paths)) != len(paths):
            raise ValueError("two labels are the same to this model")
        branches: dict[Path, dict[int, None]] = {}
        for path in paths:
            for length, token in enumerate(path):
                branches.setdefault(path[:length], {})[token] = None
            branches[path[:-1]] |= dict.fromkeys(ends)
        nexts = {path: tuple(next_) for path, next_ in branches.items()}
        return cls(tuple(labels), paths, nexts, tuple(ends))

    def open_paths(self, logprobs: Mapping[Path, float]) -> list[Path]:
        """Which beginnings to ask about next, given the logprobs of those that are known.

        A beginning bounds every label it begins. What falls below the best label known by now,
        times `NEGLIGIBLE`, is not followed.
        """
        ended = (logprobs[path] for path in self.paths if path in logprobs)
        floor = max(ended, default=-math.inf) + NEGLIGIBLE
        return [
            path
            for path, tokens in self.branches.items()
            if logprobs.get(path, -math.inf) > floor and (*path, tokens[0]) not in logprobs
        ]

    def extended(
        self, path: Path, nexts: Mapping[int, float], *, logprob: float
    ) -> dict[Path, float]:
        """Tell the logprobs of the paths that go on from one, the ends taken together.

        Args:
            path: A beginning.
            nexts: The logprob of each token that may come next, given the beginning.
            logprob: Of the beginning.
        """
        going_on = {token: lp for token, lp in nexts.items() if token not in self.ends}
        ending = [lp for token, lp in nexts.items() if token in self.ends]
        if ending:
            going_on[self.ends[0]] = _sum_of(ending)
        return {(*path, token): logprob + lp for token, lp in going_on.items()}

    def distribution(self, logprobs: Mapping[Path, float]) -> dict[str, float]:
        """Normalise over the labels.

        Args:
            logprobs: Of each path that was followed, natural, from the empty beginning on. A label
                whose path was not followed to its end counts by what was followed.

        Returns:
            Probabilities that sum to 1; empty where the logprobs are nonsense, as those of a model
            that has broken down are.
        """
        scores = [_deepest(path, logprobs) for path in self.paths]
        best = max(scores)
        if best == -math.inf or not _are_probabilities(logprobs):
            return {}
        weights = [math.exp(score - best) for score in scores]
        whole = sum(weights)
        return {label: weight / whole for label, weight in zip(self.labels, weights, strict=True)}


def _sum_of(logprobs: Sequence[float]) -> float:
    """The logarithm of the sum of some probabilities; NaN where one of them is none."""
    if not all(logprob <= MAX_LOGPROB for logprob in logprobs):
        return math.nan
    best = max(logprobs)
    if best == -math.inf:
        return best
    return best + math.log(sum(math.exp(logprob - best) for logprob in logprobs))


def _are_probabilities(logprobs: Mapping[Path, float]) -> bool:
    """Whether each token's share may be the logarithm of a probability: not NaN, not above 0."""
    return all(
        logprob <= logprobs[path[:-1]] + MAX_LOGPROB for path, logprob in logprobs.items() if path
    )


def _deepest(path: Path, logprobs: Mapping[Path, float]) -> float:
    """The logprob of as much of a path as was followed."""
    known: Iterable[Path] = (path[:length] for length in range(len(path), 0, -1))
    return next(logprobs[begun] for begun in known if begun in logprobs)
