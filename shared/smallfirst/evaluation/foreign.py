"""A promise about texts that no label fits, beside the one about errors.

It is made of rows of its own, collected rather than drawn from the stream, which has few of them,
and it is about the cascade as a whole.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from smallfirst.catalogue import ForeignPromise, Promise
from smallfirst.evaluation.answers import Bools, answers_of
from smallfirst.evaluation.bounds import p_values, upper_bound
from smallfirst.evaluation.calibrating import Origin, calibrate, foreign_limits
from smallfirst.evaluation.scores import Scores
from smallfirst.evaluation.settings_table import is_distinct
from smallfirst.evaluation.thresholds import Aim, Unsupported

#: Limits for the steps that say `foreign: calibrated`, in the order in which they are tested: from
#: the one that flags most.
LIMITS: Final = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.925, 0.95, 0.975, 0.99, 1.0)


@dataclass(frozen=True)
class ForeignAccepted:
    """The rows do not bear the promise about foreign texts.

    Attributes:
        num_rows: Foreign rows.
        num_distinct: As many as there are where rows that are alike count once.
        num_accepted: Those of all that the strictest limit let pass.
    """

    num_rows: int
    num_distinct: int
    num_accepted: int


def calibrate_with_foreign(
    scores: Scores, foreign: Scores, aims: tuple[Aim, float], origin: Origin
) -> Promise | Unsupported | ForeignAccepted:
    """Choose all thresholds and the limit for foreign texts, and promise both.

    For each limit the thresholds are chosen on the rows of the stream alone, so that the foreign
    rows meet settings that do not depend on them. They test these in a fixed order up to the first
    failure, with all rows and with one of each template: a setting that breaks the promise passes
    with a chance of at most 1 - confidence. The promise about errors holds for every limit, since
    the foreign rows, which choose it, have no part in its test.

    Args:
        scores: Of rows of the stream, those among them that are foreign too.
        foreign: Of foreign rows.
        aims: What is promised of errors, and the largest share of foreign texts accepted.
        origin: The catalogue, and what was tried before.

    Raises:
        NothingToChoose: See `calibrate`.

    Source: fixed sequence testing, Angelopoulos et al. 2021, arXiv:2110.01052.
    """
    aim, target = aims
    kept: Promise | Unsupported | ForeignAccepted | None = None
    for limit in _limits_to_try(scores, origin):
        found = calibrate(scores, aim, replace(origin, foreign_limit=limit))
        if isinstance(found, Unsupported):
            kept = kept or found
            continue
        accepted = _accepted(foreign, found)
        if not _passes(foreign, accepted, target, aim.confidence):
            if isinstance(kept, Promise):
                return kept
            return ForeignAccepted(
                len(foreign.rows), int(is_distinct(foreign.rows).sum()), int(accepted.sum())
            )
        kept = found.model_copy(
            update={"foreign": _promised(foreign, accepted, target, aim.confidence, limit)}
        )
    assert kept is not None
    return kept


def _limits_to_try(scores: Scores, origin: Origin) -> tuple[float, ...]:
    task = origin.catalogue.tasks[scores.task]
    none, some = (foreign_limits(task, limit) for limit in (0.0, 1.0))
    return LIMITS if none != some else LIMITS[-1:]


def _accepted(foreign: Scores, promise: Promise) -> Bools:
    """Whether any step would answer each row: `(rows,)`."""
    stands = answers_of(foreign, [step.acceptance for step in promise.steps]).stands
    return np.asarray(np.any(stands, axis=1), np.bool_)


def _passes(foreign: Scores, accepted: Bools, target: float, confidence: float) -> bool:
    return all(
        p_values(np.array([float(part.sum())]), np.array([float(len(part))]), target)[0]
        <= 1.0 - confidence
        for part in (accepted, accepted[is_distinct(foreign.rows)])
    )


def _promised(
    foreign: Scores, accepted: Bools, target: float, confidence: float, limit: float
) -> ForeignPromise:
    distinct = accepted[is_distinct(foreign.rows)]
    bounds = [upper_bound(int(part.sum()), len(part), confidence) for part in (accepted, distinct)]
    return ForeignPromise(
        target=target,
        limit=limit,
        num_rows=len(accepted),
        num_distinct=len(distinct),
        num_accepted=int(accepted.sum()),
        share_bound=round(max(bounds), 6),
    )
