"""Estimates of the error among accepted answers: valid at every look, corrected, weighed back."""

import sys
from dataclasses import replace
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallfirst.agreement.deciding import is_check_wrong
from smallfirst.audit.betting import Observed, log_capital, log_mean, wagers
from smallfirst.audit.drawing import (
    EDGES,
    EVEN,
    RATES,
    chance_of,
    draw_of,
    highest_chance,
    stratum_of,
)
from smallfirst.audit.estimating import (
    MAX_WEIGHT,
    Checked,
    Checks,
    _Capital,
    corrected,
    estimate,
)

counts = st.integers(0, 400)
chances = st.floats(0.001, 1.0)


@given(st.floats(0.0, 1.0))
def test_the_surer_an_answer_the_lower_its_rate(confidence: float) -> None:
    """And each confidence has one stratum, with a rate."""
    stratum = stratum_of(confidence)
    assert 0 <= stratum < len(RATES) == len(EDGES) + 1
    assert stratum_of(min(1.0, confidence + 0.05)) <= stratum
    assert list(RATES) == sorted(RATES)


def test_a_doubt_at_an_edge_belongs_to_the_stratum_that_begins_there() -> None:
    """Whatever a float makes of one minus a confidence; an answer that says nothing is unsure."""
    assert [stratum_of(1.0 - edge) for edge in EDGES] == list(range(1, len(EDGES) + 1))
    assert (stratum_of(1.0), stratum_of(None)) == (0, len(RATES) - 1)


@given(st.floats(0.0001, 1.0), st.integers(0, len(RATES) - 1), st.floats(RATES[0], RATES[-1]))
def test_every_answer_has_a_chance_and_no_weight_is_beyond_the_bound(
    share: float, stratum: int, mean_rate: float
) -> None:
    """And no chance is beyond what the caller reckons with."""
    chance = chance_of(share, stratum, mean_rate)
    assert 0 < chance <= highest_chance(share, stratum) <= 1
    assert share / chance <= MAX_WEIGHT + 1e-9


@given(st.lists(st.integers(0, len(RATES) - 1), min_size=1), st.floats(0.001, 0.1))
def test_the_mean_chance_is_the_share(strata: list[int], share: float) -> None:
    """Whatever strata the answers fall into."""
    mean_rate = sum(RATES[each] for each in strata) / len(strata)
    chances = [chance_of(share, each, mean_rate) for each in strata]
    if max(chances) < 1:
        assert sum(chances) / len(chances) == pytest.approx(share)


@given(st.lists(st.integers(0, len(RATES) - 1), min_size=1), st.floats(0.1, 1.0))
def test_a_large_share_is_drawn_as_such(strata: list[int], share: float) -> None:
    """No chance is cut off at 1, which would make the mean of all less; of a share of 1 all."""
    mean_rate = sum(RATES[each] for each in strata) / len(strata)
    chances = [chance_of(share, each, mean_rate) for each in strata]
    assert sum(chances) / len(chances) == pytest.approx(share)
    assert [chance_of(1.0, each, mean_rate) for each in strata] == pytest.approx(
        [1.0] * len(strata)
    )


def test_draws_are_spread_evenly_and_hang_on_the_job_alone() -> None:
    """Of 10,000 jobs in a row, each tenth of the draws holds about a tenth."""
    draws = [draw_of("default", f"job-{n}", 1_800_000_000_000) for n in range(10_000)]
    found, _ = np.histogram(draws, bins=10, range=(0, 1))
    assert abs(found - 1000).max() < 150
    assert draws[0] == draw_of("default", "job-0", 1_800_000_000_000)
    assert draws[0] != draw_of("shop", "job-0", 1_800_000_000_000)


@given(st.floats(0.01, 1.8), st.data())
def test_nobody_gains_by_betting_against_the_true_mean(mean: float, data: st.DataObject) -> None:
    """The expected capital after one observation is the capital before: 1."""
    high = data.draw(st.floats(mean, 2.0))
    chance = mean / high
    bets = wagers(np.array([mean]), 2.0)[0]
    lost, won = np.log1p(-bets * mean), np.log1p(bets * (high - mean))
    after = (1 - chance) * np.exp(log_mean(lost)) + chance * np.exp(log_mean(won))
    assert after == pytest.approx(1.0)


@given(counts, st.lists(st.floats(0.5, 1.5), max_size=20))
def test_the_capital_hangs_on_what_was_seen_and_not_on_the_order(
    num_zeros: int, others: list[float]
) -> None:
    """So counts alone are kept."""
    means = np.array([0.01, 0.2])
    forward = log_capital(means, num_zeros, np.array(others), 2.0)
    assert forward == pytest.approx(log_capital(means, num_zeros, np.array(others[::-1]), 2.0))


