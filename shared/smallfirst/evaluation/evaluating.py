"""Evaluating: a cascade and all its alternatives on the same labelled rows. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from smallfirst.acceptance import Acceptance
from smallfirst.evaluation.alternatives import (
    Alternative,
    AskingPlan,
    alone,
    cascade,
    cheapest_equal,
    mixture,
    names_of,
    outcome,
    random_escalation,
    right_rows,
    rivals_of,
)
from smallfirst.evaluation.answers import Answers, answers_of
from smallfirst.evaluation.figures import (
    Confusion,
    Reliability,
    RiskCurve,
    cascade_curve,
    confusion,
    reliability,
    step_curve,
)
from smallfirst.evaluation.foreign_figures import ForeignFigures, foreign_figures
from smallfirst.evaluation.intervals import Interval, mcnemar, of_difference
from smallfirst.evaluation.label_figures import LabelFigures, label_figures
from smallfirst.evaluation.scores import ScoredRow, Scores, StepAbout
from smallfirst.kinds.spec import Part


@dataclass(frozen=True)
class Comparison:
    """The cascade beside one rival, row by row, at the same coverage.

    Attributes:
        rival: The cheapest single step of equal quality, accepting as many answers as the cascade.
        only_cascade: Rows that only the cascade answers rightly.
        only_rival: Rows that only the rival answers rightly.
        difference: Of the shares of right answers, the cascade's less the rival's.
        interval: Of the difference.
        p_value: McNemar's, exact and two-sided.
    """

    rival: Alternative
    only_cascade: int
    only_rival: int
    difference: float
    interval: Interval
    p_value: float


@dataclass(frozen=True)
class StepShare:
    """One step at work in the cascade.

    Attributes:
        about: Which step it is.
        name: For people.
        acceptance: What its answers must reach.
        asked: Rows that come as far.
        answered: Rows that it answers.
        right: Those of them it answers rightly.
        cost: Of a job that comes as far, the mean.
    """

    about: StepAbout
    name: str
    acceptance: Acceptance
    asked: int
    answered: int
    right: int
    cost: float

    @property
    def is_void(self) -> bool:
        """Whether nothing stands, since another revision answers than was calibrated."""
        return self.acceptance.is_void(self.about.revision)


@dataclass(frozen=True)
class RowEnd:
    """How one row ended in the cascade.

    Attributes:
        row: What there is to know of it.
        step: Whose answer was accepted; None where nobody's was.
        confidence: Of that answer, after temperature; 0 where there is none.
        is_right: Whether that answer is right; False where there is none.
    """

    row: ScoredRow
    step: int | None
    confidence: float
    is_right: bool

    @property
    def is_wrong(self) -> bool:
        """Whether an answer was accepted that is not right."""
        return self.step is not None and not self.is_right

    @property
    def parts(self) -> frozenset[Part]:
        """What the accepted answer says."""
        return frozenset() if self.step is None else self.row.said[self.step].parts


@dataclass(frozen=True)
class StepFailures:
    """The texts that one step failed on, so that it answers none of them.

    Attributes:
        name: Of the step.
        step: Its place.
        lines: Of the rows in their file.
        reason: Why, of the first of them.
    """

    name: str
    step: int
    lines: tuple[int, ...]
    reason: str


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation came to.

    Attributes:
        task: Its name.
        currency: Of all costs.
        num_rows: Labelled rows.
        cascade: As the catalogue has it.
        alternatives: Everything else, single steps first.
        comparison: With the cheapest single step of equal quality.
        steps: The cascade's, in their order.
        curves: Risk against coverage, the cascade's first.
        reliabilities: Of the steps whose confidence differs.
        confusion: Where answers are single words.
        labels: The cascade's figures by label, or by field of a record.
        ends: Of the rows, in their order.
        failures: Of the steps that failed on some texts.
        foreign: Of texts that no label fits; None where no row is one and no step looks for them.
    """

    task: str
    currency: str
    num_rows: int
    cascade: Alternative
    alternatives: tuple[Alternative, ...]
    comparison: Comparison
    steps: tuple[StepShare, ...]
    curves: tuple[RiskCurve, ...]
    reliabilities: tuple[Reliability, ...]
    confusion: Confusion | None
    labels: tuple[LabelFigures, ...]
    ends: tuple[RowEnd, ...]
    failures: tuple[StepFailures, ...]
    foreign: ForeignFigures | None = None


