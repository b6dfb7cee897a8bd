"""Answers: what every step said of every row, as arrays, and which of it stands in the cascade."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smallfirst.evaluation.acceptance import Gate
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


def answers_of(scores: Scores, gates: Sequence[Gate]) -> Answers:
    """Lay scores out as arrays.

    Args:
        scores: Of at least one row.
        gates: One for each step.
    """
    board = settings_table_of(scores.rows, [gate.temperature for gate in gates])
    keys = np.array([row.key for row in scores.rows])
    worked = _of_each(scores, lambda said: said.seconds)
    return Answers(
        confidences=board.confidences,
        is_right=~board.is_wrong & (board.confidences > 0.0),
        stands=_stands(scores, board.confidences, gates),
        is_asked=np.array([gate.is_asked for gate in gates]),
        costs=board.costs,
        seconds=worked,
        latencies=worked + _of_each(scores, lambda said: said.waited_seconds),
        order=np.argsort(np.argsort(keys, kind="stable"), kind="stable"),
    )


def _of_each(scores: Scores, value: Callable[[Said], float]) -> Floats:
    return np.array([[value(said) for said in row.said] for row in scores.rows])


def _stands(scores: Scores, confidences: Floats, gates: Sequence[Gate]) -> Bools:
    thresholds = [
        [_threshold(gate, said) for gate, said in zip(gates, row.said, strict=True)]
        for row in scores.rows
    ]
    stands: Bools = (confidences > 0.0) & (confidences >= np.array(thresholds))
    return stands


def _threshold(gate: Gate, said: Said) -> float:
    if gate.is_void or not gate.is_asked:
        return np.inf
    return gate.threshold if gate.by_label is None else gate.by_label.get(said.said, np.inf)
