"""Calibration: from what every step said of labelled rows to the promise of a cascade. Pure.

The rows are split by their own hashes, so that nobody can look for a split that suits: the fitting
part gives the temperatures and the candidate settings, the testing part alone decides what is
promised.
"""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

import numpy as np

from smallfirst.acceptance import Acceptance, Thresholds
from smallfirst.catalogue import (
    CALIBRATED,
    Catalogue,
    Cautious,
    EqualSingle,
    MeanStep,
    ModelStep,
    Promise,
    Step,
    StepPromise,
    Task,
    WordsOutside,
    is_to_be_chosen,
    step_specs,
)
from smallfirst.evaluation.alternatives import cascade, equal_step, names_of, outcome, surest
from smallfirst.evaluation.answers import answers_of
from smallfirst.evaluation.bounds import upper_bound
from smallfirst.evaluation.errors import NothingToChoose
from smallfirst.evaluation.references import reference_of
from smallfirst.evaluation.scores import Said, ScoredRow, Scores, StepAbout, templates_of
from smallfirst.evaluation.settings_table import (
    NEVER,
    Bools,
    Floats,
    SettingsTable,
    Tallies,
    settings_table_of,
    tally,
)
from smallfirst.evaluation.temperature import temperature_of_step
from smallfirst.evaluation.thresholds import (
    Aim,
    Chosen,
    Unsupported,
    abstention_cost,
    choose,
    choose_cautious,
    num_to_fit,
)
from smallfirst.jobs import Tier
from smallfirst.kinds import KINDS

#: Fewer rows cannot be split into a part that chooses and one that tests.
FEWEST_ROWS = 10
#: Of fewer rows nothing is compared with a linear model that no step asks.
FEWEST_COMPARED = 30
#: A smaller target is told of where it is smaller by this factor, and the answers are as many but
#: for one in a hundred. So many are tried, from what the rows bound the error to.
_MUCH_SMALLER, _AS_MUCH, _TIGHTER_TRIES, _SMALLEST_TARGET = 1.5, 0.99, 4, 0.0001
#: A rule's answer is certain or none.
_OF_RULES = 1.0


@dataclass(frozen=True)
class Origin:
    """What the promise is made from, besides the scores.

    Attributes:
        catalogue: The team's own.
        made_at: The time, in UTC.
        num_refused: Calibrations of this cascade that were refused before.
        foreign_limit: Of the steps that say `foreign: calibrated`; 1 flags nothing.
        words: What a linear model says that no step asks, of rows left out, by their lines.
    """

    catalogue: Catalogue
    made_at: datetime
    num_refused: int = 0
    foreign_limit: float = 1.0
    words: Mapping[int, Said] = field(default_factory=dict)


def calibrate(scores: Scores, aim: Aim, origin: Origin) -> Promise | Unsupported:
    """Choose the thresholds of a whole cascade, and say what is promised of them.

    Args:
        scores: Of rows that no model of the cascade has learned from.
        aim: What is to be promised.
        origin: The catalogue, and what was tried before.

    Raises:
        NothingToChoose: When the cascade has no threshold to choose, or too few rows.
    """
    task = origin.catalogue.tasks[scores.task]
    check_calibratable(scores.task, task, len(scores.rows), aim)
    said = shuffled(scores)
    scores = without_flagged(said, foreign_limits(task, origin.foreign_limit))
    fixed = _fixed(task)
    num_fit = num_to_fit(
        len(scores.rows), fixed, aim, has_temperature=KINDS[task.kind].is_one_label
    )
    is_fit = fitting_part(scores.rows, num_fit)
    temperatures = _temperatures(scores, task, is_fit)
    board = settings_table_of(
        scores.rows, temperatures, tuple(task.labels) if aim.is_per_label else ()
    )
    chosen = choose(board, is_fit, fixed, aim)
    if isinstance(chosen, Unsupported):
        return chosen
    fitted = _Fitted(board, is_fit, temperatures, chosen)
    promise = _promise(scores, aim, origin, fitted)
    beside = {
        # As a worker would say it: there an answer to a foreign text keeps its confidence.
        "reference": reference_of(_tested(said, is_fit), promise, task),
        "cautious": _cautious(task, aim, fitted),
    }
    return promise.model_copy(update=beside)


