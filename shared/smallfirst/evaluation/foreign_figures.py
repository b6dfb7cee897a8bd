"""What a cascade did with texts that no label fits, and with its own for seeming so. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smallfirst.acceptance import Acceptance
from smallfirst.evaluation.scores import Scores


@dataclass(frozen=True)
class ForeignFigures:
    """What a cascade did with rows that are foreign, and with its own for seeming so.

    Attributes:
        num_foreign: Rows that no label fits.
        num_accepted: Those of them that were answered.
        num_own: All other rows.
        num_flagged: Those of them that a step which was asked took for foreign.
        looks: Whether any step looks for foreign texts.
    """

    num_foreign: int
    num_accepted: int
    num_own: int
    num_flagged: int
    looks: bool


def foreign_figures(
    scores: Scores,
    acceptances: Sequence[Acceptance],
    asked: NDArray[np.float64],
    answered: NDArray[np.float64],
) -> ForeignFigures | None:
    """Count; None where no row is foreign and no step looks for it.

    Args:
        scores: Of all rows.
        acceptances: One for each step.
        asked: `(rows, steps)`, whether the cascade asks the step.
        answered: `(rows, steps)`, whether its answer is the result.
    """
    is_foreign = np.array([row.is_foreign for row in scores.rows], np.bool_)
    looks = any(each.foreign is not None for each in acceptances)
    if not looks and not is_foreign.any():
        return None
    flagged = np.array(list(_flags(scores, acceptances)), np.bool_)
    is_flagged = np.any(flagged & (asked > 0), axis=1)
    return ForeignFigures(
        num_foreign=int(is_foreign.sum()),
        num_accepted=round(float(answered[is_foreign].sum())),
        num_own=int((~is_foreign).sum()),
        num_flagged=int(is_flagged[~is_foreign].sum()),
        looks=looks,
    )


def _flags(scores: Scores, acceptances: Sequence[Acceptance]) -> Iterator[list[bool]]:
    for row in scores.rows:
        pairs = zip(acceptances, row.said, strict=True)
        yield [said.confidence > 0 and each.is_too_foreign(said.foreign) for each, said in pairs]
