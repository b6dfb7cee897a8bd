"""Answers: what every step said of every row, as arrays, and which of it stands in the cascade."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smallfirst.acceptance import Acceptance
from smallfirst.evaluation.scores import Said, Scores
from smallfirst.evaluation.settings_table import settings_table_of

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Answers:
    """What was said.

    Attributes:
        confidences: `(rows, steps)`, after temperature; 0 where there is no answer.
        is_right: `(rows, steps)`; False where there is no answer.
        stands: `(rows, steps)`, whether it would be the result if its step were asked.
        is_asked: `(steps,)`, whether the cascade asks the step at all.
        costs: `(rows, steps)`, in the catalogue's currency.
        seconds: `(rows, steps)`, of a worker.
        latencies: `(rows, steps)`, seconds waited and worked.
        order: `(rows,)`, a fixed arbitrary order, which settles ties.
    """

    confidences: Floats
    is_right: Bools
    stands: Bools
    is_asked: Bools
    costs: Floats
    seconds: Floats
    latencies: Floats
    order: NDArray[np.int64]

    @property
    def has_answer(self) -> Bools:
        """Whether there is one at all, `(rows, steps)`."""
        found: Bools = self.confidences > 0.0
        return found

    @property
    def num_rows(self) -> int:
        """How many rows there are."""
        return len(self.confidences)

    @property
    def num_steps(self) -> int:
        """How many steps the cascade has."""
        return int(self.confidences.shape[1])


def answers_of(scores: Scores, acceptances: Sequence[Acceptance]) -> Answers:
    """Lay scores out as arrays.

    Args:
        scores: At least one row.
        acceptances: One for each step.
    """
    table = settings_table_of(scores.rows, [each.temperature for each in acceptances])
    keys = np.array([row.key for row in scores.rows])
    worked = _of_each(scores, lambda said: said.seconds)
    return Answers(
        confidences=table.confidences,
        is_right=~table.is_wrong & (table.confidences > 0.0),
        stands=_stands(scores, table.confidences, acceptances),
        is_asked=np.array([not each.is_never for each in acceptances]),
        costs=table.costs,
        seconds=worked,
        latencies=worked + _of_each(scores, lambda said: said.waited_seconds),
        order=np.argsort(np.argsort(keys, kind="stable"), kind="stable"),
    )


def _of_each(scores: Scores, value: Callable[[Said], float]) -> Floats:
    return np.array([[value(said) for said in row.said] for row in scores.rows])


def _stands(scores: Scores, confidences: Floats, acceptances: Sequence[Acceptance]) -> Bools:
    """Decide as a worker does; `(rows, steps)`."""
    steps = list(zip(acceptances, scores.steps, strict=True))
    stands = [
        [
            confidence > 0.0
            and acceptance.stands(confidence, said.said or None, about.revision)
            and not acceptance.is_too_foreign(said.foreign)
            for (acceptance, about), said, confidence in zip(steps, row.said, sure, strict=True)
        ]
        for row, sure in zip(scores.rows, confidences.tolist(), strict=True)
    ]
    return np.array(stands, np.bool_)
