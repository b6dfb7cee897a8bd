"""Choosing a cascade's thresholds so that a promise about its errors holds. Pure.

The rows are split. On the *fitting* part candidate settings are compared, and a path of them is
laid from the safest to the cheapest. On the *testing* part the settings of that path are tested one
after the other, each by an exact binomial test, and the first that fails ends it. Nothing about the
path was chosen on the testing part, so the chance that a setting which breaks the promise passes is
at most 1 - confidence, however many settings were looked at.

Source: fixed sequence testing in Learn then Test, Angelopoulos, Bates, Candes, Jordan and Lei 2021,
arXiv:2110.01052, section 3; selective risk as in Geifman and El-Yaniv 2017, arXiv:1705.08500. Where
every label is promised for itself, a setting passes when each label's test does: that some label
breaks it is a union of hypotheses, and the largest of the p-values tests that (Berger 1982).
"""

from dataclasses import dataclass

import numpy as np

from smallfirst.evaluation.bounds import fewest_rows, p_values, rows_needed, upper_bound
from smallfirst.evaluation.candidates import joint_settings, settings_by_label
from smallfirst.evaluation.settings_table import (
    NEVER,
    Bools,
    Floats,
    Ints,
    SettingsTable,
    Tallies,
    tally,
)

#: Which share of the rows chooses, so that the rest can test.
FIT_SHARE = 0.3
#: What an abstention is thought to cost where nobody says: so many times the dearest step.
ABSTENTION_FACTOR = 100.0
#: How finely the path goes from the safest setting on.
_PATH_LEVELS = 80
#: Of many settings the one with the fewest errors was also lucky: so many errors are added.
_LUCK = 0.5


@dataclass(frozen=True)
class Aim:
    """What is to be promised.

    Attributes:
        target: The largest share of accepted answers that may be wrong, above 0.
        confidence: Of the promise, below 1.
        abstention_cost: Of a job that nobody answers; guessed from the steps' costs if None.
        is_per_label: Whether the target holds for the answers of each label.
    """

    target: float
    confidence: float = 0.95
    abstention_cost: float | None = None
    is_per_label: bool = False


@dataclass(frozen=True)
class Chosen:
    """A setting that passed.

    Attributes:
        thresholds: `(steps, groups)`; `NEVER` for what never stands.
        accepted: Of the testing part, by group: `(groups,)`.
        wrong: Of those accepted, by group: `(groups,)`.
        bound: The highest risk among accepted answers that the testing part allows.
        num_tested: Rows of the testing part.
        num_fitted: Rows of the fitting part.
    """

    thresholds: Floats
    accepted: Floats
    wrong: Floats
    bound: float
    num_tested: int
    num_fitted: int


@dataclass(frozen=True)
class Unsupported:
    """The rows do not bear the promise.

    Attributes:
        accepted: Answers that the safest useful setting accepts, of all rows.
        wrong: Those of them that are wrong.
        num_rows: All rows.
        fewest: Accepted rows in testing that it takes with not one error.
        rows_needed: Rows in all at that setting's error rate; None where no number would do.
    """

    accepted: int
    wrong: int
    num_rows: int
    fewest: int
    rows_needed: int | None


def choose(board: SettingsTable, is_fit: Bools, fixed: Floats, aim: Aim) -> Chosen | Unsupported:
    """Find the cheapest setting that the rows bear.

    Args:
        board: All rows, exchangeable with those to come.
        is_fit: `(rows,)`, the fitting part, picked without a look at the scores.
        fixed: `(steps,)`, the threshold of each step that is not to be chosen; else nan.
        aim: What is to be promised.
    """
    fit, test = board.part(is_fit), board.part(~is_fit)
    settings = _candidates(fit, fixed, aim, test.num_rows)
    path = path_of(tally(fit, settings), aim, test.num_rows, abstention_cost(fit, aim))
    on_test = tally(test, settings[path])
    num_passed = num_passing(on_test, aim)
    if not num_passed:
        return _unsupported(board, settings[path[:1]], aim, test.num_rows)
    last = num_passed - 1
    accepted, wrong = on_test.accepted[last], on_test.wrong[last]
    bound = upper_bound(int(wrong.sum()), int(accepted.sum()), aim.confidence)
    return Chosen(settings[path[last]], accepted, wrong, bound, test.num_rows, fit.num_rows)


