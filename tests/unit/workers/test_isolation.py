"""Laws of keeping one bad item from failing its batch-mates."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallfirst_workers.encoding.isolation import isolate


def double(items: list[int]) -> list[int]:
    """Double all numbers together; raise if one is negative, as a batch does."""
    if any(item < 0 for item in items):
        raise ValueError(items)
    return [2 * item for item in items]


@given(st.lists(st.integers(-3, 9), min_size=1, max_size=64))
def test_every_item_gets_its_own_outcome_in_order(items: list[int]) -> None:
    """Good items are done, bad ones replaced, and none changes its place."""
    done = isolate(items, lambda part: double(list(part)), instead=lambda _item, _err: [-1])

    assert done == [2 * item if item >= 0 else -1 for item in items]


def test_nothing_raised_means_one_call() -> None:
    """A batch that goes well is not split."""
    calls: list[int] = []

    def count(items: object) -> list[int]:
        calls.append(1)
        return double(list(items))  # type: ignore[call-overload]

    isolate(list(range(64)), count, instead=lambda _item, _err: [])
    assert len(calls) == 1


def test_memory_errors_pass_through() -> None:
    """A machine that is too small is not made to look like a bad text."""

    def exhaust(_items: object) -> list[int]:
        raise MemoryError

    with pytest.raises(MemoryError):
        isolate([1, 2], exhaust, instead=lambda _item, _err: [])
