"""Judging: from counts of rows, and of jobs in time, to whether these have drifted. Pure.

Nobody knows when a drift begins, and what was counted before it hides it. So bets begin anew each
day and each hour, with a part of the capital each: 1 / (n (n + 1)) on the n-th, half of it for days
and half for hours, which comes to 1 over all that there will ever be. A sum of martingales is one,
so all of them together are wrong as seldom as one alone (Shin, Ramdas, Rinaldo 2022, E-detectors,
arXiv:2203.03532, treat the same with another aim). The risk is shared among a task's quantities,
and of each part half is that the rows were odd, and half that the jobs were.

An alarm wants both: a proof that something has changed, and that it has changed much. Proof alone
would come of any difference once jobs are many; much alone of a few odd jobs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import log
from typing import Final

from smallfirst.drift.betting import log_sum, log_won, reach_of

#: Of so many periods, the last ones, each has its bets counted; before them one of a group.
_RECENT: Final = 8
_GROUP: Final = 7
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
class Periods:
    """What was counted of jobs in days, or in hours; the oldest first, without gaps but empty ones.

    Attributes:
        numbers: Of each period, from 1 for that in which the promise was made.
        counts: `(periods, bins)`.
        names: What each period is called.
    """

    numbers: Sequence[int]
    counts: Sequence[Sequence[int]]
    names: Sequence[str]


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
        since: The period from which on the jobs speak most for a change, or one close before it;
            the first day where they prove none.
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


def judge(rows: Rows, days: Periods, hours: Periods, limits: Limits) -> Judged:
    """Say whether jobs are still like rows.

    Args:
        rows: Of the promise.
        days: All days that are kept.
        hours: The last hours, whose jobs are among those of the last days.
        limits: When an alarm is raised.
    """
    begins = [*_begins(days), *_begins(hours)]
    if not begins or not sum(begins[0].jobs) or not sum(rows.counts):
        return Judged(DriftState.UNKNOWN, 0.0, None, 0, "", {})
    won, best = _won(rows, begins, limits)
    evidence = max(0.0, won / log(2 * limits.num_quantities / limits.false_alarms))
    told = best if evidence >= 1.0 else begins[0]
    index = stability_index(told.jobs, rows.counts)
    return Judged(
        state=_state(evidence, index, limits.least_index),
        evidence=evidence,
        index=index,
        num_jobs=sum(told.jobs),
        since=told.name,
        now=dict(zip(rows.bins, told.jobs, strict=True)),
    )


def _state(evidence: float, index: float, least_index: float) -> DriftState:
    if evidence < 1.0:
        return DriftState.STEADY
    return DriftState.DRIFTED if index >= least_index else DriftState.SMALL


@dataclass(frozen=True)
class _Begin:
    """Where bets begin.

    Attributes:
        name: Of the period.
        number: Of the period, from 1.
        jobs: How many fell into each bin from then on.
    """

    name: str
    number: int
    jobs: Sequence[int]


def _begins(periods: Periods) -> list[_Begin]:
    """Where bets are counted: in each of the last periods, and before them in one of seven.

    What is left out could only win, so that alarms become rarer, and the work a third.
    """
    sums = _since_each(periods.counts)
    recent = len(sums) - _RECENT
    groups, begins = set[int](), list[_Begin]()
    for at, number in enumerate(periods.numbers):
        if at >= recent or number // _GROUP not in groups:
            begins.append(_Begin(periods.names[at], number, sums[at]))
        groups.add(number // _GROUP)
    return begins


def _won(rows: Rows, begins: Sequence[_Begin], limits: Limits) -> tuple[float, _Begin]:
    """The logarithm of what all bets won, and where those began that won most."""
    num_rows = sum(rows.counts) * rows.share_distinct
    risk = limits.false_alarms / (2 * limits.num_quantities)
    reach = reach_of(num_rows, len(rows.bins), risk)
    won = [
        log_won(each.jobs, rows.counts, reach) - log(2 * each.number * (each.number + 1))
        for each in begins
    ]
    return log_sum(won), begins[max(range(len(won)), key=won.__getitem__)]


def _since_each(counts: Sequence[Sequence[int]]) -> list[list[int]]:
    """Of each period, what was counted from it on: `(periods, bins)`."""
    sums = list[list[int]]()
    for period in reversed(counts):
        later = sums[-1] if sums else [0] * len(period)
        sums.append([one + more for one, more in zip(later, period, strict=True)])
    return sums[::-1]
