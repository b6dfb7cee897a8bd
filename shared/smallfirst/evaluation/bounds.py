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
#: How likely a promise is to come of the number of rows that is said to do.
POWER = 0.8


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

    The fewest with which the test passes in `POWER` of draws.
    """
    if error_rate >= target:
        return None
    low = high = fewest_rows(target, confidence)
    while _power(high, error_rate, target, confidence) < POWER:
        low, high = high, high * 2
        if high > MAX_ROWS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        is_enough = _power(middle, error_rate, target, confidence) >= POWER
        low, high = (low, middle) if is_enough else (middle, high)
    return high


def _power(rows: int, error_rate: float, target: float, confidence: float) -> float:
    """How likely so many rows pass the test at an error rate."""
    # The fewest errors that are too many for the target at this confidence.
    too_many = float(stats.binom.ppf(1.0 - confidence, rows, target))
    return float(special.bdtr(too_many - 1.0, rows, error_rate)) if too_many else 0.0
