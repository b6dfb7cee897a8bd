"""Turns: how slices share the room of a queue."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallfirst_router.turns import Turns, share_of


def test_a_slice_alone_has_all_the_room() -> None:
    """As it is where there is one slice."""
    assert [Turns().allow("cpu", 0, room) for room in (-1, 0, 1, 7)] == [0, 0, 1, 7]


@pytest.mark.parametrize("num_slices", [2, 3, 5])
def test_no_slice_starves_where_there_is_room_for_one_batch(num_slices: int) -> None:
    """Though one of them asks ten times as often as the others."""
    turns, served = Turns(), dict.fromkeys(range(num_slices), 0)
    for number in (*range(num_slices), *[0] * 10) * 20:
        served[number] += turns.allow("cpu", number, 1)
    assert max(served.values()) - min(served.values()) <= 1


@given(st.integers(0, 100), st.integers(1, 8))
def test_shares_are_all_the_room(room: int, num_waiting: int) -> None:
    """No more and no less, and no two differ by more than one batch."""
    shares = [share_of(room, num_waiting=num_waiting, num_before=n) for n in range(num_waiting)]
    assert sum(shares) == room
    assert max(shares) - min(shares) <= 1
