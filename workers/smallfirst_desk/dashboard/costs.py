"""Costs: what answers cost, beside what they would have, had a large model given each. Pure.

Only what is booked is known. A large model's cost is the mean of what its own attempts on this very
task cost; where there are too few, nothing is said. It is asked what the steps before were not sure
of, so that its mean may be that of the harder texts.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from smallfirst.catalogue import Catalogue, Task
from smallfirst.jobs import Outcome, Tier
from smallfirst.ledger.books import Book, Cell, Spent

#: Of fewer attempts no mean is told.
FEWEST_ATTEMPTS: Final = 30


@dataclass(frozen=True)
class Cost:
    """What a task's answers cost.

    Attributes:
        task: Its name.
        num_answers: How many stood, of whichever tier.
        spent: On all attempts, in the catalogue's currency.
        num_llm_attempts: How many of them were a large model's.
        llm_cost: Of one of these, the mean; None where it is not known.
        why_not: Why it is not known.
    """

    task: str
    num_answers: int
    spent: float
    num_llm_attempts: int
    llm_cost: float | None
    why_not: str = ""

    @property
    def all_llm(self) -> float | None:
        """What as many answers of the large model would have cost."""
        return None if self.llm_cost is None else self.num_answers * self.llm_cost

    @property
    def share(self) -> float | None:
        """What was spent, as a share of that: above 1 where it was dearer."""
        return self.spent / self.all_llm if self.all_llm else None


def costs_of(books: Iterable[Book], tasks: Iterable[str], catalogue: Catalogue) -> list[Cost]:
    """What the answers of tasks cost on some days: those with most answers first."""
    days = list(books)
    costs = [_cost(name, days, catalogue) for name in tasks if name in catalogue.tasks]
    costs.sort(key=lambda cost: (-cost.num_answers, cost.task))
    return [cost for cost in costs if cost.num_answers or cost.spent]


def _cost(name: str, days: Iterable[Book], catalogue: Catalogue) -> Cost:
    booked = _booked(name, days)
    llm = _llm_steps(catalogue.tasks[name], catalogue)
    tried = sum((each for cell, each in booked.items() if cell.step in llm), Spent())
    accepted = (each for cell, each in booked.items() if cell.outcome == Outcome.ACCEPTED)
    why_not = _why_not(llm, tried)
    return Cost(
        task=name,
        num_answers=sum(each.num_attempts for each in accepted),
        spent=sum(each.cost for each in booked.values()),
        num_llm_attempts=tried.num_attempts,
        llm_cost=None if why_not else tried.cost / tried.num_attempts,
        why_not=why_not,
    )


def _booked(name: str, days: Iterable[Book]) -> Mapping[Cell, Spent]:
    found: dict[Cell, Spent] = {}
    for book in days:
        for cell, spent in book.items():
            if cell.task == name:
                found[cell] = found.get(cell, Spent()) + spent
    return found


def _llm_steps(task: Task, catalogue: Catalogue) -> frozenset[int]:
    steps = enumerate(task.cascade)
    return frozenset(at for at, step in steps if catalogue.tier_of(step) is Tier.LLM)


def _why_not(llm: frozenset[int], tried: Spent) -> str:
    if not llm:
        return "no step asks a large model"
    if tried.num_attempts < FEWEST_ATTEMPTS:
        return (
            f"a large model was asked {tried.num_attempts} times, and {FEWEST_ATTEMPTS} are needed"
        )
    return "" if tried.cost > 0 else "the catalogue gives the large model no price"
