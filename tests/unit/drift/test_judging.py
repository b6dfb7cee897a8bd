"""What is said of a quantity, from counts day by day."""

import numpy as np
import pytest

from smallfirst.drift.judging import (
    DriftState,
    Judged,
    Limits,
    Periods,
    Rows,
    judge,
    stability_index,
)

SEED = 20_261_130
ROWS = Rows(("low", "high"), (400, 600))
LIMITS = Limits(false_alarms=0.01, least_index=0.1, num_quantities=8)


NO_HOURS = Periods((), (), ())


def judged_of(days: Periods, hours: Periods = NO_HOURS, rows: Rows = ROWS) -> Judged:
    """Judge by the usual limits."""
    return judge(rows, days, hours, LIMITS)


def days_of(*counts: tuple[int, int]) -> Periods:
    """Periods from the first of November, on which a promise was made."""
    numbers = range(1, len(counts) + 1)
    return Periods(tuple(numbers), counts, [f"2026-11-{n:02}" for n in numbers])


def test_jobs_like_their_rows_are_steady() -> None:
    """Thirty days of them prove nothing, and the index is of all of them."""
    judged = judged_of(days_of(*[(400, 600)] * 30))
    assert judged.state is DriftState.STEADY
    assert judged.evidence == 0.0
    assert judged.index == pytest.approx(0.0, abs=1e-4)
    assert judged.num_jobs == 30_000
    assert judged.since == "2026-11-01"


def test_a_change_after_many_steady_days_is_seen_on_its_day() -> None:
    """Twenty days of 50,000 jobs do not hide a thousand others, and the day is named."""
    judged = judged_of(days_of(*[(20_000, 30_000)] * 20, (700, 300)))
    assert judged.state is DriftState.DRIFTED
    assert judged.since == "2026-11-21"
    assert judged.num_jobs == 1000
    assert judged.now == {"low": 700, "high": 300}


def test_a_change_that_is_proven_and_small_raises_no_alarm() -> None:
    """Of a million jobs a few points are proven; the index tells that they are few."""
    judged = judged_of(days_of((480_000, 520_000)))
    assert judged.evidence > 1.0
    assert judged.index == pytest.approx(0.026, abs=0.002)
    assert judged.state is DriftState.SMALL


def test_a_few_odd_jobs_prove_nothing() -> None:
    """Five jobs of one kind have a large index and no evidence to speak of."""
    judged = judged_of(days_of((5, 0)))
    assert judged.state is DriftState.STEADY
    assert judged.index is not None
    assert judged.index > 0.1


def test_rows_that_are_alike_prove_less() -> None:
    """A thousand rows of fifty templates are as good as fifty."""
    jobs = days_of((600, 400))
    assert judged_of(jobs).evidence > 1.0
    few = Rows(ROWS.bins, ROWS.counts, share_distinct=0.05)
    assert judged_of(jobs, rows=few).evidence < 1.0


@pytest.mark.parametrize("days", [days_of(), days_of((0, 0))])
def test_without_jobs_nothing_is_known(days: Periods) -> None:
    """Before the first job, and of a day whose counts are nought."""
    judged = judged_of(days)
    assert judged.state is DriftState.UNKNOWN
    assert (judged.index, judged.since, judged.num_jobs) == (None, "", 0)


def test_a_step_that_no_row_reached_says_nothing() -> None:
    """With nothing to compare with, jobs prove no change."""
    assert judged_of(days_of((9, 9)), rows=Rows(("a", "b"), (0, 0))).state is DriftState.UNKNOWN


def test_the_index_is_the_trades_own() -> None:
    """By hand: from 40 and 60 to 60 and 40 of a hundred it is 2 * 0.2 * ln 1.5."""
    assert stability_index([6000, 4000], [4000, 6000]) == pytest.approx(0.1622, abs=1e-3)
    assert 0 < stability_index([1, 0], [0, 9]) < 10


def test_few_promises_ever_raise_an_alarm_whose_jobs_stay_like_their_rows() -> None:
    """Looked at each day for five weeks, without a least index: at most the stated share of 60."""
    random = np.random.default_rng(SEED)
    limits = Limits(false_alarms=0.05, least_index=0.0, num_quantities=1)
    num_alarms = 0
    for _ in range(60):
        truth = random.dirichlet(np.full(6, 2.0))
        rows = Rows(tuple("abcdef"), random.multinomial(300, truth).tolist())
        jobs = random.multinomial(400, truth, size=35).tolist()
        names = [str(number) for number in range(1, 36)]
        looks = range(1, 36)
        num_alarms += any(
            judge(rows, Periods(tuple(looks)[:n], jobs[:n], names[:n]), NO_HOURS, limits).evidence
            >= 1.0
            for n in looks
        )
    assert num_alarms <= 0.05 * 60


def test_a_change_within_a_day_of_many_jobs_is_seen_within_the_hour() -> None:
    """After four steady weeks and 50,000 steady jobs of the day itself, which hide 1,000 others."""
    steady = [(20_000, 30_000)] * 28
    days = days_of(*steady, (20_700, 30_300))
    assert judged_of(days).state is DriftState.STEADY
    numbers = tuple(28 * 24 + hour for hour in range(1, 21))
    counts = [(1000, 1500)] * 19 + [(700, 300)]
    hours = Periods(numbers, counts, [f"2026-11-29 {n:02}:00" for n in range(20)])
    judged = judged_of(days, hours)
    assert judged.state is DriftState.DRIFTED
    assert judged.since == "2026-11-29 19:00"
    assert judged.num_jobs == 1000


def test_of_older_days_one_in_a_week_is_named() -> None:
    """A change two weeks ago is still proven, from a day of that week on."""
    judged = judged_of(days_of(*[(400, 600)] * 16, *[(600, 400)] * 14))
    assert judged.state is DriftState.DRIFTED
    assert "2026-11-14" <= judged.since <= "2026-11-21"
