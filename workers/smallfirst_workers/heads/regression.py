"""Logistic regressions on vectors: fitting one, and choosing how strongly it is regularised."""

import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from smallfirst.linear.probabilities import Floats

#: Inverse strengths of regularisation to choose from. On vectors of length 1 the best was 10 to 30
#: for thousands of examples and 100 to 300 for a dozen a label (HEADLINES, BANKING77).
STRENGTHS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
_FIRST_GUESS = STRENGTHS.index(10.0)
#: Where fitting stops (largest slope of the loss): roughly while choosing, finely at last. Ten
#: times coarser at last cost half a point of accuracy on BANKING77.
CHOOSING_TOLERANCE, FINAL_TOLERANCE, _MAX_ITERATIONS = 1e-4, 1e-5, 1000
#: Bias of an output that no example speaks for: a probability of nothing.
_NEVER = -30.0

Layer = tuple[Floats, Floats]  # weights (outputs, hidden) and bias (outputs,)


def choose_strength(loss_of: Callable[[float], float]) -> tuple[float, float]:
    """Walk from the first guess in the direction in which the loss falls; it has one valley.

    Returns:
        The best strength and its loss.
    """
    losses: dict[int, float] = {}

    def loss(at: int) -> float:
        if at not in losses:
            losses[at] = loss_of(STRENGTHS[at])
        return losses[at]

    at = _FIRST_GUESS
    for step in (1, -1):
        while 0 <= at + step < len(STRENGTHS) and loss(at + step) < loss(at):
            at += step
        if at != _FIRST_GUESS:
            break
    return STRENGTHS[at], loss(at)


def fit_classes(
    vectors: Floats, truth: NDArray[np.bool_], strength: float, tolerance: float
) -> Layer:
    """Fit a multinomial regression; outputs that no row speaks for are never chosen."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - see `fitting`

    weights = np.zeros((truth.shape[1], vectors.shape[1]), np.float32)
    bias = np.full(truth.shape[1], _NEVER, np.float32)
    classes = truth.argmax(axis=1)
    present = np.unique(classes)
    if len(present) == 1:
        bias[present] = 0.0
        return weights, bias
    model = LogisticRegression(C=strength, tol=tolerance, max_iter=_MAX_ITERATIONS)
    with warnings.catch_warnings():
        # A fit that ran out of iterations is still a head, and the loss left out judges it.
        warnings.simplefilter("ignore")
        model.fit(vectors, classes)
    coefficients, intercepts = model.coef_, model.intercept_
    if len(present) == 2:  # sklearn gives the second class's margin over the first
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        intercepts = np.concatenate([-intercepts, intercepts]) / 2
    weights[present], bias[present] = coefficients, intercepts
    return weights, bias
