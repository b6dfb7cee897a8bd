"""What bets against "nothing has changed" win: little where nothing has, much where it has."""

from math import inf, log

import numpy as np
import pytest
from numpy.typing import NDArray

from smallfirst.drift.betting import log_sum, log_won, reach_of

SEED = 20_261_130
ALPHA = 0.05


def most_won(
    random: np.random.Generator,
    drawn: NDArray[np.float64],
    rows: list[int],
    reach: float,
    *,
    looks: int,
    jobs_a_look: int,
) -> float:
    """What was won at most over all looks at one stream."""
    jobs, most = np.zeros(len(rows), np.int64), 0.0
    for _ in range(looks):
        jobs += random.multinomial(jobs_a_look, drawn)
        most = max(most, log_won(jobs.tolist(), rows, reach))
    return most


@pytest.mark.parametrize(("num_bins", "num_rows"), [(2, 200), (10, 300), (40, 1000)])
def test_the_truth_is_seldom_out_of_reach_of_the_rows(num_bins: int, num_rows: int) -> None:
    """Of 20,000 draws at most the stated share lies farther from the truth than the bound says."""
    random = np.random.default_rng(SEED)
    truth = random.dirichlet(np.ones(num_bins))
    shares = random.multinomial(num_rows, truth, size=20_000) / num_rows
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = np.where(shares > 0, shares * np.log(shares / truth), 0.0).sum(axis=1)
    assert (entropy > reach_of(num_rows, num_bins, ALPHA)).mean() <= ALPHA


@pytest.mark.parametrize("num_rows", [60, 400])
def test_streams_like_their_rows_are_seldom_held_to_have_changed(num_rows: int) -> None:
    """Looked at 40 times over 4,000 jobs, at most the stated share of 100 raises an alarm."""
    random = np.random.default_rng(SEED)
    num_alarms = 0
    for _ in range(100):
        truth = random.dirichlet(np.full(8, 2.0))
        rows = random.multinomial(num_rows, truth).tolist()
        reach = reach_of(num_rows, 8, ALPHA / 2)
        won = most_won(random, truth, rows, reach, looks=40, jobs_a_look=100)
        num_alarms += won >= log(2 / ALPHA)
    assert num_alarms <= ALPHA * 100


def test_rows_taken_for_the_truth_would_raise_alarms() -> None:
    """Without the rows' own error every stream seems to have changed in the end."""
    random = np.random.default_rng(SEED)
    truth = random.dirichlet(np.full(8, 2.0))
    rows = random.multinomial(200, truth).tolist()
    won = most_won(random, truth, rows, 0.0, looks=10, jobs_a_look=1000)
    assert won >= log(2 / ALPHA)


@pytest.mark.parametrize(("num_rows", "within"), [(500, 1000), (1000, 600), (3000, 300)])
def test_a_change_of_half_an_index_is_proven_within_some_hundred_jobs(
    num_rows: int, within: int
) -> None:
    """Ten bins, of which the rare ones become the common ones, by an index of 0.5."""
    random = np.random.default_rng(SEED)
    weights = np.exp(0.1245 * np.arange(10.0))
    truth, changed = weights / weights.sum(), weights[::-1] / weights.sum()
    assert ((changed - truth) * np.log(changed / truth)).sum() == pytest.approx(0.5, abs=0.01)
    for _ in range(10):
        rows = random.multinomial(num_rows, truth).tolist()
        reach = reach_of(num_rows, 10, 0.01 / 16)
        won = most_won(random, changed, rows, reach, looks=within // 50, jobs_a_look=50)
        assert won >= log(16 / 0.01)


def test_what_was_never_seen_among_rows_counts() -> None:
    """Jobs in a bin without a row prove a change, and no logarithm of nothing is taken."""
    won = log_won([0, 0, 500], [100, 100, 0], reach_of(200, 3, 0.01))
    assert 100 < won < inf


def test_nothing_is_won_without_jobs_or_where_all_is_in_reach() -> None:
    """The bets begin at 1, and lose where the truth may be whatever the jobs say."""
    assert log_won([0, 0], [5, 5], 0.1) == 0.0
    assert log_won([90, 10], [1, 1], inf) < 0.0


def test_a_huge_stream_is_weighed_as_well() -> None:
    """A thousand million jobs in the rows' own shares prove nothing, and overflow nothing."""
    won = log_won([10**9, 3 * 10**9], [100, 300], reach_of(400, 2, 0.001))
    assert -100 < won < 0
    assert log_won([3 * 10**9, 10**9], [100, 300], reach_of(400, 2, 0.001)) > 1e8


def test_a_sum_is_taken_in_logarithms() -> None:
    """Of numbers that no float holds, and of none."""
    assert log_sum([1000.0, 1000.0]) == pytest.approx(1000 + log(2))
    assert log_sum([]) == -inf
