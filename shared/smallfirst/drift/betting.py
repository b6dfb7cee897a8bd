"""Betting against "nothing has changed": what was won on a stream's counts, however one looks.

Of jobs that fall into bins with probabilities p, nobody gains by betting that these are q: the
likelihood of the jobs under q by that under p is a martingale, for any q, and so is its mean over
many q. Here q is drawn from Dirichlet distributions around the reference, of which some lie close
to it and some are wide. By Ville's inequality the mean ever exceeds 1 / alpha with a probability of
alpha at most, so that one may look after every job, for ever. It hangs on how many jobs fell into
each bin, and not on their order, so that counts are all that has to be kept.

p itself is not known: it was estimated from rows. Agrawal bounds how far the estimate lies from it,
and the bet counts as won only against that p within the bound which speaks best for the jobs. So
the reference's own error raises no alarm, and few rows prove a large change alone.

Sources: Ville 1939; Ramdas, Gruenwald, Vovk and Shafer 2023, Game-theoretic statistics and safe
anytime-valid inference, https://doi.org/10.1214/23-STS894 (sections 2 and 5); Agrawal 2020,
Finite-sample concentration of the multinomial in relative entropy,
https://doi.org/10.1109/TIT.2020.2996134.
"""

from collections.abc import Sequence
from math import exp, inf, lgamma, log, sqrt
from typing import Final

#: How much the distributions are drawn together around the reference: as by so many rows.
_WEIGHTS: Final = (3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
#: What a bin counts in the middle of them beside its rows, so that none is held to be impossible.
_BESIDE: Final = 0.5
#: Halvings of each search: to a millionth.
_HALVINGS: Final = 20

Counts = Sequence[int]


def reach_of(num_rows: float, num_bins: int, risk: float) -> float:
    """How far the true distribution lies from the rows' at most, as relative entropy in nats.

    Args:
        num_rows: That were drawn.
        num_bins: Two at least.
        risk: The probability with which it may lie farther.

    Returns:
        The least e with exp(-n e) (e_euler n e / (k - 1)) ** (k - 1) <= risk.
    """
    free, wanted = num_bins - 1, -log(risk)
    low, high = float(free), float(free) + 2 * wanted + 2 * sqrt(free * wanted) + 1
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        is_enough = middle - free * (1 + log(middle / free)) >= wanted
        low, high = (low, middle) if is_enough else (middle, high)
    return high / num_rows


def log_won(jobs: Counts, rows: Counts, reach: float) -> float:
    """The logarithm of what was won by betting that jobs are not drawn as the rows were.

    Args:
        jobs: How many fell into each bin.
        rows: The same of the reference; one row at least.
        reach: How far the truth lies from the rows at most, see `reach_of`.

    Returns:
        0 before the first job; below it where the jobs are as they were supposed to be.
    """
    num_jobs = sum(jobs)
    if not num_jobs:
        return 0.0
    mixed = _log_mixture(jobs, num_jobs, rows)
    # The rows' own shares are in reach, and seldom the best for the jobs: what loses against them
    # has lost, and the search is spared.
    against_rows = mixed - _log_likelihood(jobs, rows)
    return against_rows if against_rows < 0 else mixed - _log_likeliest(jobs, rows, reach)


def log_sum(terms: Sequence[float]) -> float:
    """The logarithm of a sum, given those of its terms; of none it is minus infinity."""
    highest = max(terms, default=-inf)
    return highest if highest == -inf else highest + log(sum(exp(t - highest) for t in terms))


def _log_mixture(jobs: Counts, num_jobs: int, rows: Counts) -> float:
    """The likelihood of the jobs in this very order, over all that is bet on."""
    total = sum(rows) + _BESIDE * len(rows)
    seen = [
        (count, (row + _BESIDE) / total) for count, row in zip(jobs, rows, strict=True) if count
    ]
    each = []
    for weight in _WEIGHTS:
        won = sum(lgamma(weight * share + count) - lgamma(weight * share) for count, share in seen)
        each.append(lgamma(weight) - lgamma(weight + num_jobs) + won)
    return log_sum(each) - log(len(_WEIGHTS))


def _log_likelihood(jobs: Counts, rows: Counts) -> float:
    """The likelihood of the jobs by the rows' own shares."""
    num_rows, total = sum(rows), 0.0
    for count, row in zip(jobs, rows, strict=True):
        if count and not row:
            return -inf
        if count:
            total += count * log(row / num_rows)
    return total


def _log_likeliest(jobs: Counts, rows: Counts, reach: float) -> float:
    """The likelihood of the jobs by those probabilities in reach that speak best for them.

    These are a mean of both shares (the condition of Lagrange for the highest likelihood within the
    bound). The more the rows weigh, the nearer it is to them; how much is found by halving.
    """
    num_jobs, num_rows = sum(jobs), sum(rows)
    here = [count / num_jobs for count in jobs]
    there = [count / num_rows for count in rows]
    pairs = [(a, b) for a, b in zip(here, there, strict=True) if b]
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        rest = 1 - middle
        entropy = sum([b * log(b / (rest * a + middle * b)) for a, b in pairs])
        low, high = (low, middle) if entropy <= reach else (middle, high)
    # The lower end lies beyond the reach by a hair, or is all the jobs say: it favours them.
    mixed = [(1 - low) * a + low * b for a, b in zip(here, there, strict=True)]
    return sum(count * log(share) for count, share in zip(jobs, mixed, strict=True) if count)
