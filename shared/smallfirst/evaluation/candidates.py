"""Candidate settings of a cascade's thresholds, proposed on one part of the rows. Pure."""

import numpy as np

from smallfirst.evaluation.settings_table import NEVER, Bools, Floats, SettingsTable

#: About how many settings are tried where steps share a promise.
MAX_SETTINGS = 2500
#: How far the risk that is aimed at on the fitting part goes around the target, by label.
_AIMS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25)
#: How many accepted rows a label needs to be spoken of, in multiples of what a promise takes.
_CROWDS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)


def joint_settings(board: SettingsTable, fixed: Floats) -> Floats:
    """Cross a ladder of thresholds of each free step: `(settings, steps, 1)`.

    Args:
        board: The fitting part.
        fixed: `(steps,)`, the threshold of each step that is not to be chosen; else nan.
    """
    num_free = int(np.isnan(fixed).sum())
    num_rungs = max(2, int(MAX_SETTINGS ** (1.0 / max(1, num_free))) - 1)
    ladders = [
        _ladder(board.confidences[:, step], num_rungs) if np.isnan(fixed[step]) else [fixed[step]]
        for step in range(board.num_steps)
    ]
    crossed = np.meshgrid(*ladders, indexing="ij")
    return np.stack([rung.ravel() for rung in crossed], axis=1)[:, :, None]


def _ladder(confidences: Floats, num_rungs: int) -> list[float]:
    """Thresholds that let ever fewer answers stand, down to none."""
    given = np.sort(confidences[confidences > 0.0])
    if not len(given):
        return [NEVER]
    places = np.linspace(0, len(given) - 1, min(num_rungs, len(given))).astype(np.int64)
    return [*np.unique(given[places]).tolist(), NEVER]


def settings_by_label(board: SettingsTable, fixed: Floats, target: float, fewest: int) -> Floats:
    """Choose each label's thresholds for a series of risks: `(settings, steps, labels)`.

    Args:
        board: The fitting part, grouped by label.
        fixed: `(steps,)`, the threshold of each step that is not to be chosen; else nan.
        target: The risk that is promised for each label.
        fewest: How many accepted rows of this part stand for the fewest that a promise takes.
    """
    found = [
        _without_rare(board, fixed, _aimed(board, fixed, aim * target), crowd * fewest)
        for aim in _AIMS
        for crowd in _CROWDS
    ]
    return np.unique(np.array(found), axis=0)


def _aimed(board: SettingsTable, fixed: Floats, risk: float) -> Floats:
    """Let answers of every label stand down to where so many of them are wrong: step by step."""
    setting = np.full((board.num_steps, board.num_groups), NEVER)
    waiting = np.ones(board.num_rows, np.bool_)
    for step in range(board.num_steps):
        for group in range(board.num_groups):
            is_of = waiting & (board.groups[:, step] == group) & (board.confidences[:, step] > 0.0)
            is_free = np.isnan(fixed[step])
            setting[step, group] = _lowest(board, step, is_of, risk) if is_free else fixed[step]
        thresholds = setting[step][board.groups[:, step]]
        waiting &= ~_stands(board, step, thresholds)
    return setting


def _stands(board: SettingsTable, step: int, thresholds: Floats) -> Bools:
    confidences = board.confidences[:, step]
    stands: Bools = (confidences >= thresholds) & (confidences > 0.0)
    return stands


def _lowest(board: SettingsTable, step: int, is_of: Bools, risk: float) -> float:
    """The lowest threshold above which no more than `risk` of the answers are wrong."""
    confidences, wrong = board.confidences[is_of, step], board.is_wrong[is_of, step]
    order = np.argsort(-confidences, kind="stable")
    rates = np.cumsum(wrong[order]) / np.arange(1, len(order) + 1)
    # Of equal confidences only the last can be a threshold.
    sorted_down = confidences[order]
    is_last = np.append(sorted_down[:-1] != sorted_down[1:], [True])[: len(order)]
    fit = np.flatnonzero((rates <= risk) & is_last)
    return float(sorted_down[fit[-1]]) if len(fit) else NEVER


def _without_rare(board: SettingsTable, fixed: Floats, setting: Floats, fewest: float) -> Floats:
    """Never accept the labels that too few rows of this part speak for, where that is free."""
    waiting = np.ones(board.num_rows, np.bool_)
    counts = np.zeros(board.num_groups)
    for step in range(board.num_steps):
        stands = waiting & _stands(board, step, setting[step][board.groups[:, step]])
        counts += np.bincount(board.groups[stands, step], minlength=board.num_groups)
        waiting &= ~stands
    is_rare = np.isnan(fixed)[:, None] & (counts < fewest)  # (steps, groups)
    return np.where(is_rare, NEVER, setting)
