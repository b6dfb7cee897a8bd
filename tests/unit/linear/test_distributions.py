"""Many distributions are rounded and tempered as one is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallfirst.answers import LabelAnswer, rounded_distribution, tempered
from smallfirst.linear.distributions import rounded_rows, tempered_rows
from smallfirst.linear.label_answers import label_answers

CHANCES = st.lists(st.integers(0, 1000), min_size=2, max_size=30).filter(any)


def row_of(chances: list[int]) -> dict[str, float]:
    """A distribution by label."""
    return {f"l{n}": chance / sum(chances) for n, chance in enumerate(chances)}


@given(CHANCES)
def test_rows_are_rounded_as_one_distribution_is(chances: list[int]) -> None:
    """To the last digit: what is calibrated by one is judged by the other."""
    row = row_of(chances)
    [found] = rounded_rows(np.array([list(row.values())]))
    assert found.tolist() == list(rounded_distribution(row).values())


@given(CHANCES, st.sampled_from([0.5, 1.0, 1.7, 20.0]))
def test_rows_are_tempered_as_one_distribution_is(chances: list[int], temperature: float) -> None:
    """Powers of two libraries may differ by their last bit, and so by one in the last digit."""
    row = rounded_distribution(row_of(chances))
    [found] = tempered_rows(np.array([list(row.values())]), temperature)
    assert found.tolist() == pytest.approx(list(tempered(row, temperature).values()), abs=1.1e-6)
    assert found.sum() == pytest.approx(1.0, abs=1e-9)


def test_an_answer_is_as_sure_with_all_its_labels_as_with_the_likeliest() -> None:
    """Thresholds are found by whole distributions, and jobs are answered without."""
    labels = tuple(f"l{n}" for n in range(9))
    rows = rounded_rows(np.array([[0.3, 0.2, 0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05]] * 2))
    short, whole = label_answers(labels, rows, [1])
    assert isinstance(short, LabelAnswer)
    assert (short.label, short.confidence) == (whole.label, whole.confidence)
    assert list(short.distribution) == ["l0", "l1", "l2", "l3", "l4"]
    assert short.rest == pytest.approx(0.2)
    assert whole.rest == 0
    assert len(whole.distribution) == 9
