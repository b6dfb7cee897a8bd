"""The walk down the ranks: one threshold, tested on all rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from smallfirst.evaluation.bounds import fewest_rows
from smallfirst.evaluation.ranks import is_one_threshold, last_passing, ranked, threshold_at
from smallfirst.evaluation.settings_table import NEVER, Bools, Floats, SettingsTable, tally
from smallfirst.evaluation.thresholds import Aim, Chosen, Unsupported, choose

FREE = np.array([np.nan])
#: How often each law of chance is tried. Every run draws the same.
REPETITIONS = 500
SEED = 20_261_129


def table_of(
    confidences: Floats, is_wrong: Bools, is_distinct: Bools | None = None
) -> SettingsTable:
    """Lay rows of one step out."""
    ones = np.ones((len(confidences), 1))
    return SettingsTable(
        confidences[:, None], is_wrong[:, None], ones, ones.astype(np.int64) * 0, 1, is_distinct
    )


def chosen_threshold(board: SettingsTable, target: float = 0.05) -> float:
    """The threshold that all rows bear; more than any confidence where they bear none."""
    found = choose(board, np.zeros(board.num_rows, np.bool_), FREE, Aim(target))
    return float(found.thresholds[0, 0]) if isinstance(found, Chosen) else NEVER


@pytest.mark.parametrize(
    ("fixed", "expected"),
    [
        ((np.nan,), True),
        ((1.0, np.nan), True),
        ((np.nan, NEVER), True),
        ((np.nan, 0.7), False),
        ((np.nan, np.nan), False),
        ((0.5,), False),
    ],
)
def test_a_walk_takes_one_threshold_below_which_nothing_answers(
    fixed: tuple[float, ...], *, expected: bool
) -> None:
    """Where a later step may answer, a lower threshold also takes answers away from it."""
    assert is_one_threshold(np.array(fixed)) == expected


@given(st.integers(1, 400), st.integers(0, 2**32 - 1), st.sampled_from([0.02, 0.1, 0.4]))
def test_what_the_walk_accepts_is_what_the_threshold_accepts(
    rows: int, seed: int, risk: float
) -> None:
    """Sent through the cascade, as many rows stand, and as many wrong, as at the rank it ended."""
    random = np.random.default_rng(seed)
    by_rule = random.random(rows) < 0.2
    confidences = np.stack([by_rule, random.choice([0.0, 0.3, 0.31, 0.6, 0.9], rows)], axis=1)
    is_wrong = random.random((rows, 2)) < risk
    board = SettingsTable(confidences, is_wrong, np.ones((rows, 2)), np.zeros((rows, 2), np.int64))
    fixed = np.array([1.0, np.nan])
    found = ranked(board, fixed)
    last = last_passing(found, 0.5, 0.6)
    if last is None:
        return

    setting = np.array([1.0, threshold_at(found, last)])[:, None]
    stands = tally(board, setting[None])

    assert stands.accepted[0, 0] == last + 1
    assert stands.wrong[0, 0] == found.wrong[last]


@pytest.mark.parametrize("scores", [0, 3])
def test_a_risk_that_crosses_the_target_again_and_again_is_no_way_round(scores: int) -> None:
    """Whatever the shape of the risk, and however few scores there are, 5 % are broken at most."""
    random = np.random.default_rng(SEED)
    steps = np.linspace(0.0, 1.0, 13)
    risks = np.where(np.arange(12) % 2 == 0, 0.004, 0.1)  # from the least sure to the surest
    grid = np.linspace(0.0, 1.0, 100_001)[1:]
    by_place = risks[np.minimum((grid * 12).astype(int), 11)]
    whole = by_place[::-1].cumsum()[::-1] / np.arange(len(grid), 0, -1)
    broken = 0
    for _ in range(REPETITIONS):
        sure = np.round(random.random(1000), 6)
        is_wrong = random.random(1000) < risks[np.minimum((sure * 12).astype(int), 11)]
        if scores:
            sure = np.ceil(sure * 12) / 12
        at = chosen_threshold(table_of(sure, is_wrong))
        if at <= 1.0:
            edge = steps[np.searchsorted(steps, at - 1e-9) - 1] if scores else at
            broken += whole[min(len(grid) - 1, int(max(0.0, edge) * len(grid)))] > 0.05

    assert stats.binomtest(broken, REPETITIONS, 0.05, "greater").pvalue > 0.01


def test_all_rows_test() -> None:
    """Of a thousand rows whose risk falls, more than twice the share is answered than of 300."""
    random = np.random.default_rng(SEED)
    shares = {}
    for rows in (300, 1000):
        found = []
        for _ in range(200):
            sure = np.round(1.0 - random.beta(0.6, 5.0, rows) * 0.9, 6)
            at = chosen_threshold(table_of(sure, random.random(rows) < 0.75 * (1 - sure)), 0.02)
            found.append(float((sure >= at).mean()))
        shares[rows] = float(np.mean(found))
    assert shares[1000] > 0.2
    assert shares[1000] > 2 * shares[300]


def test_a_text_that_comes_often_weighs_as_often_as_it_comes() -> None:
    """One text in ten is surely wrong: no threshold lets it stand, in any of the draws."""
    random = np.random.default_rng(SEED)
    for _ in range(200):
        is_it = random.random(2000) < 0.1
        sure = np.where(is_it, 0.999, np.round(random.uniform(0.05, 0.95, 2000), 6))
        board = table_of(sure, is_it | (random.random(2000) < 0.01))
        assert chosen_threshold(board) == NEVER


def test_rows_of_one_template_tell_no_more_than_one_row() -> None:
    """Ten rows of each template, all right or all wrong: broken in 5 % of draws at most.

    The same draws show that this is no easy law: counted row by row they break it.
    """
    random = np.random.default_rng(SEED)
    broken, naive = 0, 0
    for _ in range(REPETITIONS):
        wrong = np.repeat(random.random(100) < 0.055, 10)
        sure = np.round(np.repeat(random.random(100), 10) + random.normal(0, 1e-4, 1000), 6)
        is_first = np.arange(1000) % 10 == 0
        broken += chosen_threshold(table_of(np.clip(sure, 1e-6, 2), wrong, is_first)) < NEVER
        naive += chosen_threshold(table_of(np.clip(sure, 1e-6, 2), wrong)) < NEVER

    assert stats.binomtest(broken, REPETITIONS, 0.05, "greater").pvalue > 0.01
    assert stats.binomtest(naive, REPETITIONS, 0.05, "greater").pvalue < 0.01


def test_where_no_number_of_rows_would_do_is_said_only_where_it_is_known() -> None:
    """That no number would do is told of a model far off the target, and of no few rows."""
    random = np.random.default_rng(SEED)

    def refused(rows: int, risk: float) -> Unsupported:
        board = table_of(np.round(random.random(rows), 6), random.random(rows) < risk)
        found = choose(board, np.zeros(rows, np.bool_), FREE, Aim(0.05))
        assert isinstance(found, Unsupported)
        return found

    assert refused(5000, 0.3).rows_needed is None
    found = choose(sure_and_unsure(random), np.zeros(400, np.bool_), FREE, Aim(0.01))
    assert isinstance(found, Unsupported)
    assert found.rows_needed is not None
    needed = refused(fewest_rows(0.05, 0.95) - 1, 0.0).rows_needed
    assert needed is not None
    assert needed.high is None or needed.high > needed.low


def sure_and_unsure(random: np.random.Generator) -> SettingsTable:
    """Too few rows for 1 %: of 400 the surest hundred are right, and every second other wrong."""
    sure = np.round(np.linspace(0.999, 0.1, 400), 6)
    return table_of(sure, (np.arange(400) >= 100) & (random.random(400) < 0.5))
