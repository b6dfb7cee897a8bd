"""Choosing a cascade among all orders of the candidates, on rows that will not promise. Pure.

The thresholds of every order are those that calibration would choose. Of the orders that answer as
many rows at the target as the best one, or fewer by a hundredth, the cheapest is chosen, and of
equally cheap ones the shortest.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import combinations
from typing import Final

from smallfirst.catalogue import Catalogue, Promise
from smallfirst.evaluation.alternatives import EQUAL_WITHIN
from smallfirst.evaluation.calibrating import FEWEST_ROWS, Origin, calibrate
from smallfirst.evaluation.scores import ScoredRow, Scores, StepAbout
from smallfirst.evaluation.thresholds import Aim
from smallfirst.fitting.asking import catalogue_of
from smallfirst.fitting.candidates import Candidate, Offer, task_of
from smallfirst.fitting.drafting import Written
from smallfirst.jobs import Tier

#: Larger targets that are tried where rows do not bear the one that is asked for.
LADDER: Final = (0.3, 0.2, 0.1, 0.05)
#: How sure a choice must be of a target: as likely as not. It promises nothing.
_AS_LIKELY_AS_NOT: Final = 0.5
#: A cascade of more models is not looked at: each further one would answer hardly a row.
_MOST_MODELS: Final = 3


@dataclass(frozen=True)
class Choice:
    """A cascade, and what it came to where it was chosen.

    Attributes:
        places: Of the candidates, in the cascade's order.
        target: That these rows bear; None where they bear none, and it is the most accurate step.
        share_answered: At that target.
        cost: Of a job.
    """

    places: tuple[int, ...]
    target: float | None
    share_answered: float
    cost: float

    def among(self, places: Sequence[int]) -> "Choice":
        """The same, of more candidates, of which these were asked."""
        return replace(self, places=tuple(places[at] for at in self.places))


def targets_from(target: float) -> tuple[float, ...]:
    """The targets to try, the largest first, down to the one that is asked for."""
    return (*(each for each in LADDER if each > target), target)


def choose(
    scores: Scores, offer: Offer, written: Written, target: float
) -> tuple[Choice, tuple[Choice, ...]]:
    """Choose a cascade by what all candidates said of rows that they had not learned from.

    Args:
        scores: A step for each candidate of the offer, in its order.
        offer: The candidates.
        written: The task, without cascade and examples.
        target: The largest share of answers that may be wrong.

    Returns:
        The cascade, and all that it was chosen from.
    """
    orders = list(orders_of(scores, offer.candidates))
    if len(scores.rows) >= FEWEST_ROWS:
        for aimed in reversed(targets_from(target)):
            found = [
                choice
                for order in orders
                if (choice := _outcome(scores, offer, written, order, aimed)) is not None
            ]
            if found:
                return cheapest(found), tuple(dict.fromkeys(found))
    singles = _singles(scores, offer.candidates)
    return cheapest(singles), tuple(singles)


def orders_of(scores: Scores, candidates: Sequence[Candidate]) -> Iterator[tuple[int, ...]]:
    """Every cascade of the candidates, cheapest first, that asks a model at all.

    Rules stand first and come all together; of one model, the largest that
    a step asks, a cascade asks one variant.
    """
    rules = tuple(n for n, each in enumerate(candidates) if each.tier is Tier.RULE)
    models = [n for n, each in enumerate(candidates) if each.tier is not Tier.RULE]
    models.sort(key=lambda n: (candidates[n].tier.rank, *_expense(scores, n)))
    for size in range(1, _MOST_MODELS + 1):
        for chosen in combinations(models, size):
            asked = [candidates[n].models[-1] for n in chosen]
            if len(set(asked)) == len(asked):
                yield chosen
                if rules:
                    yield (*rules, *chosen)


def cheapest(found: Sequence[Choice]) -> Choice:
    """Choose the cheapest of those that answer as many rows as the best, but for a hundredth."""
    most = max(each.share_answered for each in found)
    as_good = [each for each in found if each.share_answered >= most - EQUAL_WITHIN]
    return min(as_good, key=lambda each: (each.cost, len(each.places), -each.share_answered))


def part_of(scores: Scores, places: Sequence[int]) -> Scores:
    """The same rows, asked of some of the steps alone."""
    steps = tuple(replace(scores.steps[at], index=n) for n, at in enumerate(places))
    rows = tuple(replace(row, said=tuple(row.said[at] for at in places)) for row in scores.rows)
    return replace(scores, steps=steps, rows=rows)


def about(offer: Offer, revisions: Sequence[str]) -> tuple[StepAbout, ...]:
    """Which step each candidate is."""
    return tuple(
        StepAbout(index, each.tier, each.step_name, revision)
        for index, (each, revision) in enumerate(zip(offer.candidates, revisions, strict=True))
    )


def _outcome(
    scores: Scores, offer: Offer, written: Written, order: tuple[int, ...], target: float
) -> Choice | None:
    catalogue = _catalogue(offer, scores.task, written, order)
    origin = Origin(catalogue, datetime.now(UTC).replace(microsecond=0))
    aim = Aim(target, _AS_LIKELY_AS_NOT)
    found = calibrate(part_of(scores, order), aim, origin)
    if not isinstance(found, Promise):
        return None
    kept = tuple(
        at for at, step in zip(order, found.steps, strict=True) if not step.acceptance.is_never
    )
    return Choice(kept, target, found.share_answered, found.cost_per_job)


def _catalogue(offer: Offer, name: str, written: Written, order: tuple[int, ...]) -> Catalogue:
    candidates = tuple(offer.candidates[at] for at in order)
    return catalogue_of(offer, name, task_of(written, candidates))


def _singles(scores: Scores, candidates: Sequence[Candidate]) -> list[Choice]:
    """Each model alone with the share of rows that it has right, where no target is borne."""
    num_rows = max(1, len(scores.rows))
    return [
        Choice((n,), None, _num_right(scores.rows, n) / num_rows, _expense(scores, n)[0])
        for n, each in enumerate(candidates)
        if each.tier is not Tier.RULE
    ]


def _num_right(rows: Sequence[ScoredRow], step: int) -> int:
    return sum(row.said[step].is_right for row in rows)


def _expense(scores: Scores, step: int) -> tuple[float, float]:
    """What a step costs on average, and how long a worker takes."""
    said = [row.said[step] for row in scores.rows]
    num_rows = max(1, len(said))
    return sum(s.cost for s in said) / num_rows, sum(s.seconds for s in said) / num_rows
