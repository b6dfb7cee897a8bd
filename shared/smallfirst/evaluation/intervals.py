"""Intervals: how far a count of rows lets a rate, or the difference of two, be known. Pure."""

import math
from dataclasses import dataclass

from scipy import stats

#: Of every interval of an evaluation.
CONFIDENCE = 0.95
_Z = float(stats.norm.ppf(0.5 + CONFIDENCE / 2))


@dataclass(frozen=True)
class Interval:
    """Where a figure lies, with 95 % confidence."""

    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Whether the value is within it."""
        return self.low <= value <= self.high


def of_share(count: float, total: float) -> Interval:
    """Bound the rate behind `count` of `total`, two-sided and exact.

    An expected count need not be whole; then the interval is that of one draw at the expectation.

    Source: Clopper and Pearson 1934.
    """
    tail = (1.0 - CONFIDENCE) / 2
    missing = max(0.0, total - count)
    low = float(stats.beta.ppf(tail, count, missing + 1)) if count > 0 else 0.0
    high = float(stats.beta.ppf(1.0 - tail, count + 1, missing)) if missing > 0 else 1.0
    return Interval(low, high)


def of_difference(only_first: int, only_second: int, total: int) -> Interval:
    """Bound the difference of two rates of the same rows.

    Args:
        only_first: Rows that only the first has right.
        only_second: Rows that only the second has right.
        total: All rows, more than 0.

    Source: Agresti and Min 2005, Statistics in Medicine 24: Wald's interval after half a row is
    added to each of the four cells.
    """
    rows, first, second = total + 2.0, only_first + 0.5, only_second + 0.5
    middle = (first - second) / rows
    spread = _Z * math.sqrt(first + second - (first - second) ** 2 / rows) / rows
    return Interval(max(-1.0, middle - spread), min(1.0, middle + spread))


def mcnemar(only_first: int, only_second: int) -> float:
    """How likely rows so one-sided are where neither is right more often: exact, two-sided.

    Source: McNemar 1947, with the binomial in place of chi-squared.
    """
    differing = only_first + only_second
    return float(stats.binomtest(only_first, differing, 0.5).pvalue) if differing else 1.0