def tighter_promise(kept: Promise, scores: Scores, aim: Aim, origin: Origin) -> Promise | None:
    """Find a promise of a smaller target that the same rows bear, and that answers as much.

    Args:
        kept: What they bear with the target that was asked for.
        scores: Of the same rows.
        aim: What was asked for.
        origin: The catalogue, and what was tried before.

    Returns:
        None where none is smaller by a third at least.
    """
    digit = 10.0 ** math.floor(math.log10(max(kept.error_bound, _SMALLEST_TARGET)))
    target = math.ceil(kept.error_bound / digit) * digit
    for step in range(_TIGHTER_TRIES):
        smaller = round(target + step * digit, 6)
        if not _SMALLEST_TARGET <= smaller <= aim.target / _MUCH_SMALLER:
            return None
        found = calibrate(scores, replace(aim, target=smaller), origin)
        if isinstance(found, Promise) and found.share_answered >= _AS_MUCH * kept.share_answered:
            return found
    return None


def shuffled(scores: Scores) -> Scores:
    """Put the rows in an order of chance: the same in whatever order they come."""
    digest = data_digest(scores.rows)
    met: Counter[tuple[str, str]] = Counter()
    ranks: dict[int, bytes] = {}
    for at, row in enumerate(scores.rows):
        who = (row.key, row.right)
        ranks[at] = hashlib.sha256(f"{digest} {who} {met[who]}".encode()).digest()
        met[who] += 1
    return replace(
        scores, rows=tuple(scores.rows[at] for at in sorted(ranks, key=ranks.__getitem__))
    )


def foreign_limits(task: Task, calibrated: float) -> tuple[float | None, ...]:
    """The most that a text may be foreign for each step.

    Args:
        task: Of the catalogue.
        calibrated: For the steps that say `foreign: calibrated`.
    """
    said = (
        step.foreign if isinstance(step, ModelStep | MeanStep) else None for step in task.cascade
    )
    return tuple(calibrated if limit == CALIBRATED else limit for limit in said)


def without_flagged(scores: Scores, limits: Sequence[float | None]) -> Scores:
    """Take the answers away that do not stand because the text is too foreign for its step."""
    if all(limit is None for limit in limits):
        return scores
    judges = [Acceptance(foreign=limit) for limit in limits]

    def kept(said: Said, judge: Acceptance) -> Said:
        if not judge.is_too_foreign(said.foreign):
            return said
        # Without its distribution, too, of which a temperature would make a confidence again.
        return replace(said, confidence=0.0, is_right=False, said="", distribution={})

    rows = (replace(row, said=tuple(map(kept, row.said, judges))) for row in scores.rows)
    return replace(scores, rows=tuple(rows))


def fitting_part(rows: Sequence[ScoredRow], num_rows: int) -> Bools:
    """Pick the rows that choose: `(rows,)`, the first so many.

    Different texts that are alike go where the first of them is, so that no template both chooses
    and tests.
    """
    templates = templates_of(rows)
    place: dict[int, int] = {}
    is_fit = np.zeros(len(rows), np.bool_)
    for at, row in enumerate(rows):
        first = at
        if row.cluster is not None and row.cluster in templates:
            first = place.setdefault(row.cluster, at)
        is_fit[at] = first < num_rows
    return is_fit


@dataclass(frozen=True)
class _Fitted:
    """What was found, and on what."""

    board: SettingsTable
    is_fit: Bools
    temperatures: tuple[float, ...]
    chosen: Chosen


