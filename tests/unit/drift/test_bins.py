"""Into which bins jobs and rows fall."""

import pytest

from smallfirst.drift.bins import (
    CONFIDENCE_BINS,
    LENGTH_BINS,
    MAX_LABELS,
    OTHER_LABELS,
    confidence_bin,
    label_bins,
    length_bin,
)
from smallfirst.jobs import MAX_TEXT_CHARS


@pytest.mark.parametrize("at", range(len(LENGTH_BINS)))
def test_a_length_bin_begins_where_its_name_says(at: int) -> None:
    """A text as long as a bin's name is in it, and one a character shorter in the one before."""
    begins = int(LENGTH_BINS[at])
    assert length_bin(begins) == at
    assert length_bin(max(0, begins - 1)) == max(0, at - 1)


@pytest.mark.parametrize("at", range(2, len(CONFIDENCE_BINS)))
def test_a_confidence_bin_begins_where_its_name_says(at: int) -> None:
    """A confidence has six digits; the last below a bin is in the one before."""
    begins = float(CONFIDENCE_BINS[at])
    assert confidence_bin(begins) == at
    assert confidence_bin(begins - 1e-6) == at - 1


def test_what_lies_at_the_ends_has_a_bin() -> None:
    """No answer, the least sure, the surest, and the longest text."""
    assert confidence_bin(None) == confidence_bin(0.0) == 0
    assert confidence_bin(1e-6) == 1
    assert confidence_bin(1.0) == len(CONFIDENCE_BINS) - 1
    assert length_bin(MAX_TEXT_CHARS) == len(LENGTH_BINS) - 1


def test_labels_beyond_a_hundred_share_a_bin() -> None:
    """However many labels a task has, the bins are bounded."""
    many = label_bins(tuple(f"label {n}" for n in range(3 * MAX_LABELS)))
    assert len(many) == MAX_LABELS + 1
    assert many[-1] == OTHER_LABELS
    assert label_bins(("a",)) == ("a", OTHER_LABELS)
