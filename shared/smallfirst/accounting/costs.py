"""Costs: what answers cost, beside what others would have, had they given each of them. Pure.

Only what is booked is known. What another costs is the mean of its own attempts on this very task;
where there are too few, nothing is said. It is asked what the steps before were not sure of, so
that its mean may be that of the harder texts.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from smallfirst.catalogue import Catalogue, Task, WordsOutside
from smallfirst.catalogue.placement import words_price_per_hour
from smallfirst.jobs import Outcome, Tier
from smallfirst.ledger.books import Book, Cell, Spent

#: Of fewer attempts no mean is told.
FEWEST_ATTEMPTS: Final = 30


@dataclass(frozen=True)
class Rival:
    """Who could have given every answer.

    Attributes:
        name: What it is called.
        mean: What one of its attempts costs, in the catalogue's currency; None where not known.
        why_not: Why it is not known.
    """

    name: str = ""
    mean: float | None = None
    why_not: str = ""


@dataclass(frozen=True)
class Cost:
    """What a task's answers cost.

    Attributes:
        task: Its name.
        num_answers: How many stood, of whichever tier.
        spent: On all attempts, in the catalogue's currency.
        llm: The task's large model.
        single: The cheapest single model that calibration found to be as good.
    """

    task: str
    num_answers: int
    spent: float
    llm: Rival
    single: Rival

    def by(self, rival: Rival) -> float | None:
        """What as many answers of a rival would have cost."""
        return None if rival.mean is None else self.num_answers * rival.mean

    def share(self, rival: Rival) -> float | None:
        """What was spent, as a share of that: above 1 where it was dearer."""
        whole = self.by(rival)
        return self.spent / whole if whole else None


def costs_of(books: Iterable[Book], tasks: Iterable[str], catalogue: Catalogue) -> list[Cost]:
    """What the answers of tasks cost on some days: those with most answers first."""
    days = list(books)
    costs = [_cost(name, days, catalogue) for name in tasks if name in catalogue.tasks]
    costs.sort(key=lambda cost: (-cost.num_answers, cost.task))
    return [cost for cost in costs if cost.num_answers or cost.spent]


def _cost(name: str, days: Iterable[Book], catalogue: Catalogue) -> Cost:
    task, booked = catalogue.tasks[name], _booked(name, days)
    accepted = (each for cell, each in booked.items() if cell.outcome == Outcome.ACCEPTED)
    llm, single = _rivals(task, catalogue, booked)
    return Cost(
        task=name,
        num_answers=sum(each.num_attempts for each in accepted),
        spent=sum(each.cost for each in booked.values()),
        llm=llm,
        single=single,
    )


def rivals_of(name: str, booked: Mapping[Cell, Spent], catalogue: Catalogue) -> tuple[Rival, Rival]:
    """A task's large model, and the cheapest single step of equal quality: what each costs."""
    task = catalogue.tasks.get(name)
    if task is None:
        gone = Rival(why_not="the catalogue has the task no longer")
        return gone, gone
    return _rivals(task, catalogue, booked)


def _rivals(task: Task, catalogue: Catalogue, booked: Mapping[Cell, Spent]) -> tuple[Rival, Rival]:
    if task.shadow is not None:
        # Its answers replace nobody's: what it costs comes on top.
        unseen = Rival(
            why_not=f"it runs in shadow of {task.shadow.of}, and nobody gets its answers"
        )
        return unseen, unseen
    single = _single(task, booked, words_price_per_hour(catalogue))
    return _llm(task, catalogue, booked), single


def _booked(name: str, days: Iterable[Book]) -> Mapping[Cell, Spent]:
    found: dict[Cell, Spent] = {}
    for book in days:
        for cell, spent in book.items():
            if cell.task == name:
                found[cell] = found.get(cell, Spent()) + spent
    return found


def _llm(task: Task, catalogue: Catalogue, booked: Mapping[Cell, Spent]) -> Rival:
    steps = enumerate(task.cascade)
    places = [at for at, step in steps if catalogue.tier_of(step) is Tier.LLM]
    return _rival("a large model", places, booked) if places else Rival(why_not="no step asks one")


def _single(task: Task, booked: Mapping[Cell, Spent], price_per_hour: float) -> Rival:
    """The strongest single model of equal quality, be it one that no step asks.

    Args:
        task: Of the catalogue.
        booked: Of its attempts.
        price_per_hour: Of whoever would answer by a linear model.
    """
    found = task.promise.equal_single if task.promise is not None else None
    if found is None:
        return Rival(why_not="calibration has not told which is equal")
    if found.words is not None and found.words.is_cheapest:
        return _words(found.words, price_per_hour)
    if found.step is None or found.step >= len(task.cascade):
        return Rival(why_not="none is equal")
    return _rival(task.cascade[found.step].name, [found.step], booked)


def _words(words: WordsOutside, price_per_hour: float) -> Rival:
    """A linear model that no step asks: its seconds were measured when the promise was made."""
    name = "a linear model that no step asks"
    if price_per_hour <= 0:
        return Rival(name, why_not="the catalogue gives neither routers nor pools a price")
    return Rival(name, words.seconds * price_per_hour / 3600)


def _rival(name: str, steps: Collection[int], booked: Mapping[Cell, Spent]) -> Rival:
    tried = sum((each for cell, each in booked.items() if cell.step in steps), Spent())
    if tried.num_attempts < FEWEST_ATTEMPTS:
        why = f"{name} was asked {tried.num_attempts} times, and {FEWEST_ATTEMPTS} are needed"
        return Rival(name, why_not=why)
    if tried.cost <= 0:
        return Rival(name, why_not=f"the catalogue gives {name} no price")
    return Rival(name, tried.cost / tried.num_attempts)