def check_calibratable(name: str, task: Task, num_rows: int, aim: Aim) -> None:
    """See that there is something to choose, before anybody is asked.

    Raises:
        NothingToChoose: When the cascade has no threshold to choose, or too few rows.
    """
    if not any(is_to_be_chosen(task, index) for index in range(len(task.cascade))):
        raise NothingToChoose(name, "has no step with a model, so no threshold to calibrate")
    if aim.is_per_label and not KINDS[task.kind].is_one_label:
        reason = f"is of kind {task.kind}; labels are promised apart only where one is chosen"
        raise NothingToChoose(name, reason)
    if num_rows < FEWEST_ROWS:
        reason = f"has {num_rows} rows left; {FEWEST_ROWS} are the fewest that can be split"
        raise NothingToChoose(name, reason)


def _temperatures(scores: Scores, task: Task, is_fit: Bools) -> tuple[float, ...]:
    fit = [row for row, is_in in zip(scores.rows, is_fit, strict=True) if is_in]
    return tuple(
        temperature_of_step(fit, index)
        if KINDS[task.kind].is_one_label and is_to_be_chosen(task, index)
        else 1.0
        for index in range(len(task.cascade))
    )


def _fixed(task: Task) -> Floats:
    """The threshold of each step that is not to be chosen, else nan: `(steps,)`."""
    return np.array(
        [
            np.nan
            if is_to_be_chosen(task, index)
            else _OF_RULES
            if not step.has_threshold
            else _required(step)
            for index, step in enumerate(task.cascade)
        ]
    )


def _required(step: Step) -> float:
    required = step.acceptance.required(None)
    return NEVER if required is None else required


def _promise(scores: Scores, aim: Aim, origin: Origin, fitted: _Fitted) -> Promise:
    board, chosen = fitted.board, fitted.chosen
    whole = tally(board, chosen.thresholds[None])
    task = origin.catalogue.tasks[scores.task]
    steps = tuple(_steps(scores, aim, origin, fitted, whole))
    return Promise(
        task=scores.task,
        target=aim.target,
        confidence=aim.confidence,
        is_per_label=aim.is_per_label,
        labels_never_accepted=_never_accepted(task, chosen) if aim.is_per_label else (),
        num_rows=board.num_rows,
        num_tested=chosen.num_tested,
        num_distinct=chosen.num_distinct,
        num_accepted=int(chosen.accepted.sum()),
        num_wrong=int(chosen.wrong.sum()),
        error_bound=round(chosen.bound, 6),
        share_answered=round(float(whole.accepted.sum()) / board.num_rows, 6),
        cost_per_job=float(whole.cost[0]) / board.num_rows,
        currency=scores.currency,
        abstention_cost=abstention_cost(board, aim),
        data=data_digest(scores.rows),
        num_refused=origin.num_refused,
        equal_single=_equal_single(scores, fitted, steps, origin.words),
        made_at=origin.made_at,
        steps=steps,
    )


def _equal_single(
    scores: Scores, fitted: _Fitted, steps: Sequence[StepPromise], words: Mapping[int, Said]
) -> EqualSingle:
    """The cheapest single step of equal quality, on the rows that chose nothing."""
    tested, acceptances = _tested(scores, fitted.is_fit), [step.acceptance for step in steps]
    answers = answers_of(tested, acceptances)
    step = equal_step(answers, names_of(scores.steps))
    return EqualSingle(step=step, words=words_outside(tested, acceptances, words))


def words_outside(
    tested: Scores, acceptances: Sequence[Acceptance], words: Mapping[int, Said]
) -> WordsOutside | None:
    """Compare a cascade with a linear model that it does not ask, on the rows that have both.

    Args:
        tested: What the cascade's steps said of rows that chose nothing.
        acceptances: Of each step.
        words: What the linear model said of rows, by their lines.

    Returns:
        None of too few rows.
    """
    rows = [row for row in tested.rows if row.line in words]
    if len(rows) < FEWEST_COMPARED:
        return None
    about = StepAbout(len(tested.steps), Tier.LINEAR, "a linear model", "")
    beside = (replace(row, said=(*row.said, words[row.line])) for row in rows)
    both = replace(tested, steps=(*tested.steps, about), rows=tuple(beside))
    answers = answers_of(both, [*acceptances, Acceptance(threshold="never")])
    plan, names = cascade(answers), names_of(both.steps)
    alone = surest(answers, about.index, int(plan.answered.sum()), names[about.index])
    return WordsOutside(
        num_rows=len(rows),
        share_right=round(outcome(alone, answers).accuracy, 6),
        share_right_of_cascade=round(outcome(plan, answers).accuracy, 6),
        seconds=words[rows[0].line].seconds,
        is_cheapest=equal_step(answers, names) == about.index,
    )


