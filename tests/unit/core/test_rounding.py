"""Rounding of answers: what is written to the last digit still says the same."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallfirst.answers import DIGITS, rounded_distribution

WEIGHTS = st.lists(st.floats(0.0, 1.0), min_size=2, max_size=200).filter(any)


@settings(deadline=None)
@given(WEIGHTS)
def test_a_rounded_distribution_sums_to_one(weights: list[float]) -> None:
    """However many labels it has; none is off by more than its last digit, and none overtakes."""
    whole = sum(weights)
    distribution = {str(n): weight / whole for n, weight in enumerate(weights)}

    found = rounded_distribution(distribution)

    assert sum(found.values()) == pytest.approx(1.0, abs=1e-9)
    assert found == {label: round(probability, DIGITS) for label, probability in found.items()}
    assert found == pytest.approx(distribution, abs=10**-DIGITS)
    order = sorted(distribution, key=lambda label: (distribution[label], found[label]))
    values = [found[label] for label in order]
    assert values == sorted(values)