@given(st.integers(1, 2000), st.data())
def test_an_interval_holds_its_estimate(num_checks: int, data: st.DataObject) -> None:
    """And lies within 0 and 1, whatever was seen."""
    wrong = data.draw(st.lists(st.floats(0.3, MAX_WEIGHT), max_size=min(num_checks, 30)))
    golden = data.draw(st.integers(0, 100))
    slips = data.draw(st.integers(0, golden))
    found = estimate(Checked(num_checks, wrong, golden, slips, same=0.5))
    assert found is not None
    assert 0 <= found.lower <= found.rate <= found.upper <= 1


def test_more_checks_make_the_interval_narrower() -> None:
    """Of the same share of wrong ones."""
    found = [estimate(Checked(100 * n, [1.0] * (2 * n))) for n in (1, 4, 16, 64)]
    widths = [each.upper - each.lower for each in found if each]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < 0.02


def test_what_came_while_more_was_checked_counts_for_its_answers_alone() -> None:
    """A hundred checks of a share four times as large stand for 25 of the others."""
    lowest = Checked(75, [1.0] * 0, more=(Checks(100, [1.0] * 10, stake=0.25),))
    plain = Checked(100, [1.0] * 2, more=())
    found, same = estimate(lowest), estimate(plain)
    assert found is not None
    assert same is not None
    assert found.disagreement == pytest.approx(0.25 * 10 / (75 + 0.25 * 100))
    assert found.lower <= found.rate <= found.upper
    assert found.upper - found.lower < 2 * (same.upper - same.lower)


@given(st.integers(50, 400), st.integers(1, 5), st.floats(0.02, 1.0))
def test_a_share_that_is_the_same_all_the_time_may_be_parted(
    num_checks: int, num_wrong: int, stake: float
) -> None:
    """Parts with all at stake are as one; a smaller stake tells less, and no other rate."""
    whole = estimate(Checked(2 * num_checks, [1.0] * (2 * num_wrong)))
    half, wrong = Checks(num_checks, [1.0] * num_wrong), [1.0] * num_wrong
    assert estimate(Checked(num_checks, wrong, more=(half,))) == whole
    staked = estimate(Checked(num_checks, wrong, more=(replace(half, stake=stake),)))
    assert whole is not None
    assert staked is not None
    assert staked.rate == pytest.approx(whole.rate)
    assert staked.upper >= whole.upper - 0.02


def test_the_interval_holds_the_error_of_all_answers_though_the_share_and_the_error_change() -> (
    None
):
    """A thousand answers of which 2 % are wrong, then as many at 12 % with four times the checks.

    The error among all answers until then moves from the one to the other.
    """
    random, num_streams, share, held = np.random.default_rng(11), 120, 0.1, 0
    for _ in range(num_streams):
        is_wrong = np.concatenate([random.random(1000) < 0.02, random.random(1000) < 0.12])
        shares = np.repeat([share, 4 * share], 1000)
        is_drawn = random.random(2000) < shares
        held += all(
            _holds(is_wrong[:end], is_drawn[:end], shares[:end]) for end in (1000, 1500, 2000)
        )
    assert held / num_streams > 0.95 - 4 * np.sqrt(0.95 * 0.05 / num_streams)


def _holds(is_wrong: Any, is_drawn: Any, shares: Any) -> bool:
    """Whether the interval of what was drawn holds the error that was expected of all."""
    lowest, *more = [
        Checks(
            int((is_drawn & (shares == each)).sum()),
            [1.0] * int((is_drawn & is_wrong & (shares == each)).sum()),
            stake=float(shares.min() / each),
        )
        for each in np.unique(shares)
    ]
    found = estimate(Checked(lowest.num_checks, lowest.wrong, more=tuple(more)))
    assert found is not None
    expected = np.where(shares == shares.min(), 0.02, 0.12).mean()
    return bool(found.lower <= expected <= found.upper)


def test_nothing_is_said_before_anything_was_checked() -> None:
    """Golden rows alone tell of reviewers, and of no machine."""
    assert estimate(Checked(0, num_golden=20)) is None


@given(st.floats(0.0, 0.5), st.floats(0.0, 0.3), st.floats(0.0, 0.3))
def test_the_correction_undoes_what_reviewers_slips_do(
    error: float, slips: float, missed: float
) -> None:
    """What shows of an error is led back to it."""
    shows = error * (1 - missed) + (1 - error) * slips
    assert corrected(shows, slips, missed) == pytest.approx(error)


def test_a_second_look_tells_more_than_one() -> None:
    """Of the same reviewers: their slips are mended, and so the interval is narrower."""
    one = estimate(Checked(1800, [1.0] * 120, 200, 10, same=0.3))
    several = estimate(
        Checked(1800, [1.0] * 40, 200, 0, same=0.3, num_first_wrong=10, mended=[1.0] * 80)
    )
    assert one is not None
    assert several is not None
    assert several.upper - several.lower < 0.7 * (one.upper - one.lower)


