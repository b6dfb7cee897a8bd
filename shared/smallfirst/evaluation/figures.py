"""Figures: risk against coverage, what confidence means, and who is taken for whom. Pure.

Numbers only; `plots` draws them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smallfirst.evaluation.alternatives import AskingPlan
from smallfirst.evaluation.answers import Answers, Bools, Floats
from smallfirst.evaluation.intervals import Interval, of_share

#: Of equal width, from 0 to 1.
NUM_BINS = 10
#: More points than this no screen shows.
_MAX_POINTS = 200
#: A rate out of fewer rows is noise, and draws the eye.
_FEWEST_ROWS = 10


@dataclass(frozen=True)
class RiskCurve:
    """Share of wrong answers among the surest, as more and more of them stand.

    Attributes:
        name: Of what was swept.
        step: Its place; None for the whole cascade.
        coverages: Shares of all rows, rising.
        risks: Share of wrong answers at each.
    """

    name: str
    step: int | None
    coverages: tuple[float, ...]
    risks: tuple[float, ...]


@dataclass(frozen=True)
class Bin:
    """Answers of like confidence.

    Attributes:
        low: Of the confidences.
        high: Of the confidences.
        count: How many answers; more than 0.
        mean_confidence: What they say of themselves.
        accuracy: How often they are right.
        interval: Of the accuracy.
    """

    low: float
    high: float
    count: int
    mean_confidence: float
    accuracy: float
    interval: Interval


@dataclass(frozen=True)
class Reliability:
    """How far one step's confidence means what it says.

    Attributes:
        name: Of the step, for people.
        step: Its place.
        bins: Those that hold answers, rising.
        error: Expected calibration error: the gap between confidence and accuracy, weighed by
            count. Source: Guo et al. 2017, arXiv:1706.04599.
    """

    name: str
    step: int
    bins: tuple[Bin, ...]
    error: float


@dataclass(frozen=True)
class Confusion:
    """What the cascade answered, by the right answer.

    Attributes:
        labels: In the task's order.
        counts: `(right labels, answered labels)`.
        abstained: By right label.
    """

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    abstained: tuple[int, ...]


def step_curve(answers: Answers, step: int, name: str) -> RiskCurve | None:
    """Sweep the threshold of one step asked alone; None where its confidence never differs."""
    has = answers.has_answer[:, step]
    if len(np.unique(answers.confidences[has, step])) < 2:
        return None
    ranks = np.where(has, answers.confidences[:, step], -np.inf)
    return _curve(name, step, ranks, answers.is_right[:, step])


def cascade_curve(answers: Answers, plan: AskingPlan) -> RiskCurve | None:
    """Sweep a bar over the cascade's last words; what it abstained from comes after the rest.

    So the curve goes through where the cascade works; None where it asks nothing.
    """
    if not plan.steps:
        return None
    last = np.full(answers.num_rows, plan.steps[-1])
    stands = plan.answered.sum(axis=1) > 0.5
    last[stands] = plan.answered[stands].argmax(axis=1)
    rows = np.arange(answers.num_rows)
    confidences = answers.confidences[rows, last]
    # Above 1 stands what was accepted, below it what was not, and nothing where no answer is.
    ranks = np.where(confidences > 0.0, confidences + stands, -np.inf)
    return _curve("the cascade", None, ranks, answers.is_right[rows, last])


def _curve(name: str, step: int | None, ranks: Floats, is_right: Bools) -> RiskCurve:
    order = np.argsort(-ranks, kind="stable")
    order = order[np.isfinite(ranks[order])]
    wrong = np.cumsum(~is_right[order])
    # Equal confidences stand or fall together, so a point is where the next one differs.
    ends = np.flatnonzero(np.append(np.diff(ranks[order]) != 0, True))
    ends = ends[ends + 1 >= min(_FEWEST_ROWS, len(order))]
    ends = _thinned(ends)
    return RiskCurve(
        name,
        step,
        tuple(((ends + 1) / len(ranks)).tolist()),
        tuple((wrong[ends] / (ends + 1)).tolist()),
    )


def _thinned(ends: NDArray[np.int64]) -> NDArray[np.int64]:
    if len(ends) <= _MAX_POINTS:
        return ends
    picked = np.unique(np.linspace(0, len(ends) - 1, _MAX_POINTS).round().astype(np.int64))
    return ends[picked]


def reliability(answers: Answers, step: int, name: str) -> Reliability | None:
    """Compare confidence with accuracy, over all rows; None where the confidence never differs."""
    has = answers.has_answer[:, step]
    confidences, is_right = answers.confidences[has, step], answers.is_right[has, step]
    if len(np.unique(confidences)) < 2:
        return None
    places = np.minimum((confidences * NUM_BINS).astype(np.int64), NUM_BINS - 1)
    bins = [
        _bin(place, confidences[places == place], is_right[places == place])
        for place in range(NUM_BINS)
        if (places == place).any()
    ]
    gaps = [each.count * abs(each.mean_confidence - each.accuracy) for each in bins]
    return Reliability(name, step, tuple(bins), sum(gaps) / len(confidences))


def _bin(place: int, confidences: Floats, is_right: Bools) -> Bin:
    right, count = int(is_right.sum()), len(is_right)
    return Bin(
        low=place / NUM_BINS,
        high=(place + 1) / NUM_BINS,
        count=count,
        mean_confidence=float(confidences.mean()),
        accuracy=right / count,
        interval=of_share(right, count),
    )


def confusion(
    rights: Sequence[str], said: Sequence[Sequence[str]], plan: AskingPlan, labels: Sequence[str]
) -> Confusion | None:
    """Count what the cascade answered by what was right; None where answers are no single words.

    Args:
        rights: The right answer of each row; empty where it is no single word.
        said: What each step said of each row.
        plan: The cascade's.
        labels: In the order to show them; those that only rows know follow.
    """
    if not any(rights):
        return None
    known = list(dict.fromkeys([*labels, *sorted(set(rights) - set(labels))]))
    place = {label: number for number, label in enumerate(known)}
    counts = np.zeros((len(known), len(known)), np.int64)
    abstained = np.zeros(len(known), np.int64)
    for row, right in enumerate(rights):
        step = int(plan.answered[row].argmax())
        if plan.answered[row, step] and said[row][step] in place:
            counts[place[right], place[said[row][step]]] += 1
        else:
            abstained[place[right]] += 1
    return Confusion(tuple(known), tuple(map(tuple, counts.tolist())), tuple(abstained.tolist()))