def evaluate(
    scores: Scores, acceptances: Sequence[Acceptance], labels: Sequence[str] = ()
) -> Evaluation:
    """Compare a cascade with all that the same models could have done on the same rows.

    Args:
        scores: Of at least one row.
        acceptances: One for each step, as the catalogue has it.
        labels: The task's, in the order to show them.
    """
    answers, names = answers_of(scores, acceptances), names_of(scores.steps)
    plan = cascade(answers)
    singles = [alone(answers, step, name) for step, name in enumerate(names)]
    rivals = rivals_of(answers, plan, singles, names)
    others = _alternatives(answers, plan, singles, rivals)
    curves = [step_curve(answers, step, name) for step, name in enumerate(names)]
    found = [reliability(answers, step, name) for step, name in enumerate(names)]
    ends = _ends(scores, answers, plan)
    return Evaluation(
        task=scores.task,
        currency=scores.currency,
        num_rows=answers.num_rows,
        cascade=outcome(plan, answers),
        alternatives=tuple(outcome(other, answers) for other in others),
        comparison=_compare(answers, plan, rivals),
        steps=tuple(_shares(scores, answers, acceptances, plan, names)),
        curves=tuple(curve for curve in (cascade_curve(answers, plan), *curves) if curve),
        reliabilities=tuple(each for each in found if each),
        confusion=_confusion(scores, plan, labels),
        labels=label_figures(
            [row.parts for row in scores.rows], [end.parts for end in ends], labels
        ),
        ends=ends,
        failures=tuple(_failures(scores, names)),
        foreign=foreign_figures(scores, acceptances, plan.asked, plan.answered),
    )


def _alternatives(
    answers: Answers, plan: AskingPlan, singles: Sequence[AskingPlan], rivals: Sequence[AskingPlan]
) -> list[AskingPlan]:
    # The rivals are the single steps themselves where the cascade answers every row.
    others = [*singles, *(rivals if rivals[0] is not singles[0] else ())]
    if _is_choosing(answers, plan):
        others.append(random_escalation(answers, plan))
    mixed = mixture(answers, outcome(plan, answers).cost, rivals)
    return [*others, mixed] if mixed is not None else others


def _is_choosing(answers: Answers, plan: AskingPlan) -> bool:
    """Whether the cascade escalates some of the answers that a step has, and not all."""
    able = (plan.asked * answers.has_answer).sum(axis=0)
    stands = plan.answered.sum(axis=0)
    return any(0 < stands[step] < able[step] for step in plan.steps[:-1])


def _compare(answers: Answers, plan: AskingPlan, rivals: Sequence[AskingPlan]) -> Comparison:
    outcomes = [outcome(rival, answers) for rival in rivals]
    place = cheapest_equal(outcomes, outcome(plan, answers))
    ours, theirs = right_rows(plan, answers), right_rows(rivals[place], answers)
    first, second = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
    return Comparison(
        rival=outcomes[place],
        only_cascade=first,
        only_rival=second,
        difference=(first - second) / answers.num_rows,
        interval=of_difference(first, second, answers.num_rows),
        p_value=mcnemar(first, second),
    )


def _shares(
    scores: Scores,
    answers: Answers,
    acceptances: Sequence[Acceptance],
    plan: AskingPlan,
    names: Sequence[str],
) -> list[StepShare]:
    asked, answered = plan.asked.sum(axis=0), plan.answered.sum(axis=0)
    right = (plan.answered * answers.is_right).sum(axis=0)
    cost = (plan.asked * answers.costs).sum(axis=0)
    return [
        StepShare(
            about=about,
            name=names[step],
            acceptance=acceptances[step],
            asked=int(asked[step]),
            answered=int(answered[step]),
            right=int(right[step]),
            cost=float(cost[step] / asked[step]) if asked[step] else 0.0,
        )
        for step, about in enumerate(scores.steps)
    ]


def _ends(scores: Scores, answers: Answers, plan: AskingPlan) -> tuple[RowEnd, ...]:
    ends = []
    for number, row in enumerate(scores.rows):
        step = int(plan.answered[number].argmax())
        if plan.answered[number, step]:
            confidence = float(answers.confidences[number, step])
            ends.append(RowEnd(row, step, confidence, bool(answers.is_right[number, step])))
        else:
            ends.append(RowEnd(row, None, 0.0, is_right=False))
    return tuple(ends)


def _failures(scores: Scores, names: Sequence[str]) -> Iterator[StepFailures]:
    for step, name in enumerate(names):
        failed = [row for row in scores.rows if row.said[step].problem]
        if failed:
            reason = failed[0].said[step].problem
            yield StepFailures(name, step, tuple(row.line for row in failed), reason)


def _confusion(scores: Scores, plan: AskingPlan, labels: Sequence[str]) -> Confusion | None:
    said = [[each.said for each in row.said] for row in scores.rows]
    return confusion([row.right for row in scores.rows], said, plan, labels)
