"""Temperature scaling: one number a step, fitted so that its probabilities are honest.

Fitted on one part of the rows and never on the part that a promise is tested on.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from smallfirst.evaluation.scores import ScoredRow

#: Outside of these a model's probabilities say nothing, or the rows are too few to tell.
LOWEST, HIGHEST = 0.25, 10.0
#: Probabilities are rounded to six digits, so a 0 is this or less.
_SMALLEST = 1e-7
_FEWEST_ROWS = 20

Floats = NDArray[np.float64]


def temperature_of_step(rows: Sequence[ScoredRow], step: int) -> float:
    """Fit the temperature of one step; 1 where it gives no distribution, or rows are few."""
    known = [row for row in rows if row.right in row.said[step].distribution]
    if len(known) < _FEWEST_ROWS:
        return 1.0
    labels = sorted({label for row in known for label in row.said[step].distribution})
    probabilities = np.array(
        [[row.said[step].distribution.get(label, 0.0) for label in labels] for row in known]
    )
    right = np.array([labels.index(row.right) for row in known])
    return fit_temperature(probabilities, right)


def fit_temperature(probabilities: Floats, right: NDArray[np.int64]) -> float:
    """Find the temperature under which the right labels are likeliest.

    Args:
        probabilities: `(rows, labels)`.
        right: `(rows,)`, columns of the right labels.

    Source: Guo et al. 2017, arXiv:1706.04599, section 4.2.
    """
    logs = np.log(np.maximum(probabilities, _SMALLEST))
    found = optimize.minimize_scalar(
        lambda at: log_loss(logs, right, float(np.exp(at))),
        bounds=(np.log(LOWEST), np.log(HIGHEST)),
        method="bounded",
    )
    return round(float(np.exp(found.x)), 4)


def log_loss(logs: Floats, right: NDArray[np.int64], temperature: float) -> float:
    """Mean negative log likelihood of the right labels at a temperature."""
    scaled = logs / temperature
    scaled = scaled - scaled.max(axis=1, keepdims=True)  # (rows, labels)
    totals = np.log(np.exp(scaled).sum(axis=1))  # (rows,)
    return float(np.mean(totals - scaled[np.arange(len(right)), right]))