def _tested(scores: Scores, is_fit: Bools) -> Scores:
    rows = (row for row, is_in in zip(scores.rows, is_fit, strict=True) if not is_in)
    return replace(scores, rows=tuple(rows))


def _steps(
    scores: Scores, aim: Aim, origin: Origin, fitted: _Fitted, whole: Tallies
) -> Iterator[StepPromise]:
    task = origin.catalogue.tasks[scores.task]
    specs = step_specs(task, origin.catalogue.models)
    limits = foreign_limits(task, origin.foreign_limit)
    tested = tally(fitted.board.part(~fitted.is_fit), fitted.chosen.thresholds[None])
    for index, about in enumerate(scores.steps):
        thresholds = fitted.chosen.thresholds[index]
        accepted = int(tested.by_step[0, index])
        wrong = int(tested.wrong_by_step[0, index])
        yield StepPromise(
            tier=about.tier,
            model=about.model,
            spec=specs[index],
            acceptance=Acceptance(
                threshold=_lowest(thresholds),
                by_label=_by_label_of_step(task, aim, index, thresholds),
                temperature=fitted.temperatures[index],
                revision=about.revision,
                foreign=limits[index],
            ),
            share_answered=round(float(whole.by_step[0, index]) / fitted.board.num_rows, 6),
            num_tested=accepted,
            num_wrong=wrong,
            error_bound=round(upper_bound(wrong, accepted, aim.confidence), 6),
        )


def _cautious(task: Task, aim: Aim, fitted: _Fitted) -> Cautious:
    """The thresholds that keep half of the target; where the rows bear none, nothing stands."""
    board, promised, fixed = fitted.board, fitted.chosen.thresholds, _fixed(task)
    half = replace(aim, target=aim.target / 2)
    found = choose_cautious(board, fitted.is_fit, fixed, half, promised)
    if found is None:
        found = np.where(np.isnan(fixed)[:, None], NEVER, promised)
    whole = tally(board, found[None])
    return Cautious(
        target=half.target,
        share_answered=round(float(whole.accepted.sum()) / board.num_rows, 6),
        thresholds=tuple(
            Thresholds(threshold=_lowest(each), by_label=_by_label_of_step(task, aim, step, each))
            for step, each in enumerate(found)
        ),
    )


def _by_label_of_step(
    task: Task, aim: Aim, step: int, thresholds: Floats
) -> dict[str, float] | None:
    """The thresholds of each label, where labels are promised apart."""
    is_split = aim.is_per_label and is_to_be_chosen(task, step)
    return _by_label(task, thresholds) if is_split else None


def _lowest(thresholds: Floats) -> float | Literal["never"]:
    lowest = float(thresholds.min())
    return "never" if lowest == NEVER else lowest


def _by_label(task: Task, thresholds: Floats) -> dict[str, float]:
    pairs = zip(task.labels, thresholds.tolist(), strict=True)
    return {label: threshold for label, threshold in pairs if threshold != NEVER}


def _never_accepted(task: Task, chosen: Chosen) -> tuple[str, ...]:
    is_never = np.isinf(chosen.thresholds[np.isnan(_fixed(task))]).all(axis=0)  # (labels,)
    never = is_never & (chosen.accepted == 0)
    return tuple(label for label, out in zip(task.labels, never, strict=True) if out)


def data_digest(rows: Sequence[ScoredRow]) -> str:
    """Hash which rows there were; in what order they came does not count."""
    known = sorted([row.key, row.right] for row in rows)
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()[:16]
