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
"""

from dataclasses import dataclass

import numpy as np

from smallfirst.answers import Evidence
from smallfirst.kinds import HeadForm
from smallfirst.linear.probabilities import Floats
from smallfirst_workers.encoding.states import TextStates
from smallfirst_workers.heads.heads import LinearHead

#: How many words an answer names. Fewer than a screen has lines; enough to see a reason.
MAX_EVIDENCE = 8


@dataclass(frozen=True)
class Contributions:
    """A margin in logits, shared out: `words` and `rest` sum to it.

    Attributes:
        words: `(words,)`: each word's part.
        rest: What the special tokens and the bias add.
    """

    words: Floats
    rest: float


def contributions(head: LinearHead, states: TextStates, winner: int) -> Contributions:
    """Share out the margin of one output; see the formula above.

    Source: Sundararajan et al. 2017, "Axiomatic attribution for deep networks", section 2:
    completeness. For a linear function each part is its own term.
    """
    weights, bias = head.weights[winner], float(head.bias[winner])
    if head.form is HeadForm.CHOICE:
        weights = weights - head.weights.mean(axis=0)
        bias -= float(head.bias.mean())
    sums = states.words.sums if states.words is not None else states.total[None, :0]
    length = float(np.linalg.norm(states.total))  # n |m|
    words = np.asarray(sums @ weights / length, np.float32)
    margin = float(states.total @ weights) / length + bias
    return Contributions(words, margin - float(words.sum()))


def evidence(head: LinearHead, states: TextStates, winner: int) -> tuple[Evidence, ...]:
    """Name the words with most weight for or against an output, in order of the text."""
    if states.words is None:
        return ()
    weights = contributions(head, states, winner).words
    top = sorted(np.argsort(-np.abs(weights), kind="stable")[:MAX_EVIDENCE])
    return tuple(
        Evidence(
            start=int(states.words.places[number, 0]),
            end=int(states.words.places[number, 1]),
            weight=round(float(weights[number]), 6),
        )
        for number in top
    )
