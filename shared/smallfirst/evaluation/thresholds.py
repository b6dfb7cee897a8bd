"""Choosing a cascade's thresholds so that a promise about its errors holds. Pure.

Where one threshold is to be chosen, all rows test: see `ranks`. Where there are several, the rows
are split. On the *fitting* part candidate settings are compared, and a path of them is laid from
the safest to the cheapest. On the *testing* part the settings of that path are tested one after the
other, each by an exact binomial test, and the first that fails ends it. Nothing about the path was
chosen on the testing part, so the chance that a setting which breaks the promise passes is at most
1 - confidence, however many settings were looked at.

Each test is made twice, and has to pass twice: with every row, since what comes often weighs more,
and with one row of those that are alike, since a template that was drawn once tells little.

Source: fixed sequence testing in Learn then Test, Angelopoulos, Bates, Candes, Jordan and Lei 2021,
arXiv:2110.01052, section 3; selective risk as in Geifman and El-Yaniv 2017, arXiv:1705.08500. Where
every label is promised for itself, a setting passes when each label's test does: that some label
breaks it is a union of hypotheses, and the largest of the p-values tests that (Berger 1982).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from smallfirst.evaluation.bounds import fewest_rows, p_values, rows_needed, upper_bound
from smallfirst.evaluation.candidates import joint_settings, settings_by_label
from smallfirst.evaluation.intervals import of_share
from smallfirst.evaluation.ranks import (
    Ranked,
    is_one_threshold,
    last_passing,
    nearest,
    ranked,
    threshold_at,
)
from smallfirst.evaluation.settings_table import (
    NEVER,
    Bools,
    Floats,
    Ints,
    SettingsTable,
    Tallies,
    tally,
)

#: Which share of the rows chooses settings, so that the rest can test.
FIT_SHARE = 0.3
#: Which share fits the temperature where no setting has to be chosen, and the most it takes.
TEMPERATURE_SHARE, MOST_FOR_TEMPERATURE = 0.1, 200
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
        num_distinct: As many of them as there are where rows that are alike count once.
    """

    thresholds: Floats
    accepted: Floats
    wrong: Floats
    bound: float
    num_tested: int
    num_distinct: int


@dataclass(frozen=True)
class RowsNeeded:
    """How many rows in all would do, most likely.

    Attributes:
        low: Where the errors that were met are more than the setting's own.
        high: Where they are fewer; None where no number would do then.
    """

    low: int
    high: int | None

    def times(self, factor: float) -> "RowsNeeded":
        """As many for each of these."""
        return RowsNeeded(ceil(self.low * factor), self.high and ceil(self.high * factor))


@dataclass(frozen=True)
class Unsupported:
    """The rows do not bear the promise.

    Attributes:
        accepted: Answers that the setting accepts which came nearest to it.
        wrong: Those of them that are wrong.
        num_rows: All rows.
        num_distinct: As many of them as there are where rows that are alike count once.
        fewest: Accepted rows in testing that it takes with not one error.
        rows_needed: Rows in all; None where no number would do.
    """

    accepted: int
    wrong: int
    num_rows: int
    num_distinct: int
    fewest: int
    rows_needed: RowsNeeded | None


def num_to_fit(num_rows: int, fixed: Floats, aim: Aim, *, has_temperature: bool) -> int:
    """How many of the rows choose, so that all others can test.

    Args:
        num_rows: All of them.
        fixed: `(steps,)`, the threshold of each step that is not to be chosen; else nan.
        aim: What is to be promised.
        has_temperature: Whether a temperature is to be fitted.
    """
    if aim.is_per_label or not is_one_threshold(fixed):
        return round(FIT_SHARE * num_rows)
    return min(MOST_FOR_TEMPERATURE, round(TEMPERATURE_SHARE * num_rows)) if has_temperature else 0


