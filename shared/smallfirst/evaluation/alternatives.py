"""Alternatives: what else the same models could have come to on the same rows. Pure.

Every alternative says with what chance each step is asked about each row and with what chance its
answer is the result; the rest is sums. A cascade's chances are 0 and 1, those of one that draws
lots are between, so its figures are exact expectations and no draw is needed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from smallfirst.evaluation.answers import Answers, Bools, Floats
from smallfirst.evaluation.intervals import Interval, of_share
from smallfirst.evaluation.scores import StepAbout

#: Qualities closer than this count as equal: one point.
EQUAL_WITHIN = 0.01


class Way(StrEnum):
    """How an alternative decides who answers a row."""

    CASCADE = "cascade"
    ALONE = "alone"
    SUREST = "surest"
    RANDOM = "random"
    MIXTURE = "mixture"


@dataclass(frozen=True)
class AskingPlan:
    """Who is asked, and whose answer is the result.

    Attributes:
        way: How that was decided.
        name: For people.
        steps: Places of the steps it may ask.
        asked: Chances, `(rows, steps)`.
        answered: Chances, `(rows, steps)`; a row's sum to at most 1.
    """

    way: Way
    name: str
    steps: tuple[int, ...]
    asked: Floats
    answered: Floats


@dataclass(frozen=True)
class Alternative:
    """What a plan came to.

    Attributes:
        way: How it decides.
        name: For people.
        steps: Places of the steps it may ask.
        num_rows: Of the evaluation.
        accepted: Rows that get an answer; expected, where lots are drawn.
        right: Those of them whose answer is right.
        answered_by: Rows by the step that answers, for every step of the cascade.
        cost: Of a job, the mean, in the catalogue's currency.
        seconds: Of workers, the mean of a job.
        latency_seconds: Waited and worked, added up over the steps asked, the mean of a job.
    """

    way: Way
    name: str
    steps: tuple[int, ...]
    num_rows: int
    accepted: float
    right: float
    answered_by: tuple[float, ...]
    cost: float
    seconds: float
    latency_seconds: float

    @property
    def coverage(self) -> float:
        """Share of rows that get an answer."""
        return self.accepted / self.num_rows

    @property
    def accuracy(self) -> float:
        """Share of all rows that get a right answer; an abstention is not one."""
        return self.right / self.num_rows

    @property
    def accuracy_interval(self) -> Interval:
        """Of `accuracy`."""
        return of_share(self.right, self.num_rows)

    @property
    def error(self) -> float | None:
        """Share of accepted answers that are wrong; None where nothing is accepted."""
        return 1.0 - self.right / self.accepted if self.accepted else None

    @property
    def error_interval(self) -> Interval | None:
        """Of `error`."""
        return of_share(self.accepted - self.right, self.accepted) if self.accepted else None

    @property
    def cost_per_million(self) -> float:
        """Of a million jobs, in the catalogue's currency."""
        return self.cost * 1e6

    @property
    def cheapness(self) -> tuple[float, float]:
        """Sorts the cheapest first; where nothing has a price, whoever works least."""
        return (self.cost, self.seconds)


def outcome(plan: AskingPlan, answers: Answers) -> Alternative:
    """Add up what a plan comes to."""
    num_rows = answers.num_rows
    return Alternative(
        way=plan.way,
        name=plan.name,
        steps=plan.steps,
        num_rows=num_rows,
        accepted=_tidy(plan.answered.sum()),
        right=_tidy((plan.answered * answers.is_right).sum()),
        answered_by=tuple(map(_tidy, plan.answered.sum(axis=0))),
        cost=float((plan.asked * answers.costs).sum() / num_rows),
        seconds=float((plan.asked * answers.seconds).sum() / num_rows),
        latency_seconds=float((plan.asked * answers.latencies).sum() / num_rows),
    )


def _tidy(count: float) -> float:
    """Drop what adding chances up leaves behind the comma of a whole count."""
    return round(float(count), 9)


def cascade(answers: Answers) -> AskingPlan:
    """Ask step after step until an answer stands."""
    asked, answered = _nothing(answers), _nothing(answers)
    waiting = np.ones(answers.num_rows, np.bool_)
    for step in _asked_steps(answers):
        asked[:, step] = waiting
        answered[:, step] = waiting & answers.stands[:, step]
        waiting &= ~answers.stands[:, step]
    steps = tuple(_asked_steps(answers))
    return AskingPlan(Way.CASCADE, "the cascade", steps, asked, answered)


def alone(answers: Answers, step: int, name: str) -> AskingPlan:
    """Ask one step and let every answer stand."""
    asked, answered = _nothing(answers), _nothing(answers)
    asked[:, step] = 1.0
    answered[:, step] = answers.has_answer[:, step]
    return AskingPlan(Way.ALONE, f"{name} alone", (step,), asked, answered)


