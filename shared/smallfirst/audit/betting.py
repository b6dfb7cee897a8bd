"""Betting: what a game that is fair under a supposed mean would have won on what was seen. Pure.

Of observations x from 0 to a bound, whose mean given all before is m, nobody gains by betting: the
capital of whoever multiplies it by 1 + lambda * (x - m) each time is a martingale for any lambda
that keeps it from falling below 0, and so is the mean over many fixed lambdas, started at 1. By
Ville's inequality it ever exceeds 1 / alpha with a probability of alpha at most. So the means under
which it never did hold the true one, with confidence 1 - alpha, however often one looks.

Since each lambda is fixed, the capital hangs on how often each value was seen and not on the order.
Source: Waudby-Smith and Ramdas 2024, Estimating means of bounded random variables by betting,
https://doi.org/10.1093/jrsssb/qkad009 (sections 4.1 and B.1; the mixture is their "hedged" one).
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Bets that the mean is higher, as parts of the most that may be bet: many observations are told
#: apart from a mean by small bets, few by large ones.
_UP: Final[Floats] = np.geomspace(3e-4, 0.95, 22)
#: Bets that it is lower.
_DOWN: Final[Floats] = np.geomspace(2e-3, 0.95, 16)


def wagers(means: Floats, bound: float) -> Floats:
    """The lambdas that are bet against each mean.

    Args:
        means: `(means,)`, above 0 and below `bound`.
        bound: The highest value that may be observed.

    Returns:
        `(means, wagers)`, half of the capital on either side.
    """
    up = _UP / means[:, None]
    down = -_DOWN / (bound - means)[:, None]
    return np.concatenate([up, down], axis=1)


#: The logarithm of the part of the capital that each wager begins with.
LOG_PARTS: Final[Floats] = np.log(
    np.concatenate([np.full(len(_UP), 0.5 / len(_UP)), np.full(len(_DOWN), 0.5 / len(_DOWN))])
)


class Observed(NamedTuple):
    """Observations on each of which the same part of every bet is staked.

    Attributes:
        num_zeros: How many were 0.
        others: `(others,)`, those above 0.
        stake: The part, from 0 to 1; fixed before they are seen.
    """

    num_zeros: int
    others: Floats
    stake: float = 1.0


def log_capital(means: Floats, num_zeros: int, others: Floats, bound: float) -> Floats:
    """The same as `log_capital_of`, where everything is staked on every observation."""
    return log_capital_of(means, [Observed(num_zeros, others)], bound)


def log_capital_of(means: Floats, observed: Sequence[Observed], bound: float) -> Floats:
    """The logarithm of the capital that was won against each mean; 0 before anything is seen.

    Where parts of the bets are staked, the mean that little is won against is one in which each
    observation weighs by its stake. If the true mean changes, it is the mean of them by these
    weights: 1 + lambda s (m' - m) is at most exp(lambda s (m' - m)), and the product of those is 1.

    Args:
        means: `(means,)`, above 0 and below `bound`.
        observed: What was; nothing above `bound`.
        bound: The highest value that may be observed.

    Returns:
        `(means,)`.
    """
    bets = wagers(means, bound)  # (means, wagers)
    won = np.zeros_like(bets)
    for num_zeros, others, stake in observed:
        staked = stake * bets
        won += num_zeros * np.log1p(-staked * means[:, None])
        values, counts = np.unique(others, return_counts=True)
        for value, count in zip(values, counts, strict=True):
            won += count * np.log1p(staked * (value - means[:, None]))
    return log_mean(won)


def log_mean(won: Floats) -> Floats:
    """The logarithm of the whole capital, given that of each wager on the last axis."""
    parts = won + LOG_PARTS
    highest = parts.max(axis=-1, keepdims=True)
    total: Floats = highest[..., 0] + np.log(np.exp(parts - highest).sum(axis=-1))
    return total


def log_won_against(mean: float, num_zeros: int, num_ones: int) -> float:
    """The logarithm of what bets that the mean is higher won, of observations that are 0 or 1.

    That the true mean is `mean` or less is refuted at a confidence of 1 - alpha where this exceeds
    -log(alpha), however often one looks while observations come.

    Args:
        mean: Above 0 and below 1.
        num_zeros: How many observations were 0.
        num_ones: How many were 1.
    """
    bets = _UP / mean
    won = num_zeros * np.log1p(-bets * mean) + num_ones * np.log1p(bets * (1 - mean))
    highest = float(won.max())
    return highest + float(np.log(np.exp(won - highest).mean()))
