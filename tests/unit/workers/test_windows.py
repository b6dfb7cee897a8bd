"""Laws of cutting long texts into windows, and windows into forward passes."""

from collections.abc import Sequence
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallfirst_workers.encoding.windows import (
    LEAST_STEP,
    LENGTH_STEP,
    MANY_ROWS,
    OVERLAP_SHARE,
    STEP_SHARE,
    PassCost,
    cut,
    padded_length,
    plan_forwards,
)

LENGTHS = st.integers(min_value=1, max_value=5_000)
SIZES = st.integers(min_value=8, max_value=512)


@given(length=LENGTHS, size=SIZES)
def test_every_token_is_taken_once_and_in_order(length: int, size: int) -> None:
    """The kept parts of all windows, one after the other, are the text."""
    windows = cut(length, size)

    kept = [token for window in windows for token in range(window.keep_start, window.keep_end)]
    assert kept == list(range(length))


@given(length=LENGTHS, size=SIZES)
def test_a_window_holds_what_it_keeps_and_is_no_longer_than_allowed(length: int, size: int) -> None:
    """What is kept of a window was read in it, and no window outgrows the model."""
    for window in cut(length, size):
        assert window.start <= window.keep_start < window.keep_end <= window.end
        assert window.end - window.start <= size


@given(length=LENGTHS, size=SIZES)
def test_a_kept_token_sees_its_surroundings(length: int, size: int) -> None:
    """A kept token has half the overlap on either side, unless the text ends there."""
    context = size // OVERLAP_SHARE // 2
    for window in cut(length, size):
        assert window.start == 0 or window.keep_start - window.start >= context
        assert window.end == length or window.end - window.keep_end >= context


@given(size=SIZES)
def test_a_text_that_fits_is_one_window(size: int) -> None:
    """Nothing is cut that need not be."""
    (window,) = cut(size, size)

    assert (window.start, window.end) == (0, size)


@given(longest=LENGTHS, num_rows=st.integers(1, 512))
def test_rows_are_padded_by_a_few_tokens(longest: int, num_rows: int) -> None:
    """Fewer than a step; where many rows are short, fewer than an eighth of the longest, or one."""
    padding = padded_length(longest, num_rows) - longest

    assert 0 <= padding < LENGTH_STEP
    if num_rows >= MANY_ROWS:
        assert padding < max(LEAST_STEP, longest / STEP_SHARE)


@given(
    lengths=st.lists(st.integers(1, 300), max_size=200),
    max_positions=st.integers(1, 8192),
    forward_cost=st.integers(0, 512),
)
def test_a_plan_holds_every_row_once(
    lengths: list[int], max_positions: int, forward_cost: int
) -> None:
    """No row is lost or read twice, and none but a lone row exceeds the memory bound."""
    groups = plan_forwards(lengths, PassCost(max_positions, forward_cost))

    assert sorted(row for group in groups for row in group) == list(range(len(lengths)))
    for group in groups:
        positions = len(group) * padded_length(max(lengths[row] for row in group), len(group))
        assert len(group) == 1 or positions <= max_positions


@given(
    lengths=st.lists(st.integers(1, 12), min_size=1, max_size=9),
    step=st.integers(1, 4),
    forward_cost=st.integers(0, 40),
)
def test_no_other_plan_costs_less(lengths: list[int], step: int, forward_cost: int) -> None:
    """Of all ways to cut the rows, sorted by length, the cheapest is found."""
    cost = PassCost(8192, forward_cost, lambda longest, _: -(-longest // step) * step)
    ordered = sorted(lengths)
    num_rows = len(ordered)

    def price(parts: Sequence[Sequence[int]]) -> int:
        return sum(cost.of(max(part), len(part)) for part in parts)

    planned = [[lengths[row] for row in group] for group in plan_forwards(lengths, cost)]
    every = (
        [ordered[first:end] for first, end in pairwise((0, *cuts, num_rows))]
        for count in range(num_rows)
        for cuts in combinations(range(1, num_rows), count)
    )
    assert price(planned) == min(map(price, every))


@pytest.mark.parametrize(
    ("lengths", "num_passes"),
    [([12] * 64, 1), ([12] * 32 + [13] * 32, 1), ([10] * 63 + [250], 2), ([], 0)],
)
def test_rows_of_similar_length_share_one_pass(lengths: list[int], num_passes: int) -> None:
    """One long text among short ones goes alone; nothing else is cut."""
    assert len(plan_forwards(lengths, PassCost(8192, 64))) == num_passes


def test_many_rows_of_one_length_are_cut_evenly() -> None:
    """Where the bound on a pass cuts, no small rest is left over."""
    groups = plan_forwards([16] * 100, PassCost(32 * 16, 64))

    assert [len(group) for group in groups] == [25, 25, 25, 25]
