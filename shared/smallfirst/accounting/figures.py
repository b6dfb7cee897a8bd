"""Figures of a report: what the books of some days come to, by task, step and pool. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from smallfirst.accounting.costs import Rival, rivals_of
from smallfirst.catalogue import Catalogue, Task
from smallfirst.jobs import Outcome, Tier
from smallfirst.kinds import KINDS, HeadForm
from smallfirst.ledger.books import IN_VAIN, USES, Cell, DayBook, Spent, Use

#: What workers' time is spent on that no job is charged.
NOT_CHARGED: Final = tuple(use for use in USES if use != "asked")
_NOTHING: Final = Spent()


@dataclass(frozen=True)
class StepFigures:
    """What one step of a task came to.

    Attributes:
        step: Its place in the cascade.
        tier: Its tier; empty where the catalogue has the step no longer.
        name: What it asks.
        num_tried: Jobs that it was asked about, and whose answer it gave in time.
        num_accepted: Those whose answer stood.
        num_in_vain: Attempts whose job had ended before, or went back.
        coverage: The share of the task's jobs that it answered; None where there were none.
        spent: On all of its attempts; of people, seconds alone.
    """

    step: int
    tier: str
    name: str
    num_tried: int
    num_accepted: int
    num_in_vain: int
    coverage: float | None
    spent: Spent

    @property
    def cost_per_thousand(self) -> float | None:
        """Of jobs that it was asked about, those in vain included."""
        return 1000 * self.spent.cost / self.num_tried if self.num_tried else None

    @property
    def cost_per_change(self) -> float | None:
        """What it cost to have one answer changed; None where it changed none."""
        spent, changed = self.spent, self.spent.num_changed
        whole = spent.cost * spent.num_compared / max(1, self.num_tried + self.num_in_vain)
        return whole / changed if changed else None


@dataclass(frozen=True)
class Saving:
    """What a task's jobs cost, beside what another would have, had it been asked about each.

    Attributes:
        rival: Who.
        by_rival: What it would have cost; None where that was not measured.
        spent: What it did cost.
    """

    rival: Rival
    by_rival: float | None
    spent: float

    @property
    def saved(self) -> float | None:
        """In the catalogue's currency; negative where the cascade was the dearer one."""
        return None if self.by_rival is None else self.by_rival - self.spent

    @property
    def share(self) -> float | None:
        """Of what the rival would have cost."""
        return self.saved / self.by_rival if self.saved is not None and self.by_rival else None


@dataclass(frozen=True)
class TaskFigures:
    """What a task came to.

    Attributes:
        task: Its name.
        num_jobs: That ended, answered or not.
        num_answers: That stood.
        steps: That anything is booked of, in order.
        spent: On all attempts.
        llm: Against its large model alone.
        single: Against the cheapest single step of equal quality.
        has_linear: Whether a linear model is among the steps, was compared beside them, or could
            not be.
    """

    task: str
    num_jobs: int
    num_answers: int
    steps: tuple[StepFigures, ...]
    spent: Spent
    llm: Saving
    single: Saving
    has_linear: bool

    @property
    def coverage(self) -> float | None:
        """The share of jobs that was answered."""
        return self.num_answers / self.num_jobs if self.num_jobs else None

    @property
    def cost_per_thousand(self) -> float | None:
        """Of jobs that ended."""
        return 1000 * self.spent.cost / self.num_jobs if self.num_jobs else None


@dataclass(frozen=True)
class PoolFigures:
    """What a pool's workers, or the routers, did with their time.

    Attributes:
        pool: Its name; `@router` for routers.
        uses: What no job is charged, by use.
        asked: What was spent on jobs, as the workers say.
    """

    pool: str
    uses: Mapping[str, Use]
    asked: Use

    @property
    def whole(self) -> Use:
        """All that was paid for."""
        return sum(self.uses.values(), self.asked)


@dataclass(frozen=True)
class Figures:
    """What the books of some days come to.

    Attributes:
        first: The first day (UTC).
        last: The last one.
        currency: Of the costs.
        tasks: Those with most jobs first.
        pools: By name, routers last; none where one task alone is told of.
    """

    first: str
    last: str
    currency: str
    tasks: tuple[TaskFigures, ...]
    pools: tuple[PoolFigures, ...]

    @property
    def spent(self) -> Spent:
        """On jobs of the tasks shown."""
        return sum((each.spent for each in self.tasks), _NOTHING)

    @property
    def not_charged(self) -> Use:
        """What no job is charged, of all pools and routers."""
        return sum((use for pool in self.pools for use in pool.uses.values()), Use())

    @property
    def asked(self) -> Use:
        """What workers and routers say that they spent on jobs."""
        return sum((pool.asked for pool in self.pools), Use())


