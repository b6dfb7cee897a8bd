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

Where a second person looks before a check counts as wrong (`agreement.deciding`), golden rows end
by the same rule, and b is how often it ends wrongly of them: the rate a at which a first person
errs, times the part c of those errors that the others uphold. Against a and c is bet apart, so that
nothing is assumed of whether people err together. A machine's error is missed only where one of the
three gives it too, so m is at most 3 a. Checks tell of a as well, since the first person finds a
share f of them wrong, for which the relation above holds with a in the place of b:

    e * (1 - a) + (1 - e) * a  <=  f  <=  e + (1 - e) * a

A part of the capital is bet against f instead of d; as a mean of martingales it is one.

Where the share that is checked changes, as a drift's alarm changes it, a check stands for as many
answers as are accepted for each that is checked: 1 / s. So all is counted by that, and bets against
checks of a higher share are smaller in this proportion. Else what came while more was checked would
count for more than its answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from math import log
from typing import Final

import numpy as np

from smallfirst.audit.betting import Floats, Observed, log_capital, log_capital_of
from smallfirst.audit.drawing import EVEN
from smallfirst.audit.spending import CONFIDENCE

#: No weight is above this.
MAX_WEIGHT: Final = 1.0 / EVEN
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
#: The rates at which a first person may err where others look a second time, and the parts of those
#: errors that these uphold.
_FIRST: Final[Floats] = np.concatenate([np.linspace(0.0, 0.15, 31), np.linspace(0.15, 0.6, 31)[1:]])
_UPHELD: Final[Floats] = np.concatenate([[0.0], np.geomspace(1e-3, 0.999, 40), [1.0]])
#: The part of the capital that is bet on how many checks the first person finds wrong.
FIRST_PART: Final = 0.2


