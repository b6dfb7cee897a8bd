"""Judging: from counts of rows, and of jobs day by day, to whether these have drifted. Pure.

Nobody knows when a drift begins, and what was counted before it hides it. So bets begin anew each
day, each with a part of the capital, and no day's is large: 1 / (day (day + 1)), which comes to 1
over all days there will ever be. A sum of martingales is one, so all of them together are wrong as
seldom as one alone (Shin, Ramdas and Rinaldo 2023, E-detectors, https://doi.org/10.51387/23-NEJSDS51,
treat the same with another aim). The risk is shared among a task's quantities, and of each part
half is that the rows were odd, and half that the jobs were.

An alarm wants both: a proof that something has changed, and that it has changed much. Proof alone
would come of any difference once jobs are many; much alone of a few odd jobs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import inf, log
from typing import Final

from smallfirst.drift.betting import log_sum, log_won, reach_of

#: Of so many days, the last ones, each day's bets are counted.
_RECENT_DAYS: Final = 8
_WEEK: Final = 7
#: What an empty bin counts, so that its part of the index is finite.
_BESIDE: Final = 0.5


class DriftState(StrEnum):
    """What is said of one quantity."""

    UNKNOWN = "unknown"
    STEADY = "steady"
    SMALL = "small"
    DRIFTED = "drifted"


@dataclass(frozen=True)
class Rows:
    """What was counted of the rows that a promise was made on.

    Attributes:
        bins: The names of the classes, fixed before anything was counted.
        counts: How many rows fell into each.
        share_distinct: The share of rows that is left where those that are alike count once.
    """

    bins: Sequence[str]
    counts: Sequence[int]
    share_distinct: float = 1.0


@dataclass(frozen=True)
class Days:
    """What was counted of jobs, oldest day first.

    Attributes:
        numbers: Of each day, from 1 for that on which the promise was made.
        counts: `(days, bins)`.
        dates: What each day is called.
    """

    numbers: Sequence[int]
    counts: Sequence[Sequence[int]]
    dates: Sequence[str]


@dataclass(frozen=True)
class Limits:
    """When an alarm is raised.

    Attributes:
        false_alarms: The probability that any quantity is ever held to have changed that has not.
        least_index: The population stability index from which on a change is no small one.
        num_quantities: Among how many the probability is shared.
    """

    false_alarms: float
    least_index: float
    num_quantities: int


@dataclass(frozen=True)
class Judged:
    """What is said of one quantity.

    Attributes:
        state: In a word.
        evidence: How near the proof is: 1 and above is one.
        index: The population stability index, of the jobs since `since`; None without jobs.
        num_jobs: How many these are.
        since: The day from which on the jobs speak most for a change, or one in its week; the first
            one where they prove none.
        now: How many of these jobs fell into each bin.
    """

    state: DriftState
    evidence: float
    index: float | None
    num_jobs: int
    since: str
    now: Mapping[str, int]


def stability_index(jobs: Sequence[int], rows: Sequence[int]) -> float:
    """The population stability index: the sum over bins of (a - b) ln(a / b), for shares a and b.

    Below 0.1 a change is called small, from 0.25 on large. Source: Siddiqi 2006, Credit Risk
    Scorecards.
    """
    all_jobs = sum(jobs) + _BESIDE * len(jobs)
    all_rows = sum(rows) + _BESIDE * len(rows)
    shares = [
        ((job + _BESIDE) / all_jobs, (row + _BESIDE) / all_rows)
        for job, row in zip(jobs, rows, strict=True)
    ]
    return sum((a - b) * log(a / b) for a, b in shares)


def judge(rows: Rows, days: Days, limits: Limits) -> Judged:
    """Say whether jobs are still like rows."""
    sums = _since_each(days.counts, len(rows.bins))
    if not sums or not sum(sums[0]) or not sum(rows.counts):
        return Judged(DriftState.UNKNOWN, 0.0, None, 0, "", {})
    won, best = _won(rows, days, sums, limits)
    evidence = max(0.0, won / log(2 * limits.num_quantities / limits.false_alarms))
    first = best if evidence >= 1.0 else 0
    index = stability_index(sums[first], rows.counts)
    return Judged(
        state=_state(evidence, index, limits.least_index),
        evidence=evidence,
        index=index,
        num_jobs=sum(sums[first]),
        since=days.dates[first],
        now=dict(zip(rows.bins, sums[first], strict=True)),
    )


def _state(evidence: float, index: float, least_index: float) -> DriftState:
    if evidence < 1.0:
        return DriftState.STEADY
    return DriftState.DRIFTED if index >= least_index else DriftState.SMALL


def _won(
    rows: Rows, days: Days, sums: Sequence[Sequence[int]], limits: Limits
) -> tuple[float, int]:
    """The logarithm of what all days' bets won, and the day whose bets won most."""
    num_rows = sum(rows.counts) * rows.share_distinct
    risk = limits.false_alarms / (2 * limits.num_quantities)
    reach = reach_of(num_rows, len(rows.bins), risk) if len(rows.bins) > 1 else inf
    won = {
        at: log_won(sums[at], rows.counts, reach) - log(days.numbers[at] * (days.numbers[at] + 1))
        for at in _begins(days.numbers)
    }
    return log_sum(tuple(won.values())), max(won, key=won.__getitem__)


def _begins(numbers: Sequence[int]) -> list[int]:
    """The days whose bets are counted: the last ones, and before them one in a week.

    What is left out could only win, so that alarms become rarer, and the work a third.
    """
    recent = len(numbers) - _RECENT_DAYS
    weeks, begins = set[int](), list[int]()
    for at, number in enumerate(numbers):
        if at >= recent or number // _WEEK not in weeks:
            begins.append(at)
        weeks.add(number // _WEEK)
    return begins


def _since_each(counts: Sequence[Sequence[int]], num_bins: int) -> list[list[int]]:
    """Of each day, what was counted from it on: `(days, bins)`."""
    sums, later = list[list[int]](), [0] * num_bins
    for day in reversed(counts):
        later = [one + more for one, more in zip(later, day, strict=True)]
        sums.append(later)
    return sums[::-1]
