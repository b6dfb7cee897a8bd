"""Rows turned into the axes that they span make the model that they make as they are."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, random_array, vstack

from smallfirst.kinds import HeadForm
from smallfirst.linear.regression import Layer, Rows, fit
from smallfirst.linear.turning import MOST_ROWS, Turned

STRENGTHS = (1.0, 20.0, 320.0)


def texts_of(num_rows: int, num_features: int) -> csr_matrix:
    """Draw rows as sparse as those of texts are, each of length 1 or of nothing."""
    drawn = random_array((num_rows, num_features), density=0.02, rng=7, format="csr")
    lengths = np.sqrt(drawn.multiply(drawn).sum(axis=1))
    return csr_matrix(drawn.multiply(1 / np.maximum(lengths, 1e-9)[:, None]), dtype=np.float32)


def layer_of(vectors: csr_matrix, form: HeadForm, strength: float, *, is_turned: bool) -> Layer:
    """Fit three outputs to rows, as they are or turned."""
    num_rows = vectors.shape[0]
    truth = np.arange(num_rows)[:, None] % 3 == np.arange(3)
    turned = Turned.of(vectors)
    given = turned.vectors if is_turned else vectors
    weights, bias = fit(Rows(form, given, truth, np.zeros(num_rows, np.int64)), strength, 1e-5)
    return (turned.turned_back(weights) if is_turned else weights), bias


def said(vectors: csr_matrix, layer: Layer) -> NDArray[np.float32]:
    """The logits."""
    weights, bias = layer
    return np.asarray(vectors @ weights.T + bias, np.float32)


@pytest.mark.parametrize("form", list(HeadForm)[:2])
@pytest.mark.parametrize("strength", STRENGTHS)
def test_a_fit_is_the_same_turned(form: HeadForm, strength: float) -> None:
    """Of what was learned from, and of what was not."""
    vectors, others = texts_of(90, 2_000), texts_of(130, 2_000)[90:]
    plain = layer_of(vectors, form, strength, is_turned=False)
    turned = layer_of(vectors, form, strength, is_turned=True)
    for rows in (vectors, others):
        np.testing.assert_allclose(said(rows, turned), said(rows, plain), atol=2e-3)


def test_rows_that_repeat_or_say_nothing_add_no_axis() -> None:
    """The same text ten times over, and texts without a word, are no further direction."""
    own = texts_of(20, 500)
    nothing = csr_matrix((5, 500), dtype=np.float32)
    turned = Turned.of(csr_matrix(vstack([own] * 10 + [nothing])))
    assert turned.vectors.shape == (205, 20)
    lengths = np.linalg.norm(turned.vectors, axis=1)
    np.testing.assert_allclose(lengths[:20], 1.0, atol=1e-5)
    np.testing.assert_allclose(lengths[-5:], 0.0, atol=1e-5)


@pytest.mark.parametrize("shape", [(MOST_ROWS + 1, MOST_ROWS + 9), (40, 30)])
def test_many_rows_and_few_features_stay_as_they_are(shape: tuple[int, int]) -> None:
    """Nothing would be gained."""
    given = texts_of(*shape)
    turned = Turned.of(given)
    assert turned.vectors is given
    weights = np.ones((2, shape[1]), np.float32)
    assert turned.turned_back(weights) is weights