def choose(board: SettingsTable, is_fit: Bools, fixed: Floats, aim: Aim) -> Chosen | Unsupported:
    """Find the cheapest setting that the rows bear.

    Args:
        board: All rows, exchangeable with those to come, in an order of chance.
        is_fit: `(rows,)`, the fitting part, picked without a look at the scores.
        fixed: `(steps,)`, the threshold of each step that is not to be chosen; else nan.
        aim: What is to be promised.
    """
    if is_one_threshold(fixed) and not aim.is_per_label:
        return _choose_one(board, board.part(~is_fit), fixed, aim)
    return _choose_several(board, is_fit, fixed, aim)


def choose_cautious(
    board: SettingsTable, is_fit: Bools, fixed: Floats, aim: Aim, promised: Floats
) -> Floats | None:
    """Find the cheapest setting that keeps a smaller target, and lets stand no answer besides.

    Every setting that passes keeps the target, so that any of them may be taken.

    Args:
        board: As `choose` had it.
        is_fit: The same.
        fixed: The same.
        aim: What the setting is to keep; its target is smaller than what is promised.
        promised: `(steps, groups)`, the setting that was promised.

    Returns:
        `(steps, groups)`; None where the rows bear no such setting.
    """
    if is_one_threshold(fixed) and not aim.is_per_label:
        rows = ranked(board.part(~is_fit), fixed)
        last = last_passing(rows, aim.target, aim.confidence)
        passing = [] if last is None else [_with_threshold(rows, last, fixed)]
    else:
        passing = list(_walked(board, is_fit, fixed, aim).passing)
    stricter = [each for each in passing if (each >= promised).all()]
    return stricter[-1] if stricter else None


def _choose_one(
    board: SettingsTable, test: SettingsTable, fixed: Floats, aim: Aim
) -> Chosen | Unsupported:
    rows = ranked(test, fixed)
    last = last_passing(rows, aim.target, aim.confidence)
    if last is None:
        return _unsupported(board, *nearest(rows, aim.target), aim)
    setting = _with_threshold(rows, last, fixed)
    return _chosen(test, setting, tally(test, setting[None]), aim)


def _with_threshold(rows: Ranked, rank: int, fixed: Floats) -> Floats:
    """The setting that accepts the answers down to a rank: `(steps, 1)`."""
    setting: Floats = np.where(np.isnan(fixed), threshold_at(rows, rank), fixed)[:, None]
    return setting


@dataclass(frozen=True)
class _Walked:
    """A path that was walked.

    Attributes:
        settings: `(path, steps, groups)`, the safest first.
        num_passed: How many of them passed.
    """

    settings: Floats
    num_passed: int

    @property
    def passing(self) -> Floats:
        """Those that passed."""
        return self.settings[: self.num_passed]


def _walked(board: SettingsTable, is_fit: Bools, fixed: Floats, aim: Aim) -> _Walked:
    """Lay the path on the fitting part, and test it on the other."""
    fit, test = board.part(is_fit), board.part(~is_fit)
    settings = _candidates(fit, fixed, aim, test.num_rows)
    may_stand = np.any(np.isfinite(settings[:, np.isnan(fixed)]), axis=1)  # (settings, groups)
    price = abstention_cost(fit, aim)
    path = path_of(tally(fit, settings), may_stand, aim, test.num_rows, price)
    tested = [tally(each, settings[path]) for each in (test, test.distinct())]
    return _Walked(settings[path], num_passing(tested, may_stand[path], aim))


def _choose_several(
    board: SettingsTable, is_fit: Bools, fixed: Floats, aim: Aim
) -> Chosen | Unsupported:
    test, walked = board.part(~is_fit), _walked(board, is_fit, fixed, aim)
    if not walked.num_passed:
        whole = tally(board, walked.settings[:1])
        met = int(whole.accepted.sum()), int(whole.wrong.sum())
        return _unsupported(board, *met, aim, share_tested=test.num_rows / board.num_rows)
    setting = walked.passing[-1]
    return _chosen(test, setting, tally(test, setting[None]), aim)


def _chosen(test: SettingsTable, setting: Floats, on_test: Tallies, aim: Aim) -> Chosen:
    accepted, wrong = on_test.accepted[0], on_test.wrong[0]
    bound = upper_bound(int(wrong.sum()), int(accepted.sum()), aim.confidence)
    return Chosen(setting, accepted, wrong, bound, test.num_rows, test.distinct().num_rows)


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


