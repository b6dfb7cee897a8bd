"""What was read is cut into parts, of which models are asked at once."""

from hypothesis import given
from hypothesis import strategies as st

from smallfirst.ledger.entries import StreamEntry
from smallfirst_router.asked_ahead import AT_ONCE, ENOUGH_BYTES, windows


@given(st.lists(st.sampled_from([100, 30_000, 900_000]), max_size=300))
def test_a_part_is_bounded_and_none_is_left_out(sizes: list[int]) -> None:
    """In order, so many at most, and nothing is added to a part that has enough bytes."""
    entries = [StreamEntry("s", f"{n}-0", {}, size=size) for n, size in enumerate(sizes)]
    parts = list(windows(entries))
    assert [entry for part in parts for entry in part] == entries
    for part in parts:
        assert 0 < len(part) <= AT_ONCE
        assert sum(entry.size for entry in part[:-1]) < ENOUGH_BYTES