def _candidates(fit: SettingsTable, fixed: Floats, aim: Aim, num_test: int) -> Floats:
    if not aim.is_per_label:
        return joint_settings(fit, fixed)
    fewest = fewest_rows(aim.target, aim.confidence) * fit.num_rows / max(1, num_test)
    return settings_by_label(fit, fixed, aim.target, round(fewest))


def abstention_cost(board: SettingsTable, aim: Aim) -> float:
    """What an abstention counts for; where all is free, the fewest abstentions win."""
    if aim.abstention_cost is not None:
        return aim.abstention_cost
    return ABSTENTION_FACTOR * float(board.costs.mean(axis=0).max()) or 1.0


def path_of(on_fit: Tallies, aim: Aim, num_test: int, price: float) -> Ints:
    """Lay the path from the safest setting to the cheapest: places among the settings.

    Of the settings that are likely to pass at one level, the cheapest; then at the next, laxer
    level. Each is cheaper than the one before it.

    Args:
        on_fit: What the settings come to on the fitting part.
        aim: What is to be promised.
        num_test: Rows of the testing part.
        price: Of an abstention.
    """
    expected = _expected_p(on_fit, aim, num_test / on_fit.num_rows)
    abstained = on_fit.num_rows - on_fit.accepted.sum(axis=1)
    loss = on_fit.cost + price * abstained
    levels = np.geomspace(max(float(expected.min()), 1e-30), 1.0, _PATH_LEVELS)
    best = [_cheapest(loss, expected <= level * (1 + 1e-9)) for level in levels]
    falling = [best[0]]
    for place in best[1:]:
        if loss[place] < loss[falling[-1]]:
            falling.append(place)
    return np.array(falling)


def _expected_p(on_fit: Tallies, aim: Aim, scale: float) -> Floats:
    """Foresee the p-value on the testing part, with some errors more than were met."""
    accepted, wrong = on_fit.accepted * scale, (on_fit.wrong + _LUCK) * scale
    by_group = np.where(on_fit.accepted > 0, p_values(wrong, accepted, aim.target), 0.0)
    nothing = on_fit.accepted.sum(axis=1) == 0
    return np.where(nothing, 1.0, by_group.max(axis=1))


def _cheapest(loss: Floats, is_allowed: Bools) -> int:
    return int(np.where(is_allowed, loss, np.inf).argmin())


def num_passing(on_test: Tallies, aim: Aim) -> int:
    """Walk the path until a setting fails; say how many passed.

    A label of which nothing is accepted breaks no promise; a setting that accepts nothing at all
    is none.
    """
    by_group = p_values(on_test.wrong, on_test.accepted, aim.target)
    by_group = np.where(on_test.accepted > 0, by_group, 0.0)
    passes = (by_group.max(axis=1) <= 1.0 - aim.confidence) & (on_test.accepted.sum(axis=1) > 0)
    return int(passes.cumprod().sum())


def _unsupported(board: SettingsTable, safest: Floats, aim: Aim, num_test: int) -> Unsupported:
    whole = tally(board, safest)
    accepted, wrong = int(whole.accepted.sum()), int(whole.wrong.sum())
    rate = wrong / accepted if accepted else aim.target
    needed = rows_needed(rate, aim.target, aim.confidence)
    share = accepted / board.num_rows * num_test / board.num_rows
    return Unsupported(
        accepted,
        wrong,
        board.num_rows,
        fewest_rows(aim.target, aim.confidence),
        None if needed is None else int(np.ceil(needed / share)),
    )


def is_never(threshold: float) -> bool:
    """Whether a threshold lets nothing stand."""
    return threshold == NEVER
