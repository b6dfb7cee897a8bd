"""Boards: what steps said of rows, as arrays, and what many settings of a cascade come to on them.

A setting says for every step, and every group of answers, how sure an answer must be to stand.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smallfirst.answers import tempered
from smallfirst.evaluation.scores import Said, ScoredRow, templates_of

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

#: The threshold of a step that is never asked, or of a group of answers that never stands.
NEVER = np.inf


@dataclass(frozen=True)
class SettingsTable:
    """What every step said of rows.

    Attributes:
        confidences: `(rows, steps)`, after temperature; 0 where there is no answer.
        is_wrong: `(rows, steps)`.
        costs: `(rows, steps)`.
        groups: `(rows, steps)`, the group that each answer belongs to.
        num_groups: One, or as many as there are labels where each is promised for itself.
        is_distinct: `(rows,)`, whether the row counts where rows that are alike count once; None
            where no two are alike.
    """

    confidences: Floats
    is_wrong: Bools
    costs: Floats
    groups: Ints
    num_groups: int = 1
    is_distinct: Bools | None = None

    @property
    def num_rows(self) -> int:
        """How many rows there are."""
        return len(self.confidences)

    @property
    def num_steps(self) -> int:
        """How many steps the cascade has."""
        return int(self.confidences.shape[1])

    def part(self, is_in: Bools) -> "SettingsTable":
        """The rows that a mask `(rows,)` picks."""
        return SettingsTable(
            self.confidences[is_in],
            self.is_wrong[is_in],
            self.costs[is_in],
            self.groups[is_in],
            self.num_groups,
            None if self.is_distinct is None else self.is_distinct[is_in],
        )

    def distinct(self) -> "SettingsTable":
        """Of the rows that are alike one, and every other row."""
        return self if self.is_distinct is None else self.part(self.is_distinct)


@dataclass(frozen=True)
class Tallies:
    """What settings come to on the rows of a board.

    Attributes:
        accepted: `(settings, groups)`, answers that stand.
        wrong: `(settings, groups)`, those of them that are wrong.
        cost: `(settings,)`, of all steps that were asked.
        by_step: `(settings, steps)`, answers that stand, by the step that gave them.
        wrong_by_step: `(settings, steps)`, those of them that are wrong.
        num_rows: Of the board.
    """

    accepted: Floats
    wrong: Floats
    cost: Floats
    by_step: Floats
    wrong_by_step: Floats
    num_rows: int


def settings_table_of(
    rows: Sequence[ScoredRow], temperatures: Sequence[float], labels: Sequence[str] = ()
) -> SettingsTable:
    """Lay scored rows out as arrays.

    Args:
        rows: At least one.
        temperatures: One for each step.
        labels: The groups, where each label is promised for itself.
    """
    column = {label: number for number, label in enumerate(labels)}
    return SettingsTable(
        np.array([_confidences(row, temperatures) for row in rows]),
        np.array([[not said.is_right for said in row.said] for row in rows]),
        np.array([[said.cost for said in row.said] for row in rows]),
        np.array([[column.get(said.said, 0) for said in row.said] for row in rows]),
        max(1, len(labels)),
        is_distinct(rows),
    )


def is_distinct(rows: Sequence[ScoredRow]) -> Bools:
    """Pick the first row of each template, and every row of none: `(rows,)`."""
    templates = templates_of(rows)
    met: set[int] = set()
    found = []
    for row in rows:
        found.append(row.cluster not in met)
        if row.cluster is not None and row.cluster in templates:
            met.add(row.cluster)
    return np.array(found)


def _confidences(row: ScoredRow, temperatures: Sequence[float]) -> list[float]:
    pairs = zip(row.said, temperatures, strict=True)
    return [_confidence(said, temperature) for said, temperature in pairs]


def _confidence(said: Said, temperature: float) -> float:
    if temperature == 1.0 or said.said not in said.distribution:
        return said.confidence
    return tempered(said.distribution, temperature)[said.said]


def tally(board: SettingsTable, settings: Floats) -> Tallies:
    """Send every row through the cascade under every setting.

    Args:
        board: The rows.
        settings: `(settings, steps, groups)`, thresholds. A step of which no group can stand is
            not asked, and costs nothing.
    """
    num_settings, num_steps, num_groups = settings.shape
    accepted, wrong = (np.zeros((num_settings, num_groups)) for _ in range(2))
    by_step, wrong_by_step = (np.zeros((num_settings, num_steps)) for _ in range(2))
    cost = np.zeros(num_settings)
    waiting = np.ones((num_settings, board.num_rows), np.bool_)
    for step in range(num_steps):
        thresholds = settings[:, step, :]
        is_asked = np.isfinite(thresholds).any(axis=1)  # (settings,)
        cost += np.where(is_asked, _sums(waiting, board.costs[:, step, None])[:, 0], 0.0)
        wanted = thresholds if num_groups == 1 else thresholds[:, board.groups[:, step]]
        confidences = board.confidences[:, step]
        stands = waiting & (confidences >= wanted) & (confidences > 0.0)  # (settings, rows)
        members = np.eye(num_groups)[board.groups[:, step]]  # (rows, groups)
        sums = _sums(stands, np.hstack([members, members * board.is_wrong[:, step, None]]))
        here, wrong_here = sums[:, :num_groups], sums[:, num_groups:]
        accepted, wrong = accepted + here, wrong + wrong_here
        by_step[:, step], wrong_by_step[:, step] = here.sum(axis=1), wrong_here.sum(axis=1)
        waiting &= ~stands
    return Tallies(accepted, wrong, cost, by_step, wrong_by_step, board.num_rows)


def _sums(picked: Bools, values: Floats) -> Floats:
    """Sum values `(rows, columns)` over the rows that each setting picks.

    In single precision, where numpy multiplies matrices fast: exact for counts below 16 million.
    """
    sums: Floats = (picked.astype(np.float32) @ values.astype(np.float32)).astype(np.float64)
    return sums
