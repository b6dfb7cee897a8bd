"""Choosing one threshold on all rows: a walk down the ranks, which no label has a say in. Pure.

The rows are ranked by how sure their answer is. The walk goes from rank to rank, and at each asks
whether the answers above it are wrong seldom enough, by an exact binomial test; the first failure
ends it. The proof that this keeps the promise, for whatever ties and risks, is in
`docs/explanation/promise.md`: it needs that every rank is tested from the first on, that ties are
ranked by chance, and that where the walk begins does not depend on labels.
"""

from dataclasses import dataclass
from math import ceil

import numpy as np

from smallfirst.evaluation.bounds import fewest_rows, p_values
from smallfirst.evaluation.settings_table import NEVER, Bools, Floats, SettingsTable

#: The walk begins where one error is allowed: in multiples of the fewest rows that pass without
#: one. Beginning at the fewest, a single error among the surest answers ends it.
_START = 1.6
#: And not before so large a share of the rows: a few errors among the surest answers, wrong labels
#: for instance, would end a walk that later has room for them. The share grows with the rows, in
#: multiples of the fewest. On nine synthetic streams at a target of 2 %, 1,400 rows answer 44.9 %
#: so and 39.1 % from a fifth on, 2,500 rows 55.5 and 53.0 %; from 0.3 on, 1,000 rows bear less.
_START_SHARES, _START_ROWS = (0.2, 0.3), (7.0, 13.0)
#: Confidences are rounded to so many digits.
_DIGITS = 6
_SMALLEST = 10.0**-_DIGITS


@dataclass(frozen=True)
class Ranked:
    """The rows that may be accepted, the surest first: those of fixed steps before all others.

    Attributes:
        scores: `(ranks,)`, how sure the answer is; infinite where a fixed step accepts it.
        wrong: `(ranks,)`, how many are wrong down to this rank.
        wrong_distinct: `(ranks,)`, the same where rows that are alike count once.
        distinct: `(ranks,)`, how many rows that are.
    """

    scores: Floats
    wrong: Floats
    wrong_distinct: Floats
    distinct: Floats

    @property
    def counts(self) -> Floats:
        """How many rows are accepted down to each rank, `(ranks,)`."""
        return np.arange(1, len(self.scores) + 1).astype(np.float64)


def is_one_threshold(fixed: Floats) -> bool:
    """Whether the last step that may answer is the only one whose threshold is to be chosen."""
    free = np.flatnonzero(np.isnan(fixed))
    return len(free) == 1 and bool((fixed[free[0] + 1 :] == NEVER).all())


def ranked(board: SettingsTable, fixed: Floats) -> Ranked:
    """Rank the rows of a cascade with one threshold to choose.

    Args:
        board: The rows; those that are equally sure are ranked as they stand here, which must be
            by chance.
        fixed: `(steps,)`, the threshold of each step that is not to be chosen; else nan.
    """
    free = int(np.flatnonzero(np.isnan(fixed))[0])
    scores = board.confidences[:, free].copy()
    is_wrong = board.is_wrong[:, free].copy()
    for step in reversed(range(free)):
        stands = (board.confidences[:, step] >= fixed[step]) & (board.confidences[:, step] > 0.0)
        scores[stands], is_wrong[stands] = np.inf, board.is_wrong[stands, step]
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] > 0.0]
    is_distinct = np.ones(board.num_rows) if board.is_distinct is None else board.is_distinct
    distinct, wrong = is_distinct[order].astype(float), is_wrong[order]
    return Ranked(scores[order], wrong.cumsum(), (wrong * distinct).cumsum(), distinct.cumsum())


def start_of(rows: Ranked, target: float, confidence: float) -> int:
    """The first rank that is tested, from 0; as many as there are ranks where there are none."""
    fewest, num_ranks = fewest_rows(target, confidence), len(rows.scores)
    share = np.interp(num_ranks / fewest, _START_ROWS, _START_SHARES)
    is_enough = (rows.distinct >= ceil(_START * fewest)) & (rows.counts >= share * num_ranks)
    enough = np.flatnonzero(is_enough)
    return int(enough[0]) if len(enough) else max(0, len(rows.scores) - 1)


def p_values_of(rows: Ranked, target: float) -> Floats:
    """The p-value at each rank: of all rows, or of those that are like no other, the larger."""
    of_all = p_values(rows.wrong, rows.counts, target)
    return np.maximum(of_all, p_values(rows.wrong_distinct, rows.distinct, target))


def last_passing(rows: Ranked, target: float, confidence: float) -> int | None:
    """Walk down until a test fails; the last rank, from 0, that passed and can be cut at."""
    start = start_of(rows, target, confidence)
    passes = p_values_of(rows, target)[start:] <= 1.0 - confidence
    walked = start + int(passes.cumprod().sum())
    ends = np.flatnonzero(_is_end(rows.scores)[:walked])
    ends = ends[ends >= start]
    return int(ends[-1]) if len(ends) else None


def nearest(rows: Ranked, target: float) -> tuple[int, int]:
    """How many answers are accepted where the test came nearest to passing, and how many wrong.

    With some more rows the walk begins at a smaller share of them, down to a fifth, so that is
    where it is looked from on.
    """
    if not len(rows.scores):
        return 0, 0
    first = max(0, ceil(_START_SHARES[0] * len(rows.scores)) - 1)
    rank = first + int(p_values_of(rows, target)[first:].argmin())
    return rank + 1, int(rows.wrong[rank])


def _is_end(scores: Floats) -> Bools:
    """Whether the next rank is less sure, so that a threshold can part them."""
    return np.append(scores[:-1] != scores[1:], [True])[: len(scores)]


def threshold_at(rows: Ranked, rank: int) -> float:
    """The lowest threshold that accepts the answers down to a rank, and none below it.

    The test speaks of all answers that are surer than the next one, so the threshold is just above
    that.
    """
    if np.isinf(rows.scores[rank]):
        return NEVER
    below = float(rows.scores[rank + 1]) if rank + 1 < len(rows.scores) else 0.0
    above = round(below + _SMALLEST, _DIGITS)
    return above if below < above <= rows.scores[rank] else float(rows.scores[rank])