def surest(answers: Answers, step: int, num_accepted: int, name: str) -> AskingPlan:
    """Ask one step and let its surest answers stand, so many of them.

    The cut is made in hindsight, on these very rows, which flatters it a little: the benefit of the
    doubt goes to whatever the cascade is compared with.
    """
    ranked = np.lexsort((answers.order, -answers.confidences[:, step]))
    asked, answered = _nothing(answers), _nothing(answers)
    asked[:, step] = 1.0
    answered[ranked[:num_accepted], step] = 1.0
    answered[:, step] *= answers.has_answer[:, step]
    share = num_accepted / answers.num_rows
    return AskingPlan(
        Way.SUREST, f"{name} alone, its surest {share * 100:.1f} %", (step,), asked, answered
    )


def random_escalation(answers: Answers, like: AskingPlan) -> AskingPlan:
    """Escalate by lot, as often at every step as the cascade does.

    What cannot answer a row, such as a rule without a match, escalates it as in the cascade.
    """
    asked, answered = _nothing(answers), _nothing(answers)
    waiting = np.ones(answers.num_rows)
    for step in like.steps:
        able = waiting * answers.has_answer[:, step]
        wanted = like.answered[:, step].sum()
        chance = min(1.0, wanted / able.sum()) if able.sum() > 0 else 0.0
        asked[:, step] = waiting
        answered[:, step] = able * chance
        waiting = waiting - answered[:, step]
    return AskingPlan(Way.RANDOM, "escalation by lot, as often", like.steps, asked, answered)


def mixture(answers: Answers, cost: float, singles: Sequence[AskingPlan]) -> AskingPlan | None:
    """Send each row by lot to one of two single steps, so that a job costs so much on average.

    Returns:
        Of all pairs the one that is right most often; None where no pair can cost so much.
    """
    plans = list(_mixtures(answers, cost, singles))
    return max(plans, key=lambda plan: outcome(plan, answers).right, default=None)


def _mixtures(answers: Answers, cost: float, singles: Sequence[AskingPlan]) -> Iterator[AskingPlan]:
    priced = sorted(((outcome(plan, answers).cost, plan) for plan in singles), key=lambda at: at[0])
    for place, (low, small) in enumerate(priced):
        for high, large in priced[place + 1 :]:
            if low <= cost <= high and low < high:
                yield _mixed(small, large, (cost - low) / (high - low))


def _mixed(small: AskingPlan, large: AskingPlan, chance: float) -> AskingPlan:
    names = [plan.name.partition(" alone")[0] for plan in (small, large)]
    return AskingPlan(
        Way.MIXTURE,
        f"by lot {100 - 100 * chance:.0f} % to {names[0]}, {100 * chance:.0f} % to {names[1]}",
        (*small.steps, *large.steps),
        (1 - chance) * small.asked + chance * large.asked,
        (1 - chance) * small.answered + chance * large.answered,
    )


def rivals_of(
    answers: Answers, plan: AskingPlan, singles: Sequence[AskingPlan], names: Sequence[str]
) -> list[AskingPlan]:
    """Every single step that has so many answers, accepting as many as the cascade does."""
    accepted = int(plan.answered.sum())
    if accepted == answers.num_rows:
        return list(singles)
    enough = [n for n, has in enumerate(answers.has_answer.sum(axis=0)) if has >= accepted]
    return [surest(answers, n, accepted, names[n]) for n in enough or range(len(names))]


def equal_step(answers: Answers, names: Sequence[str]) -> int | None:
    """Find the cheapest single step of the cascade's quality; None where none comes so near."""
    plan = cascade(answers)
    singles = [alone(answers, step, name) for step, name in enumerate(names)]
    rivals = [outcome(each, answers) for each in rivals_of(answers, plan, singles, names)]
    found = rivals[cheapest_equal(rivals, outcome(plan, answers))]
    is_equal = found.accuracy >= outcome(plan, answers).accuracy - EQUAL_WITHIN
    return found.steps[0] if is_equal else None


def cheapest_equal(rivals: Sequence[Alternative], to: Alternative) -> int:
    """Choose what the cascade must be measured against: the cheapest single step of equal quality.

    Of the single steps within one point of the cascade the cheapest; where none comes so near, the
    cheapest within one point of the best of them. Qualities are shares of right answers at the same
    coverage.

    Args:
        rivals: Single steps, at least one.
        to: The cascade.

    Returns:
        Its place among them.
    """
    best = max(rival.accuracy for rival in rivals)
    bar = to.accuracy - EQUAL_WITHIN if best >= to.accuracy - EQUAL_WITHIN else best - EQUAL_WITHIN
    places = [n for n, rival in enumerate(rivals) if rival.accuracy >= bar]
    return min(places, key=lambda place: rivals[place].cheapness)


def names_of(steps: Sequence[StepAbout]) -> list[str]:
    """Name every step for people: its model, and its place where another has the same."""
    models = [step.model for step in steps]
    return [
        f"{step.model} (step {step.index})" if models.count(step.model) > 1 else step.model
        for step in steps
    ]


def _asked_steps(answers: Answers) -> list[int]:
    return [step for step in range(answers.num_steps) if answers.is_asked[step]]


def _nothing(answers: Answers) -> Floats:
    return np.zeros((answers.num_rows, answers.num_steps))


def right_rows(plan: AskingPlan, answers: Answers) -> Bools:
    """Whether each row gets a right answer, `(rows,)`; of a plan that draws no lots."""
    rights: Bools = (plan.answered * answers.is_right).sum(axis=1) > 0.5
    return rights
