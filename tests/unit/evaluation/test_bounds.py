"""Exact bounds: what counts of errors allow to say, for every number of rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from smallfirst.evaluation.bounds import fewest_rows, p_values, rows_needed, upper_bound

ROWS = st.integers(1, 400)
RATES = st.floats(0.001, 0.5)
CONFIDENCES = st.floats(0.5, 0.999)


@settings(deadline=None)
@given(st.integers(1, 100), RATES, CONFIDENCES)
def test_the_upper_bound_covers_the_truth_as_often_as_it_says(
    rows: int, risk: float, confidence: float
) -> None:
    """Summed over every outcome, the bound lies below the true risk no oftener than it may."""
    outcomes = np.arange(rows + 1)
    chances = stats.binom.pmf(outcomes, rows, risk)
    is_below = [upper_bound(int(wrong), rows, confidence) < risk for wrong in outcomes]
    assert chances[is_below].sum() <= 1 - confidence + 1e-9


@settings(deadline=None)
@given(ROWS, RATES, st.floats(0.001, 0.5))
def test_a_p_value_is_small_no_oftener_than_it_says(rows: int, risk: float, level: float) -> None:
    """At the very edge of the promise, a value of at most d comes with a chance of at most d."""
    outcomes = np.arange(rows + 1)
    chances = stats.binom.pmf(outcomes, rows, risk)
    values = p_values(outcomes.astype(float), np.full(rows + 1, float(rows)), risk)
    assert chances[values <= level].sum() <= level + 1e-9


@settings(deadline=None)
@given(ROWS, RATES, st.data())
def test_p_values_are_the_binomials_own(rows: int, risk: float, data: st.DataObject) -> None:
    """For whole counts the continuous form equals the sum of the binomial's chances."""
    wrong = data.draw(st.integers(0, rows))
    value = p_values(np.array([float(wrong)]), np.array([float(rows)]), risk)[0]
    assert value == pytest.approx(stats.binom.cdf(wrong, rows, risk), abs=1e-9)


@settings(deadline=None)
@given(ROWS, RATES, st.data())
def test_more_errors_never_make_it_surer(rows: int, risk: float, data: st.DataObject) -> None:
    """With the rows fixed, both the p-value and the upper bound grow with the errors."""
    wrong = data.draw(st.integers(0, rows - 1))
    counts = np.array([float(wrong), float(wrong + 1)])
    fewer, more = p_values(counts, np.full(2, float(rows)), risk)
    assert fewer <= more
    assert upper_bound(wrong, rows, 0.95) <= upper_bound(wrong + 1, rows, 0.95)


def test_nothing_accepted_says_nothing() -> None:
    """Without one accepted row no test passes and every risk is possible."""
    assert p_values(np.zeros(1), np.zeros(1), 0.02)[0] == 1.0
    assert upper_bound(0, 0, 0.95) == 1.0


@settings(deadline=None)
@given(RATES, CONFIDENCES)
def test_the_fewest_rows_are_the_fewest(target: float, confidence: float) -> None:
    """So many rows without an error pass the test, and one row less does not."""
    rows = fewest_rows(target, confidence)
    assert stats.binom.cdf(0, rows, target) <= 1 - confidence + 1e-12
    assert rows == 1 or stats.binom.cdf(0, rows - 1, target) > 1 - confidence - 1e-12


@settings(deadline=None)
@given(st.floats(0.0, 0.2), st.floats(0.005, 0.2))
def test_as_many_rows_as_are_asked_for_would_do(rate: float, target: float) -> None:
    """At that error rate four of five draws of so many rows pass; at the target none ever do."""
    rows = rows_needed(rate, target, 0.95)
    if rate >= target:
        assert rows is None
    elif rows is not None:
        errors = np.arange(rows + 1)
        passes = stats.binom.cdf(errors, rows, target) <= 0.05 + 1e-12
        assert stats.binom.cdf(passes.sum() - 1, rows, rate) >= 0.8 - 1e-6