def path_of(on_fit: Tallies, may_stand: Bools, aim: Aim, num_test: int, price: float) -> Ints:
    """Lay the path from the safest setting to the cheapest: places among the settings.

    Of the settings that are likely to pass at one level, the cheapest; then at the next, laxer
    level. Each is cheaper than the one before it.

    Args:
        on_fit: What the settings come to on the fitting part.
        may_stand: `(settings, groups)`, whether a threshold that was chosen lets the group stand.
        aim: What is to be promised.
        num_test: Rows of the testing part.
        price: Of an abstention.
    """
    expected = _expected_p(on_fit, may_stand, aim, num_test / on_fit.num_rows)
    abstained = on_fit.num_rows - on_fit.accepted.sum(axis=1)
    loss = on_fit.cost + price * abstained
    levels = np.geomspace(max(float(expected.min()), 1e-30), 1.0, _PATH_LEVELS)
    best = [_cheapest(loss, expected <= level * (1 + 1e-9)) for level in levels]
    falling = [best[0]]
    for place in best[1:]:
        if loss[place] < loss[falling[-1]]:
            falling.append(place)
    return np.array(falling)


def _expected_p(on_fit: Tallies, may_stand: Bools, aim: Aim, scale: float) -> Floats:
    """Foresee the p-value on the testing part, with some errors more than were met."""
    accepted, wrong = on_fit.accepted * scale, (on_fit.wrong + _LUCK) * scale
    return _largest(wrong, accepted, may_stand, aim)


def _largest(wrong: Floats, accepted: Floats, may_stand: Bools, aim: Aim) -> Floats:
    """The largest p-value of a setting's groups: `(settings,)`.

    A group that cannot stand breaks no promise. One that can, and of which nothing is accepted, was
    not tested; a setting that accepts nothing at all is none.
    """
    untested = np.where(may_stand, 1.0, 0.0)
    by_group = np.where(accepted > 0, p_values(wrong, accepted, aim.target), untested)
    largest: Floats = np.where(accepted.sum(axis=1) > 0, by_group.max(axis=1), 1.0)
    return largest


def _cheapest(loss: Floats, is_allowed: Bools) -> int:
    return int(np.where(is_allowed, loss, np.inf).argmin())


def num_passing(tested: Sequence[Tallies], may_stand: Bools, aim: Aim) -> int:
    """Walk the path until a setting fails; say how many passed.

    Args:
        tested: What the settings of the path come to: on the testing part, and on its rows where
            those that are alike count once.
        may_stand: `(settings, groups)`, whether a threshold that was chosen lets the group stand.
        aim: What is to be promised.
    """
    values = [_largest(each.wrong, each.accepted, may_stand, aim) for each in tested]
    passes = np.maximum.reduce(values) <= 1.0 - aim.confidence
    return int(passes.cumprod().sum())


def _unsupported(
    board: SettingsTable, accepted: int, wrong: int, aim: Aim, *, share_tested: float = 1.0
) -> Unsupported:
    """Say what came nearest.

    Args:
        board: All rows.
        accepted: Answers that the nearest setting accepts.
        wrong: Those of them that are wrong.
        aim: What was to be promised.
        share_tested: The share of those answers that a test can count.
    """
    needed = _rows_needed(accepted, wrong, aim) if accepted else None
    # So many rows in all stand for one that is accepted in testing.
    times = board.num_rows / accepted / share_tested if accepted else 0.0
    return Unsupported(
        accepted,
        wrong,
        board.num_rows,
        board.distinct().num_rows,
        fewest_rows(aim.target, aim.confidence),
        needed and needed.times(times),
    )


def _rows_needed(accepted: int, wrong: int, aim: Aim) -> RowsNeeded | None:
    """How many accepted rows it takes at either end of the interval of their error rate."""
    rates = of_share(wrong, accepted)
    low, high = (rows_needed(rate, aim.target, aim.confidence) for rate in (rates.low, rates.high))
    return None if low is None else RowsNeeded(low, high)


def is_never(threshold: float) -> bool:
    """Whether a threshold lets nothing stand."""
    return threshold == NEVER
