"""The mean of several models of one task: linear models over words, and what judges the states.

Logarithms of probabilities are averaged, each model's with its weight, and the outcome is made a
distribution again: the logarithmic opinion pool. To the rest of a worker a mean is a head.

Source: Genest and Zidek 1986, "Combining probability distributions", section 3.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from smallfirst.kinds import HeadForm
from smallfirst.linear.features import MAX_CHARS
from smallfirst.linear.model import LinearModel
from smallfirst.linear.probabilities import Floats
from smallfirst.linear.regression import probabilities_of
from smallfirst_workers.encoding.states import TextStates, WordStates
from smallfirst_workers.heads.heads import Head, JudgedWords

#: No probability counts as less: one model that thinks a label impossible must not decide alone.
_LEAST = 1e-7
#: Characters of texts that a linear model reads together; each takes it some 100 bytes meanwhile.
_ENOUGH_CHARS = 65_536


@dataclass(frozen=True)
class WordsHead:
    """A linear model as a head: it judges the text itself, and not an encoder's states of it.

    Where it knows nothing of a text, it says how frequent each label was.
    """

    model: LinearModel

    @property
    def key(self) -> str:
        """Hash of everything the model was made from."""
        return self.model.key

    @property
    def labels(self) -> tuple[str, ...]:
        """The task's labels, in its order."""
        return self.model.labels

    def of_texts(self, states: Sequence[TextStates]) -> Floats:
        """Probability of each label, from the first `MAX_CHARS` characters; see `Head.of_texts`."""
        texts = [each.text[:MAX_CHARS] for each in states]
        judged = [self.model.probabilities(part).probabilities for part in _parts(texts)]
        return np.concatenate(judged)

    def of_words(self, text: str, words: WordStates) -> JudgedWords:  # noqa: ARG002 - see `Head`
        """Not to be asked: a linear model judges whole texts."""
        raise AssertionError("a linear model judges whole texts")


@dataclass(frozen=True)
class MeanHead:
    """The weighted mean of heads of one task.

    Attributes:
        form: How the task is answered.
        parts: At least one; their labels are in the same order.
        weights: Of each part; they sum to 1.
    """

    form: HeadForm
    parts: tuple[Head, ...]
    weights: tuple[float, ...]

    @property
    def key(self) -> str:
        """Hash of everything that decides its answers, the weights included."""
        made_from = [[part.key for part in self.parts], self.weights]
        return hashlib.sha256(json.dumps(made_from).encode()).hexdigest()

    @property
    def labels(self) -> tuple[str, ...]:
        """The task's labels, in its order."""
        return self.parts[0].labels

    def of_texts(self, states: Sequence[TextStates]) -> Floats:
        """Probability of each label; see `Head.of_texts`."""
        return mean_of(self.form, [part.of_texts(states) for part in self.parts], self.weights)

    def of_words(self, text: str, words: WordStates) -> JudgedWords:  # noqa: ARG002 - see `Head`
        """Not to be asked: a catalogue allows means of whole texts alone."""
        raise AssertionError("only judgements of whole texts are averaged")


def _parts(texts: Sequence[str]) -> Iterator[list[str]]:
    """Cut texts into parts whose features fit into a few MB; none goes on once it has enough."""
    part: list[str] = []
    num_chars = 0
    for text in texts:
        part.append(text)
        num_chars += len(text)
        if num_chars >= _ENOUGH_CHARS:
            yield part
            part, num_chars = [], 0
    if part:
        yield part


def mean_of(form: HeadForm, judged: Sequence[Floats], weights: Sequence[float]) -> Floats:
    """Average distributions `(..., labels)` by their logarithms; see the module.

    Args:
        form: Whether the labels share one unit of probability, or each has its own.
        judged: What each model said.
        weights: Of each model; they sum to 1.
    """
    total = np.zeros(judged[0].shape, np.float64)
    for probabilities, weight in zip(judged, weights, strict=True):
        likely = np.clip(probabilities.astype(np.float64), _LEAST, 1 - _LEAST)
        total += weight * (np.log(likely) - (np.log1p(-likely) if form is HeadForm.EACH else 0.0))
    return probabilities_of(form, np.asarray(total, np.float32))
