"""Which words drove an answer, exactly: a linear head on a mean of states is a sum over tokens.

With token states `h_t` (`n` of them), their mean `m`, and the head's weights `w` and bias `b`, the
logit of label `k` is `w_k . m / |m| + b_k`, hence `b_k` plus the sum of `w_k . h_t / (n |m|)` over
tokens. A softmax answers to differences only, so a token's weight is its part of the winner's logit
less its part of the mean of all logits; where labels are judged each for itself, its part of the
likeliest label's logit. A word's weight is the sum over its tokens; the special tokens and the bias
hold the rest.

The limit: `h_t` is the state of a token *in its context*. The sum is exact about the head and
silent about how the encoder came by the states; a word that only changed what its neighbours mean
shows up in the neighbours.

A linear model over words is a sum over its features (see `smallfirst.linear.explaining`), and the
mean of both has the mean of both weights, each in the words that the encoder sees.
"""

from dataclasses import dataclass
from typing import TypeGuard

import numpy as np

from smallfirst.answers import ExplanationMethod, Reasons
from smallfirst.kinds import HeadForm
from smallfirst.linear.explaining import (
    Sum,
    bias_of,
    reasons_of,
    weights_of_characters,
)
from smallfirst.linear.features import MAX_CHARS
from smallfirst.linear.probabilities import Floats
from smallfirst_workers.encoding.states import TextStates
from smallfirst_workers.heads.heads import Head, LinearHead
from smallfirst_workers.heads.means import MeanHead, WordsHead

#: Heads whose judgement is a sum over words.
Explained = LinearHead | WordsHead | MeanHead


@dataclass(frozen=True)
class Contributions:
    """A margin in logits, shared out: `words`, `rest` and `bias` sum to it.

    Attributes:
        words: `(words,)`: each word's part.
        rest: What the special tokens add.
        bias: What the output has before a word is read.
    """

    words: Floats
    rest: float
    bias: float

    @property
    def margin(self) -> float:
        """All of it."""
        return float(self.words.sum()) + self.rest + self.bias


def contributions(head: Explained, states: TextStates, winner: int) -> Contributions:
    """Share out the margin of one output among the words that have states, whatever judges them.

    The margin of a mean is the mean of its parts' margins.
    """
    match head:
        case LinearHead():
            return _of_states(head, states, winner)
        case WordsHead():
            return _of_letters(head, states, winner)
    found = [contributions(_explained(part), states, winner) for part in head.parts]
    parts = list(zip(found, head.weights, strict=True))
    words = sum(each.words * weight for each, weight in parts)
    return Contributions(
        np.asarray(words, np.float32),
        rest=sum(each.rest * weight for each, weight in parts),
        bias=sum(each.bias * weight for each, weight in parts),
    )


def is_explained(head: Head) -> TypeGuard[Explained]:
    """Whether a head's judgement is a sum over words."""
    if isinstance(head, MeanHead):
        return all(map(is_explained, head.parts))
    return isinstance(head, LinearHead | WordsHead)


def _explained(head: Head) -> Explained:
    assert is_explained(head), "whoever asks has seen to it"
    return head


def _of_letters(head: WordsHead, states: TextStates, winner: int) -> Contributions:
    """What a linear model sees in the characters of each word; what is between them is the rest."""
    text, model = states.text[:MAX_CHARS], head.model
    until = np.concatenate([[0.0], np.cumsum(weights_of_characters(model, text, winner))])
    places = states.words.places if states.words is not None else np.zeros((0, 2), np.int64)
    starts, ends = places.clip(max=len(text)).T
    logits = model.logits(model.weigh([text])[0])
    base = float(logits.mean()) if model.form is HeadForm.CHOICE else 0.0
    words = np.asarray(until[ends] - until[starts], np.float32)
    bias = bias_of(model.form, model.bias, winner)
    return Contributions(words, float(logits[winner]) - base - bias - float(words.sum()), bias)


def _of_states(head: LinearHead, states: TextStates, winner: int) -> Contributions:
    """Share out the margin of one output; see the formula above.

    Source: Sundararajan et al. 2017, "Axiomatic attribution for deep networks", section 2:
    completeness. For a linear function each part is its own term.
    """
    weights = head.weights[winner]
    if head.form is HeadForm.CHOICE:
        weights = weights - head.weights.mean(axis=0)
    sums = states.words.sums if states.words is not None else states.total[None, :0]
    length = float(np.linalg.norm(states.total))  # n |m|
    words = np.asarray(sums @ weights / length, np.float32)
    of_states = float(states.total @ weights) / length
    bias = bias_of(head.form, head.bias, winner)
    return Contributions(words, of_states - float(words.sum()), bias)


def explain(head: Explained, states: TextStates, winner: int) -> Reasons | None:
    """Name the words with most weight for or against an output; None without words to name."""
    if states.words is None:
        return None
    found = contributions(head, states, winner)
    shared = Sum(states.words.places, found.words, found.bias, found.margin)
    method = ExplanationMethod.WEIGHTS if isinstance(head, WordsHead) else ExplanationMethod.STATES
    return reasons_of(shared, method, head.labels[winner])