def figures_of(
    books: Mapping[str, DayBook], catalogue: Catalogue, task: str | None = None
) -> Figures:
    """Work out what the books of some days come to.

    Of one task alone nothing is told of pools: whose their idle time is, nobody can say.
    """
    attempts: dict[Cell, Spent] = {}
    for book in books.values():
        for cell, spent in book.attempts.items():
            attempts[cell] = attempts.get(cell, _NOTHING) + spent
    names = dict.fromkeys(cell.task for cell in attempts if task in {None, cell.task})
    tasks = [_task(name, attempts, catalogue) for name in names]
    tasks.sort(key=lambda each: (-each.num_jobs, each.task))
    days = sorted(books)
    return Figures(
        days[0] if days else "",
        days[-1] if days else "",
        catalogue.currency,
        tuple(tasks),
        tuple(_pools(books.values()) if task is None else ()),
    )


def _task(name: str, attempts: Mapping[Cell, Spent], catalogue: Catalogue) -> TaskFigures:
    own = {cell: spent for cell, spent in attempts.items() if cell.task == name}
    declared = catalogue.tasks.get(name)
    tiers = [str(catalogue.tier_of(step)) for step in declared.cascade] if declared else []
    places = sorted({cell.step for cell in own})
    last = len(tiers) - 1 if tiers else max(places)
    num_answers = _count(own, lambda cell: cell.outcome == Outcome.ACCEPTED)
    num_jobs = num_answers + _count(own, lambda cell: cell.step >= last and _is_unsure(cell))
    steps = tuple(_step(place, own, name, catalogue, num_jobs) for place in places)
    spent = sum(own.values(), _NOTHING)
    llm, single = rivals_of(name, own, catalogue)
    return TaskFigures(
        task=name,
        num_jobs=num_jobs,
        num_answers=num_answers,
        steps=steps,
        spent=spent,
        llm=_saving(llm, num_jobs, spent.cost),
        single=_saving(single, num_jobs, spent.cost),
        has_linear=str(Tier.LINEAR) in tiers or _has_words(declared),
    )


def _has_words(task: Task | None) -> bool:
    """Whether calibration compared a linear model that no step asks, or there is none to compare.

    Of a task that is gone, or runs in shadow, no rival is asked for.
    """
    if task is None or task.shadow is not None:
        return True
    if KINDS[task.kind].head not in {HeadForm.CHOICE, HeadForm.EACH}:
        return True
    found = task.promise.equal_single if task.promise else None
    return found is not None and found.words is not None


def _is_unsure(cell: Cell) -> bool:
    return cell.outcome not in {*IN_VAIN, Outcome.ACCEPTED}


def _count(own: Mapping[Cell, Spent], is_wanted: Callable[[Cell], bool]) -> int:
    return sum(spent.num_attempts for cell, spent in own.items() if is_wanted(cell))


def _step(
    place: int, own: Mapping[Cell, Spent], name: str, catalogue: Catalogue, num_jobs: int
) -> StepFigures:
    here = {cell: spent for cell, spent in own.items() if cell.step == place}
    declared = catalogue.tasks.get(name)
    step = declared.cascade[place] if declared and place < len(declared.cascade) else None
    num_accepted = _count(here, lambda cell: cell.outcome == Outcome.ACCEPTED)
    num_in_vain = _count(here, lambda cell: cell.outcome in IN_VAIN)
    return StepFigures(
        step=place,
        tier=str(catalogue.tier_of(step)) if step else "",
        name=step.name if step else "no longer in the catalogue",
        num_tried=_count(here, lambda cell: cell.outcome not in IN_VAIN),
        num_accepted=num_accepted,
        num_in_vain=num_in_vain,
        coverage=num_accepted / num_jobs if num_jobs else None,
        spent=sum(here.values(), _NOTHING),
    )


def _saving(rival: Rival, num_jobs: int, spent: float) -> Saving:
    by_rival = None if rival.mean is None else num_jobs * rival.mean
    return Saving(rival, by_rival, spent)


def _pools(books: Iterable[DayBook]) -> Sequence[PoolFigures]:
    sums: dict[str, dict[str, Use]] = {}
    for book in books:
        for pool, uses in book.pools.items():
            own = sums.setdefault(pool, {})
            for use, amount in uses.items():
                own[use] = own.get(use, Use()) + amount
    return [
        PoolFigures(
            pool,
            {use: own.get(use, Use()) for use in NOT_CHARGED},
            own.get("asked", Use()),
        )
        for pool, own in sorted(sums.items(), key=lambda item: (item[0].startswith("@"), item[0]))
    ]