@dataclass(frozen=True)
class Checks:
    """What came of checks while one share was checked; see `Checked`.

    Attributes:
        num_checks: How many there were.
        wrong: The weight of each that a reviewer answered otherwise.
        mended: The weight of each that the first person found wrong, and then others right.
        undecided: The weight of each that another person has yet to look at.
        stake: For how many answers one of them stands, against one of the lowest share: that share
            by theirs.
    """

    num_checks: int
    wrong: Sequence[float] = ()
    mended: Sequence[float] = ()
    undecided: Sequence[float] = ()
    stake: float = 1.0

    def ended(self, *, as_wrong: bool) -> "Checks":
        """The same, once all has ended in one way."""
        return replace(
            self,
            wrong=(*self.wrong, *self.undecided) if as_wrong else self.wrong,
            mended=self.mended if as_wrong else (*self.mended, *self.undecided),
            undecided=(),
        )


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
        num_first_wrong: How many golden rows the first person answered wrongly, where a second one
            looks then; None where the first one's word counts.
        mended: The weight of each check that the first person found wrong, and then others right.
        undecided: The weight of each check that another person has yet to look at.
        num_golden_undecided: The same of golden rows.
        more: The checks of times in which a higher share was checked.
    """

    num_checks: int
    wrong: Sequence[float] = ()
    num_golden: int = 0
    num_golden_wrong: int = 0
    same: float = 0.0
    max_weight: float = MAX_WEIGHT
    num_first_wrong: int | None = None
    mended: Sequence[float] = ()
    undecided: Sequence[float] = ()
    num_golden_undecided: int = 0
    more: tuple[Checks, ...] = ()

    @property
    def parts(self) -> tuple[Checks, ...]:
        """All checks, by the share that was checked; those of the lowest first."""
        lowest = Checks(self.num_checks, self.wrong, self.mended, self.undecided)
        return (lowest, *self.more)

    @property
    def is_decided(self) -> bool:
        """Whether nobody has yet to look at anything."""
        return not self.num_golden_undecided and not any(part.undecided for part in self.parts)

    def ended(self, *, as_wrong: bool, golden_as_wrong: bool) -> "Checked":
        """The same, once all has ended in one way."""
        num_golden = self.num_golden_undecided if golden_as_wrong else 0
        lowest, *more = (part.ended(as_wrong=as_wrong) for part in self.parts)
        return replace(
            self,
            wrong=lowest.wrong,
            mended=lowest.mended,
            undecided=(),
            num_golden_wrong=self.num_golden_wrong + num_golden,
            num_golden_undecided=0,
            more=tuple(more),
        )


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
    """Estimate the error rate among accepted answers; None before anything was checked.

    The interval holds it with the confidence that is given, at all looks together.

    What another person has yet to look at is taken to end in whichever way makes either end of the
    interval the wider.
    """
    if not any(part.num_checks for part in checked.parts):
        return None
    disagreement, slips = _disagreement(checked), _slips(checked)
    raw = corrected(disagreement, slips or 0.0, _missed(checked))
    rate = min(1.0, max(0.0, raw))
    if checked.is_decided:
        lower, upper = _ends(_possible(checked, confidence), rate)
    else:
        fewest = checked.ended(as_wrong=False, golden_as_wrong=True)
        most = checked.ended(as_wrong=True, golden_as_wrong=False)
        lower, _ = _ends(_possible(fewest, confidence), rate)
        _, upper = _ends(_possible(most, confidence), rate)
    return ErrorEstimate(rate, lower, upper, raw, disagreement, slips)


def corrected(disagreement: float, slips: float, missed: float) -> float:
    """The error rate that shows as a disagreement.

    A rate below 0 is no more than chance makes of one near 0.

    Args:
        disagreement: The share of all answers that people find wrong.
        slips: The share of right answers that they find wrong.
        missed: The share of wrong answers that they find right.
    """
    told = 1.0 - slips - missed
    # Reviewers who err as often as not tell nothing.
    return (disagreement - slips) / told if told > 0.1 else 0.0


def _disagreement(checked: Checked) -> float:
    """The share that people find wrong; of what is undecided, as much as was upheld till now."""
    parts = checked.parts
    wrong = sum(part.stake * sum(part.wrong) for part in parts)
    seen = wrong + sum(part.stake * sum(part.mended) for part in parts)
    undecided = sum(part.stake * sum(part.undecided) for part in parts)
    upheld = wrong / seen if seen else 1.0
    return (wrong + upheld * undecided) / sum(part.stake * part.num_checks for part in parts)


def _slips(checked: Checked) -> float | None:
    if not checked.num_golden:
        return None
    rest = checked.num_golden_undecided
    decided = (checked.num_first_wrong or 0) - rest
    upheld = checked.num_golden_wrong / decided if rest and decided > 0 else 1.0
    return (checked.num_golden_wrong + rest * upheld) / checked.num_golden


def _missed(checked: Checked) -> float:
    """Which part of a machine's errors people make, too: of two who look either."""
    if not checked.num_golden:
        return 0.0
    if checked.num_first_wrong is None:
        return checked.num_golden_wrong / checked.num_golden * checked.same
    one = checked.num_first_wrong / checked.num_golden * checked.same
    return 1.0 - (1.0 - one) ** 2


class _Capital:
    """What was won by betting against each mean of some weights; 0 before anything is seen.

    It is convex in the mean: what each bet that the mean is higher wins falls with the mean that is
    bet against and is convex, and what one that it is lower wins rises and is. So within a range it
    is the least at the place that is nearest to the least of all.

    Args:
        observed: The weights.
        bound: That none of them exceeds.
    """

    def __init__(self, observed: Sequence[Observed], bound: float) -> None:
        self._is_all_zero = not any(len(each.others) for each in observed)
        self._logs = log_capital_of(_MEANS, observed, bound)
        self._best = float(_MEANS[int(self._logs.argmin())])
        self.least = float(self._logs.min())

    def at(self, means: Floats) -> Floats:
        """The logarithm of what was won against means, between those that were bet against."""
        # At the two ends no bet is made: 0 is possible as long as all was 0.
        found: Floats = np.interp(means, _MEANS, self._logs)
        return found if self._is_all_zero else np.where(means <= 0.0, np.inf, found)

    def within(self, lowest: Floats, highest: Floats) -> Floats:
        """The least that was won against any mean of a range."""
        return self.at(np.clip(self._best, np.maximum(lowest, 0.0), highest))