def test_errors_that_people_make_together_show_in_golden_rows() -> None:
    """Where others uphold what the first has wrong, the interval reaches down to no error."""
    found = [
        estimate(
            Checked(1800, [1.0] * 60, 2000, upheld, num_first_wrong=100, mended=[1.0] * mended)
        )
        for upheld, mended in ((2, 85), (60, 30))
    ]
    lowers = [each.lower for each in found if each]
    assert lowers[0] > 0.01
    assert lowers[1] == 0.0


def test_an_error_that_nobody_could_have_overlooked_is_ruled_out() -> None:
    """However few golden rows there are: the first person found nearly all checks right."""
    found = estimate(Checked(220, [1.0] * 2, 24, 0, num_first_wrong=2, mended=[1.0] * 14))
    assert found is not None
    assert found.upper < 0.15


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 10), st.integers(0, 10))
def test_what_is_undecided_may_end_either_way(
    wrong: int, undecided: int, first: int, golden_undecided: int
) -> None:
    """The interval holds those that come of both, and the estimate lies between theirs."""
    golden_undecided = min(first, golden_undecided)
    now = Checked(
        500,
        [1.0] * wrong,
        100,
        0,
        undecided=[1.2] * undecided,
        num_golden_undecided=golden_undecided,
        num_first_wrong=first,
        mended=[1.0] * 5,
        same=0.3,
    )
    found = estimate(now)
    ends = [
        estimate(now.ended(as_wrong=as_wrong, golden_as_wrong=not as_wrong))
        for as_wrong in (False, True)
    ]
    assert found is not None
    assert ends[0] is not None
    assert ends[1] is not None
    assert found.lower <= ends[0].lower
    assert found.upper >= ends[1].upper
    assert ends[0].rate <= found.rate + 1e-9
    assert found.rate <= ends[1].rate + 1e-9


def test_slips_that_golden_rows_show_are_taken_off() -> None:
    """Where reviewers err as often as they disagree, no error of the machine is shown."""
    with_golden = estimate(Checked(1000, [1.0] * 50, 200, 10))
    without = estimate(Checked(1000, [1.0] * 50))
    assert with_golden is not None
    assert without is not None
    assert (with_golden.rate, with_golden.lower) == (0.0, 0.0)
    assert without.lower > 0.02


def test_few_golden_rows_widen_the_interval() -> None:
    """What is not known of reviewers is not known of machines either."""
    widths = []
    for golden in (20, 200, 2000):
        found = estimate(Checked(2000, [1.0] * 200, golden, golden // 20))
        assert found is not None
        widths.append(found.upper - found.lower)
    assert widths == sorted(widths, reverse=True)


@pytest.mark.parametrize("error", [0.05, 0.002])
@pytest.mark.parametrize(("slips", "looks"), [(0.0, 1), (0.05, 1), (0.05, 3)])
def test_the_truth_is_ruled_out_in_one_stream_of_twenty_at_most(
    error: float, slips: float, looks: int
) -> None:
    """Looked at after every answer; the whole simulation is a benchmark."""
    sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))
    simulated: Any = import_module("audit_simulated")
    world, streams = simulated.World(error, slips, looks=looks), 300
    drawn = simulated.draw(world, streams, 600, np.random.default_rng(5))
    # Beyond 95 % by chance alone in one run of ten thousand.
    assert simulated.covered(world, drawn).mean() > 0.95 - 4 * np.sqrt(0.95 * 0.05 / streams)
    estimates = simulated.raw_estimates(world, drawn)
    spread = 4 * estimates.std() / np.sqrt(streams)
    assert estimates.mean() == pytest.approx(error, abs=spread + 0.003)


@given(st.lists(st.floats(0.5, 1.5), max_size=30), st.floats(0.001, 0.9), st.floats(0.0, 0.09))
def test_what_was_won_against_a_range_is_the_least_within_it(
    others: list[float], low: float, more: float
) -> None:
    """As a search through the range finds it, to what reading off between means costs."""
    capital = _Capital([Observed(300 - len(others), np.asarray(others))], 1.6)
    within = capital.within(np.array([low]), np.array([low + more]))[0]
    assert within == pytest.approx(capital.at(np.linspace(low, low + more, 50)).min(), abs=0.05)


def test_checks_end_in_the_simulation_as_they_do_at_the_desk() -> None:
    """Whatever three people say."""
    sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))
    simulated: Any = import_module("audit_simulated")
    said = list(product(range(4), repeat=3))
    ends = simulated.is_wrong(np.array(said).T, simulated.PEOPLE)
    for three, wrong in zip(said, ends, strict=True):
        told = [
            is_check_wrong([each != 0 for each in three[:n]], [*map(str, three[:n])])
            for n in (1, 2, 3)
        ]
        assert next(each for each in told if each is not None) == wrong


def test_the_drawing_is_as_even_as_the_weights_reckon_with() -> None:
    """One bound for both."""
    assert EVEN * MAX_WEIGHT == 1
