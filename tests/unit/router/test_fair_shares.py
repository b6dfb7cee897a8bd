"""Whose jobs come next, where several producers' wait: a pure decision."""

from collections import Counter
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallfirst_router.fair_shares import COST_PER_JOB, FairShares, cost_of, jain_index


def serve(
    shares: FairShares,
    waiting: Mapping[str, int],
    *,
    num_rounds: int,
    num_jobs: int = 10,
    sizes: Mapping[str, int] | None = None,
) -> Counter[str]:
    """Let as many jobs as there is room for pass in each round; give the cost of each one's."""
    left, served = Counter(waiting), Counter[str]()
    for _ in range(num_rounds):
        for name, count in shares.allot(left, num_jobs).items():
            cost = cost_of([(sizes or {}).get(name, 100)] * count)
            shares.charge(name, count, cost)
            left[name] -= count
            served[name] += cost
    return served


def test_who_waits_alone_gets_everything() -> None:
    """No room is kept for producers that have nothing to do."""
    shares = FairShares()
    shares.weigh({"a": 1, "b": 1000})
    assert shares.allot({"a": 500, "b": 0}, 64) == {"a": 64}
    assert shares.allot({"a": 3, "b": 0}, 64) == {"a": 3}
    assert shares.allot({}, 64) == {}


def test_equal_producers_get_equal_shares_however_much_waits() -> None:
    """A flood of one takes nothing from another that has work."""
    shares = FairShares()
    served = serve(shares, {"flood": 200_000, "few": 200}, num_rounds=30)
    assert served["flood"] == served["few"]


def test_twice_the_weight_is_twice_the_share() -> None:
    """As long as all have work."""
    shares = FairShares()
    shares.weigh({"a": 1, "b": 2})
    served = serve(shares, {"a": 10_000, "b": 10_000}, num_rounds=300)
    assert served["b"] == pytest.approx(2 * served["a"], rel=0.01)


def test_a_long_job_costs_its_bytes() -> None:
    """Who submits documents of 100 kB gets as much of the fleet as who submits sentences."""
    sizes = {"long": 100_000, "short": 100}
    waiting = {"long": 10_000, "short": 100_000}
    served = serve(FairShares(), waiting, num_rounds=3000, sizes=sizes)
    assert served["long"] == pytest.approx(served["short"], rel=0.02)


def test_who_comes_goes_first() -> None:
    """A job of a producer that had nothing waiting is among the next, however many others wait."""
    shares = FairShares()
    waiting = {f"p{n}": 1000 for n in range(100)}
    serve(shares, waiting, num_rounds=57, num_jobs=2)
    assert shares.allot({**waiting, "small": 1}, 2)["small"] == 1


def test_nothing_is_saved_by_waiting() -> None:
    """Who was idle for long has its share from now on, and not what it left to others."""
    shares = FairShares()
    serve(shares, {"a": 100_000}, num_rounds=1000)
    served = serve(shares, {"a": 100_000, "b": 100_000}, num_rounds=50)
    assert served["a"] == pytest.approx(served["b"], rel=0.05)


def test_coming_and_going_gains_nothing() -> None:
    """Who submits one job at a time is not new each time."""
    shares = FairShares()
    served = Counter[str]()
    for turn in range(1000):
        waiting = {"steady": 1000, "sly": turn % 2}
        for name, count in shares.allot(waiting, 1).items():
            shares.charge(name, count, COST_PER_JOB)
            served[name] += count
    assert served["sly"] <= served["steady"]


def test_only_registered_producers_are_remembered() -> None:
    """What is known of producers that are gone does not grow for ever."""
    shares = FairShares()
    for n in range(1000):
        shares.weigh({f"p{n}": 1})
        serve(shares, {f"p{n}": 5}, num_rounds=1)
    assert shares.num_remembered <= 2


@given(
    counts=st.lists(st.integers(1, 200_000), min_size=2, max_size=40),
    room=st.integers(1, 700),
    data=st.data(),
)
def test_nothing_is_allotted_that_is_not_there(
    counts: list[int], room: int, data: st.DataObject
) -> None:
    """The room is used up, or everything that waits has its place."""
    waiting = {f"p{n}": count for n, count in enumerate(counts)}
    weight = st.integers(1, 1000)
    shares = FairShares()
    shares.weigh({name: data.draw(weight) for name in waiting})
    allotted = shares.allot(waiting, room)
    assert all(0 < count <= waiting[name] for name, count in allotted.items())
    assert sum(allotted.values()) == min(room, sum(counts))


@given(
    sizes=st.lists(st.integers(1, 20_000), min_size=2, max_size=20),
    room=st.integers(1, 100),
)
def test_shares_are_even_while_all_have_work(sizes: list[int], room: int) -> None:
    """Whatever the lengths of their jobs, and however little room there is at a time."""
    by_name = {f"p{n}": size for n, size in enumerate(sizes)}
    num_rounds = 200 * len(sizes) // room + 200
    waiting = dict.fromkeys(by_name, 10**9)
    served = serve(FairShares(), waiting, num_rounds=num_rounds, num_jobs=room, sizes=by_name)
    assert jain_index([served[name] for name in by_name]) >= 0.95