def _possible(checked: Checked, confidence: float) -> Floats:
    """The error rates that are not ruled out."""
    # A version before this one may have drawn by other weights.
    weights = chain.from_iterable((*part.wrong, *part.mended) for part in checked.parts)
    bound = max((checked.max_weight, *weights))
    of_wrong = _Capital([_observed(part, part.wrong) for part in checked.parts], bound)
    ruled_out = -log(1.0 - confidence)
    if not checked.num_golden:
        won = of_wrong.at(_RATES)
    elif checked.num_first_wrong is None:
        won = _won_by_one(checked, of_wrong)
    else:
        found = [_observed(part, (*part.wrong, *part.mended)) for part in checked.parts]
        of_found = _Capital(found, bound)
        won = _won_by_several(checked, of_wrong, of_found, ruled_out)
    return _RATES[won < ruled_out]


def _observed(part: Checks, others: Sequence[float]) -> Observed:
    weights = np.asarray(others, np.float64)
    return Observed(part.num_checks - len(weights), weights, part.stake)


def _won_by_one(checked: Checked, of_wrong: _Capital) -> Floats:
    """The least that was won against each error rate, under any slips; `(rates,)`."""
    of_slips = _of_golden(_SLIPS, checked.num_golden, checked.num_golden_wrong)
    slips, rates = _SLIPS[None, :], _RATES[:, None]
    # However seldom or often a reviewer errs as the machine did.
    highest = rates + (1.0 - rates) * slips  # (rates, slips)
    won: Floats = (of_wrong.within(highest - rates * slips, highest) + of_slips).min(axis=1)
    return won


def _won_by_several(
    checked: Checked, of_wrong: _Capital, of_found: _Capital, ruled_out: float
) -> Floats:
    """The same where others look a second time; `(rates,)`.

    The rates at which a first person errs, and the parts that others uphold, are gone through from
    each to the next; of two, the one counts that explains more.

    Args:
        checked: What came of checks and golden rows.
        of_wrong: What was won against how many end as wrong.
        of_found: The same of how many the first person found wrong.
        ruled_out: What is ruled out at.
    """
    num_first = checked.num_first_wrong or 0
    firsts, of_firsts = _steps(_FIRST, checked.num_golden, num_first)
    upheld, of_upheld = _steps(_UPHELD, num_first, checked.num_golden_wrong)
    least = min(of_wrong.least, of_found.least) + float(of_upheld.min())
    rates, fewest, most = _RATES[:, None], upheld[None, :-1], upheld[None, 1:]
    won = np.full(len(_RATES), np.inf)
    for (low, high), of_first in zip(pairwise(firsts), of_firsts, strict=True):
        if of_first + least >= ruled_out:
            continue
        wrong = of_wrong.within(
            rates * (1.0 - min(1.0, 3.0 * high)) + (1.0 - rates) * low * fewest,
            rates + (1.0 - rates) * high * most,
        )
        found = of_found.within(
            rates * (1.0 - high) + (1.0 - rates) * low, rates + (1.0 - rates) * high
        )
        told = np.logaddexp(wrong + log(1.0 - FIRST_PART), found + log(FIRST_PART))
        won = np.minimum(won, (told + of_upheld).min(axis=1) + of_first)
    return won


def _steps(means: Floats, num_rows: int, num_wrong: int) -> tuple[Floats, Floats]:
    """Means, what was seen among them, and the least that was won between each and the next."""
    seen = [num_wrong / num_rows] if num_rows else []
    nodes = np.union1d(means, seen)
    won = _of_golden(nodes, num_rows, num_wrong)
    return nodes, np.minimum(won[:-1], won[1:])


def _of_golden(means: Floats, num_rows: int, num_wrong: int) -> Floats:
    """What was won against each mean by betting on rows that are wrong or right."""
    inner = np.clip(means, _MEANS[0], _MEANS[-1])
    return log_capital(inner, num_rows - num_wrong, np.ones(num_wrong), 1.0)


def _ends(possible: Floats, rate: float) -> tuple[float, float]:
    """The ends of what is possible, widened to the next rate that was looked at and found not."""
    if not len(possible):
        return rate, rate
    low = int(np.searchsorted(_RATES, possible[0]))
    high = int(np.searchsorted(_RATES, possible[-1]))
    lower = _RATES[max(0, low - 1)] if low else 0.0
    upper = _RATES[min(len(_RATES) - 1, high + 1)]
    return float(min(lower, rate)), float(max(upper, rate))
