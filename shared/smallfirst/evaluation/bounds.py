"""What a count of errors allows to say of the rate behind it: exact, for any number of rows.

Given that a setting was fixed before the rows were looked at, and given how many of the rows it
accepts, each accepted row is wrong independently with one and the same probability, the risk among
accepted answers. So the errors among them are binomial, whatever their number is; what holds for
every number holds for all of them together.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

Counts = NDArray[np.float64]

#: More rows than this nobody labels; a search beyond is given up.
MAX_ROWS = 10_000_000


def p_values(wrong: Counts, accepted: Counts, target: float) -> Counts:
    """How likely so few errors are where the risk is at the target: the smaller, the surer.

    Under a risk above `target` the chance of a value below any d is at most d. Nothing accepted
    says nothing: 1. Counts need not be whole: a prediction may scale them.

    Source: P(Bin(n, target) <= e) = I_{1-target}(n - e, e + 1); Learn then Test, Angelopoulos et
    al. 2021, arXiv:2110.01052, with the exact binomial in place of Hoeffding's bound.
    """
    right = np.maximum(accepted - wrong, 0.0)
    inside = special.betainc(np.maximum(right, 1e-12), wrong + 1.0, 1.0 - target)
    values: Counts = np.where(right <= 0.0, 1.0, inside)
    return values


def upper_bound(wrong: int, accepted: int, confidence: float) -> float:
    """The highest risk that the counts still allow, at one-sided confidence; 1 for no rows.

    Source: Clopper and Pearson 1934.
    """
    if wrong >= accepted:
        return 1.0
    return float(stats.beta.ppf(confidence, wrong + 1, accepted - wrong))


def fewest_rows(target: float, confidence: float) -> int:
    """How many accepted rows a promise takes where not one of them is wrong."""
    return math.ceil(math.log(1.0 - confidence) / math.log(1.0 - target))


def rows_needed(error_rate: float, target: float, confidence: float) -> int | None:
    """How many accepted rows a promise takes at an error rate; None where no number would do.

    The smallest number at which the expected errors, rounded up, pass the test.
    """
    if error_rate >= target:
        return None
    fewest = fewest_rows(target, confidence)
    if error_rate <= 0.0:
        return fewest
    low, high = fewest, fewest
    while not _passes(high, error_rate, target, confidence):
        low, high = high, high * 2
        if high > MAX_ROWS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        passes = _passes(middle, error_rate, target, confidence)
        low, high = (low, middle) if passes else (middle, high)
    return high


def _passes(rows: int, error_rate: float, target: float, confidence: float) -> bool:
    errors = math.ceil(error_rate * rows)
    return bool(special.bdtr(errors, rows, target) <= 1.0 - confidence)
