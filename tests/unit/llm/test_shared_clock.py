"""Busy seconds: each belongs to the requests that ran in it, in equal shares."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallfirst_workers.shared_clock import Mark, Share, SharedClock

#: Seconds until something happens, and which request ends then; None for one that begins.
MOMENTS = st.lists(
    st.tuples(st.floats(0, 1000), st.none() | st.integers(0, 9)), min_size=1, max_size=40
)


@settings(deadline=None)
@given(MOMENTS)
def test_shares_sum_to_the_busy_seconds(moments: list[tuple[float, int | None]]) -> None:
    """However requests interleave, nothing of the busy time is lost or charged twice."""
    clock, now, busy = SharedClock(), 100.0, 0.0
    running: list[Mark] = []
    shares: list[float] = []

    for seconds, ends in [*moments, *[(1.0, 0)] * len(moments)]:
        now += seconds
        busy += seconds if running else 0.0
        if ends is None:
            running.append(clock.start(now))
        elif running:
            shares.append(clock.stop(running.pop(ends % len(running)), now).seconds)

    assert not running
    assert all(share >= 0 for share in shares)
    assert sum(shares) == pytest.approx(busy)
    told = clock.read(now)
    assert (told.busy_seconds, told.shared_seconds) == pytest.approx((busy, sum(shares)))
    assert told.busy_joules is None


@settings(deadline=None)
@given(st.floats(0, 1e6), st.floats(0, 1e4))
def test_a_lone_request_is_charged_its_whole_time(begun: float, seconds: float) -> None:
    """Who has the engine alone pays for all of it."""
    clock = SharedClock()

    mark = clock.start(begun)

    assert clock.stop(mark, begun + seconds).seconds == pytest.approx(seconds, abs=1e-6)


def test_idle_time_is_nobodys() -> None:
    """What passes before the first request and between two is charged to neither."""
    clock = SharedClock()

    first = clock.stop(clock.start(50.0), 52.0)
    second = clock.stop(clock.start(1000.0), 1003.0)

    assert (first, second) == (Share(2.0), Share(3.0))


def test_who_comes_in_between_pays_only_for_its_part() -> None:
    """A moment is shared by those who run in it, and by nobody else."""
    clock = SharedClock()

    long = clock.start(0.0)
    short = clock.start(2.0)

    assert clock.stop(short, 6.0) == Share(2.0)
    assert clock.stop(long, 7.0) == Share(2.0 + 2.0 + 1.0)


def test_joules_are_shared_like_seconds_and_idle_ones_are_nobodys() -> None:
    """What a meter tells while requests run is theirs in equal parts; the rest stands apart."""
    told = iter([100.0, 104.0, 110.0, 111.0, 116.0, 118.0, 118.0])
    clock = SharedClock(lambda: next(told))

    long = clock.start(0.0)
    short = clock.start(2.0)

    assert clock.stop(short, 6.0) == Share(2.0, 3.0)
    assert clock.stop(long, 7.0) == Share(5.0, 4.0 + 3.0 + 1.0)
    assert clock.stop(clock.start(9.0), 10.0) == Share(1.0, 2.0)
    reading = clock.read(10.0)
    assert (reading.busy_joules, reading.other_joules) == (4.0 + 6.0 + 1.0 + 2.0, 5.0)
