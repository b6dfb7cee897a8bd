"""Laws of turning logits into the numbers that answers carry."""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from smallfirst.catalogue import Kind
from smallfirst.linear.probabilities import Floats, normalise, sigmoid, softmax
from smallfirst_workers.encoding.states import TextStates
from smallfirst_workers.heads.heads import LinearHead
from smallfirst_workers.heads.skills import Skill

VECTORS = arrays(np.float32, 8, elements=st.floats(-50, 50, width=32))


def answer(kind: Kind, bias: Floats) -> object:
    """Judge a text about which the head knows nothing but its bias."""
    labels = tuple("abcdefgh")
    head = LinearHead("key", kind, labels, np.zeros((8, 2), np.float32), bias)
    states = TextStates("text", np.ones(2, np.float32), weight=1, words=None, num_tokens=1)
    return Skill(kind, head).answers([states])[0]


@given(VECTORS)
def test_a_rounded_distribution_sums_to_one(bias: Floats) -> None:
    """A label answer's probabilities sum to 1, and its confidence is its label's."""
    judged = answer(Kind.CLASSIFY, bias)

    assert abs(sum(judged.distribution.values()) - 1) < 1e-9  # type: ignore[attr-defined]
    assert judged.confidence == max(judged.distribution.values())  # type: ignore[attr-defined]


@given(VECTORS)
def test_the_least_sure_decision_is_the_confidence(bias: Floats) -> None:
    """Among many labels, the one nearest to a coin toss decides how sure the answer is."""
    judged = answer(Kind.MULTILABEL, bias)

    nearest = min(abs(p - 0.5) for p in judged.distribution.values())  # type: ignore[attr-defined]
    assert abs(judged.confidence - (0.5 + nearest)) < 1e-6  # type: ignore[attr-defined]
    assert 0.5 <= judged.confidence <= 1  # type: ignore[attr-defined]


@given(VECTORS)
def test_yes_over_no_is_the_same_as_yes_alone(logits: Floats) -> None:
    """A softmax over a margin and nothing is the sigmoid of the margin."""
    both = softmax(np.stack([np.zeros_like(logits), logits], axis=1))

    np.testing.assert_allclose(both[:, 1], sigmoid(logits), atol=1e-6)


@given(VECTORS)
@example(np.full(8, 1.3442618e-21, np.float32))
@example(np.full(8, 1e-45, np.float32))
@example(np.full(8, 3e38, np.float32))
def test_normalising_gives_length_one_or_leaves_nothing(vector: Floats) -> None:
    """Every vector but that of zeros gets length 1, however tiny or huge its numbers."""
    length = float(np.linalg.norm(normalise(vector)))

    assert abs(length - np.any(vector)) < 1e-5
