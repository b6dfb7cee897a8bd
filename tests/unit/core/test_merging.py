"""Spans of a later step, added to those that stand already."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from smallfirst.answers import Span, merge_spans

SPANS = st.builds(
    lambda start, length: Span(start=start, end=start + length, label="x"),
    st.integers(0, 40),
    st.integers(1, 6),
)


@given(kept=st.lists(SPANS), found=st.lists(SPANS))
def test_what_stands_stays_and_nothing_overlaps(kept: list[Span], found: list[Span]) -> None:
    """What stands stays; of the others each is in unless it overlaps one that is."""
    standing = merge_spans((), kept)

    merged = merge_spans(standing, found)

    assert set(standing) <= set(merged)
    assert all(left.end <= right.start for left, right in itertools.pairwise(merged))
    for span in found:
        assert any(span.start < other.end and other.start < span.end for other in merged)


def test_merging_compares_neighbours_alone() -> None:
    """20,000 spans are merged with as many without comparing each with each."""

    class Counted(int):
        """A place that counts how often it is compared."""

        num_compared = 0

        def __le__(self, other: int) -> bool:
            Counted.num_compared += 1
            return int(self) <= other

        def __lt__(self, other: int) -> bool:
            Counted.num_compared += 1
            return int(self) < other

    def spans(offset: int) -> list[Span]:
        return [
            Span.model_construct(
                start=Counted(4 * at + offset), end=Counted(4 * at + offset + 1), label="x"
            )
            for at in range(20_000)
        ]

    assert len(merge_spans(spans(0), spans(2))) == 40_000
    assert Counted.num_compared < 40 * 40_000
