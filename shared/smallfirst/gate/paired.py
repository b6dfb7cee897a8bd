"""An exact test that one of two is not worse than the other by more than a margin. Pure.

Both answered the same rows, and a person said what is right. Only rows where exactly one of the two
is right tell them apart: `lost`, where the live one alone is, and `won`, where the candidate alone
is. Of all rows, a share p_lost and a share p_won are such; the candidate is too bad where p_lost -
p_won is the margin or more.

The statistic is the score test's (Tango 1998, https://doi.org/10.1002/(SICI)1097-0258(19980430)17:8
<891::AID-SIM780>3.0.CO;2-B). Its distribution under the margin hangs on p_won, which nobody knows;
so the p-value is the largest over the p_won that the rows allow but with a small probability, which
is added (Berger and Boos 1994, https://doi.org/10.1080/01621459.1994.10476836). It is exact: of
candidates that are worse by the margin or more no larger share passes than was said, whatever the
number of rows.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

Floats = NDArray[np.float64]

#: The probability that the true p_won lies outside of where it is looked for.
_OUTSIDE: Final = 1e-4
#: How many values of p_won are tried: the p-value is smooth in it.
_TRIED: Final = 64
#: Beyond so many standard deviations nothing is counted, and all of it is taken as evidence.
_DEVIATIONS: Final = 9.0
#: How likely a candidate as good as this one passes with the number of labels that is said to do.
POWER: Final = 0.8
#: More labels than this nobody gives.
MAX_LABELS: Final = 1_000_000


@dataclass(frozen=True)
class Pairs:
    """What people said of rows that both answered.

    Attributes:
        rows: All of them.
        lost: Those where the live one alone is right.
        won: Those where the candidate alone is right.
    """

    rows: int
    lost: int
    won: int

    def __post_init__(self) -> None:
        if min(self.lost, self.won) < 0 or self.lost + self.won > self.rows:
            raise ValueError("lost and won must be parts of the rows")

    @property
    def difference(self) -> float:
        """By how much the candidate is right more often; below 0, less often."""
        return (self.won - self.lost) / self.rows if self.rows else 0.0


def p_value(pairs: Pairs, margin: float) -> float:
    """How likely a candidate that is worse by `margin` would look as good as this one.

    Args:
        pairs: What was seen.
        margin: A share of all rows, above 0 and below 1.

    Returns:
        At most 1; at most d in a share of d of draws, whatever p_won is.
    """
    if not pairs.rows:
        return 1.0
    seen = float(scores(_one(pairs.lost), _one(pairs.won), pairs.rows, margin)[0])
    shares = np.linspace(*_where_won_may_be(pairs, margin), _TRIED)
    return min(1.0, float(_chances(seen, pairs.rows, shares, margin).max()) + _OUTSIDE)


def scores(lost: Floats, won: Floats, rows: int, margin: float) -> Floats:
    """How far the candidate is above the margin, in standard deviations; high speaks for it.

    Args:
        lost: `(cells,)`, numbers of rows.
        won: `(cells,)`.
        rows: All of them.
        margin: A share of all rows.
    """
    # The likeliest share of `won` where that of `lost` is larger by the margin.
    linear = -lost - won + (2 * rows - lost + won) * margin
    constant = -won * margin * (1 - margin)
    root = np.sqrt(np.maximum(linear**2 - 8 * rows * constant, 0.0))
    share = (root - linear) / (4 * rows)
    variance = rows * (2 * share + margin * (1 - margin))
    found: Floats = (won - lost + rows * margin) / np.sqrt(variance)
    return found


def labels_missing(pairs: Pairs, margin: float, level: float) -> int | None:
    """How many more labels a candidate as good as this one would need, to pass as a rule.

    Args:
        pairs: What was seen so far.
        margin: A share of all rows.
        level: What the next test's p-value must not exceed.

    Returns:
        The number with which it passes with a probability of `POWER`, were what was seen the truth;
        None where no number would do, or nobody would give so many.
    """
    ahead = pairs.difference + margin
    if not pairs.rows or ahead <= 0:
        return None
    # As if one row more had told them apart: that none did so far does not mean that none will.
    apart = (pairs.lost + pairs.won + 1) / (pairs.rows + 1)
    spread = math.sqrt(max(apart - pairs.difference**2, margin * (1 - margin)))
    deviations = float(stats.norm.isf(level) + stats.norm.ppf(POWER))
    needed = math.ceil((deviations * spread / ahead) ** 2)
    if needed > MAX_LABELS:
        return None
    return max(needed - pairs.rows, 1)


def _one(value: int) -> Floats:
    return np.array([float(value)])


def _where_won_may_be(pairs: Pairs, margin: float) -> tuple[float, float]:
    """The shares of `won` that the rows allow, but with a probability of `_OUTSIDE`."""
    half, won, rows = _OUTSIDE / 2, pairs.won, pairs.rows
    low = float(stats.beta.ppf(half, won, rows - won + 1)) if won else 0.0
    high = float(stats.beta.isf(half, won + 1, rows - won)) if won < rows else 1.0
    most = (1 - margin) / 2
    return min(low, most), min(high, most)


def _chances(seen: float, rows: int, shares: Floats, margin: float) -> Floats:
    """How likely a score of `seen` or more is, for each share of `won`; `lost` has the margin more.

    Args:
        seen: A score.
        rows: All of them.
        shares: `(shares,)`, in ascending order.
        margin: A share of all rows.
    """
    low, high = _likely(rows, float(shares[0]))[0], _likely(rows, float(shares[-1]))[1]
    won = np.arange(low, high + 1, dtype=np.float64)
    most_lost = _most_lost(seen, won, rows, margin)
    chances = stats.binom.pmf(won, rows, shares[:, None])  # (shares, won)
    lost_share = (shares + margin) / np.maximum(1 - shares, 1e-12)
    within = _at_most(most_lost, rows - won, np.minimum(lost_share, 1.0)[:, None])
    found: Floats = (chances * within).sum(axis=1) + np.maximum(1 - chances.sum(axis=1), 0.0)
    return found


def _most_lost(seen: float, won: Floats, rows: int, margin: float) -> Floats:
    """For each number of `won`, the most `lost` whose score is `seen` or more; -1 for none.

    More `lost` is a lower score, so it is found by halving.
    """
    low, high = np.full_like(won, -1.0), rows - won
    while (low < high).any():
        middle = np.ceil((low + high) / 2)
        # Seen itself counts, whatever the last digit is.
        is_enough = scores(middle, won, rows, margin) >= seen - 1e-9
        low, high = np.where(is_enough, middle, low), np.where(is_enough, high, middle - 1)
    return low


def _likely(rows: int, share: float) -> tuple[int, int]:
    """The numbers of rows that come of a share, but for what is next to impossible."""
    middle, width = rows * share, _DEVIATIONS * math.sqrt(rows * share * (1 - share)) + _DEVIATIONS
    return max(0, math.floor(middle - width)), min(rows, math.ceil(middle + width))


def _at_most(most: Floats, trials: Floats, share: Floats) -> Floats:
    """The probability of at most so many of some trials; 0 for fewer than none.

    Source: P(Bin(n, p) <= k) = I_{1-p}(n - k, k + 1).
    """
    rest = np.maximum(trials - most, 1e-12)
    inside = special.betainc(rest, np.maximum(most, 0.0) + 1.0, 1.0 - share)
    found: Floats = np.where(most < 0, 0.0, np.where(most >= trials, 1.0, inside))
    return found
