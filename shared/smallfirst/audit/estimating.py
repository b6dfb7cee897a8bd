"""Estimating: how often accepted answers are wrong, from checks of some of them. Pure.

A check that was drawn with chance p where a share s is drawn weighs s / p, so that the mean of the
weighted disagreements is that of all accepted answers: d. People err too. Where a reviewer errs
with a rate b, and errs as the machine did with a rate m of at most b, an error rate e shows as

    d = e * (1 - m) + (1 - e) * b

Golden rows, whose right answers are known, tell b. A pair (e, b) is held to be possible while the
product of what was won by betting against d and against b (see `betting`) is below 1 / alpha: that
product is a martingale too, whatever the order in which checks and golden rows are answered. The
interval holds each e for which some b and m are possible. Source of the weights: Waudby-Smith, Wu,
Ramdas, Karampatziakis and Mineiro 2024, Anytime-valid off-policy inference for contextual bandits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import Final

import numpy as np

from smallfirst.audit.betting import Floats, log_capital
from smallfirst.audit.drawing import EVEN

#: No weight is above this.
MAX_WEIGHT: Final = 1.0 / EVEN
#: The confidence with which the interval holds the error rate at all looks together.
CONFIDENCE: Final = 0.95
#: The error rates that are looked at, closer where they are low.
_RATES: Final[Floats] = np.concatenate([np.linspace(0.0, 0.2, 401), np.linspace(0.2, 1.0, 161)[1:]])
#: The rates at which reviewers may err.
_SLIPS: Final[Floats] = np.concatenate([np.linspace(0.0, 0.2, 81), np.linspace(0.2, 0.6, 41)[1:]])
#: The means against which is bet; 0 and the highest are out of reach.
_MEANS: Final[Floats] = np.concatenate(
    [
        np.geomspace(1e-5, 1e-3, 20),
        np.linspace(1e-3, 0.3, 300)[1:],
        np.linspace(0.3, 0.999, 140)[1:],
    ]
)
#: Into how many parts it is cut how often a reviewer errs as the machine did.
_PARTS: Final[Floats] = np.linspace(0.0, 1.0, 9)


@dataclass(frozen=True)
class Checked:
    """What came of checks and golden rows.

    Attributes:
        num_checks: How many accepted answers were checked.
        wrong: The weight of each of those that a reviewer answered otherwise.
        num_golden: How many golden rows were answered.
        num_golden_wrong: How many of them wrongly.
        same: Of a reviewer's errors on what the machine has wrong, which part is the machine's own:
            0 where answers have many forms, `1 / (labels - 1)` where labels are confused evenly.
        max_weight: That any check may have.
    """

    num_checks: int
    wrong: Sequence[float] = ()
    num_golden: int = 0
    num_golden_wrong: int = 0
    same: float = 0.0
    max_weight: float = MAX_WEIGHT


@dataclass(frozen=True)
class ErrorEstimate:
    """How often accepted answers are wrong.

    Attributes:
        rate: The estimate.
        lower: The lowest rate that is possible at the confidence.
        upper: The highest one.
        raw: The estimate before it is cut to what a rate can be; its mean has no bias.
        disagreement: The share of accepted answers that reviewers answer otherwise.
        slips: The share of golden rows that they answer wrongly; None without any.
    """

    rate: float
    lower: float
    upper: float
    raw: float
    disagreement: float
    slips: float | None


def estimate(checked: Checked, confidence: float = CONFIDENCE) -> ErrorEstimate | None:
    """Estimate the error rate among accepted answers; None before anything was checked."""
    if not checked.num_checks:
        return None
    wrong = np.asarray(checked.wrong, np.float64)
    disagreement = float(wrong.sum()) / checked.num_checks
    slips = checked.num_golden_wrong / checked.num_golden if checked.num_golden else None
    raw = corrected(disagreement, slips or 0.0, checked.same)
    possible = _RATES[_log_won(checked, wrong, disagreement) < -log(1.0 - confidence)]
    rate = min(1.0, max(0.0, raw))
    lower, upper = _ends(possible, rate)
    return ErrorEstimate(rate, lower, upper, raw, disagreement, slips)


def corrected(disagreement: float, slips: float, same: float) -> float:
    """The error rate that shows as a disagreement, where reviewers slip so often.

    A rate below 0 is no more than chance makes of one near 0.
    """
    told = 1.0 - slips * (1.0 + same)
    # Reviewers who err as often as not tell nothing.
    return (disagreement - slips) / told if told > 0.1 else 0.0


def _log_won(checked: Checked, wrong: Floats, disagreement: float) -> Floats:
    """The least that was won against each error rate, under any slips; `(rates,)`."""
    num_zeros = checked.num_checks - len(wrong)
    # A version before this one may have drawn by other weights.
    bound = max(checked.max_weight, float(wrong.max(initial=0.0)))
    of_means = log_capital(_MEANS, num_zeros, wrong, bound)
    if not checked.num_golden:
        return _at(_RATES, of_means, disagreement)
    right = checked.num_golden - checked.num_golden_wrong
    inner = np.clip(_SLIPS, _MEANS[0], None)
    of_slips = log_capital(inner, right, np.ones(checked.num_golden_wrong), 1.0)
    slips, rates = _SLIPS[None, :], _RATES[:, None]
    # However seldom or often a reviewer errs as the machine did.
    highest = rates + (1.0 - rates) * slips  # (rates, slips)
    lowest = highest - rates * slips
    least = _at(np.clip(disagreement, lowest, highest), of_means, disagreement)
    for part in _PARTS:
        least = np.minimum(least, _at(lowest + part * (highest - lowest), of_means, disagreement))
    won: Floats = (least + of_slips[None, :]).min(axis=1)
    return won


def _at(means: Floats, of_means: Floats, disagreement: float) -> Floats:
    """Read off what was won against means, between those that were bet against."""
    # At the two ends no bet is made: 0 is possible as long as nothing was wrong.
    found: Floats = np.interp(means, _MEANS, of_means)
    return np.where((means <= 0.0) & (disagreement > 0.0), np.inf, found)


def _ends(possible: Floats, rate: float) -> tuple[float, float]:
    """The ends of what is possible, widened to the next rate that was looked at and found not."""
    if not len(possible):
        return rate, rate
    low = int(np.searchsorted(_RATES, possible[0]))
    high = int(np.searchsorted(_RATES, possible[-1]))
    lower = _RATES[max(0, low - 1)] if low else 0.0
    upper = _RATES[min(len(_RATES) - 1, high + 1)]
    return float(min(lower, rate)), float(max(upper, rate))
