"""What a report says in words, losses as plainly as gains. Pure."""

from collections.abc import Iterator
from typing import Final

from smallfirst.accounting.figures import Figures, PoolFigures, Saving, StepFigures, TaskFigures
from smallfirst.evaluation.amounts import percent, price
from smallfirst.ledger.books import Use
from smallfirst.ledger.keys import ROUTERS

#: What each use of a worker's time is called.
USES: Final = {
    "asked": "asked for jobs",
    "lost": "lost passes",
    "handling": "handling",
    "idle": "idle",
    "loading": "loading",
}
#: How far the books of jobs and those of workers may differ: some passes are under way.
DIFFER_WITHIN: Final = 0.01


def saving_words(saving: Saving, currency: str) -> str:
    """Say what was saved against somebody, or lost, or why nobody can tell."""
    if saving.by_rival is None or saving.saved is None:
        return f"not measured: {saving.rival.why_not}"
    named = f"{saving.rival.name} for every job: {price(saving.by_rival, currency)}"
    spent = price(saving.spent, currency)
    share = percent(saving.share)
    if saving.saved < 0:
        more = price(-saving.saved, currency)
        return f"LOSS of {more} ({share}): {spent} was spent; {named}"
    return f"saved {price(saving.saved, currency)} ({share}): {spent} was spent; {named}"


def how_to_measure(task: TaskFigures) -> Iterator[str]:
    """Say how a comparison is come by that is not there yet."""
    if task.single.by_rival is None and "calibration" in task.single.rival.why_not:
        yield f"which single step is as good is told by: smallfirst calibrate {task.task}"
    if not task.has_linear:
        yield (
            "no linear model was compared, so the cheapest equal may be missing; what one comes to"
            f" is told by: smallfirst calibrate {task.task}"
        )


def escalation_words(step: StepFigures, currency: str) -> str:
    """Say what it was worth to ask a step after another; empty where nothing was compared."""
    spent = step.spent
    if not spent.num_compared:
        return ""
    changed = percent(spent.num_changed / spent.num_compared)
    said = f"changed {changed} of {spent.num_compared:,} answers"
    if step.cost_per_change:
        said += f", at {price(step.cost_per_change, currency)} each"
    if not spent.num_judged:
        return f"{said}; for the better or not: no labels"
    return (
        f"{said}; of {spent.num_judged:,} that a person answered too,"
        f" {spent.num_better:,} for the better and {spent.num_worse:,} for the worse"
    )


def balance_words(found: Figures) -> str:
    """Say whether the books of jobs and those of workers agree."""
    booked, asked = machine_seconds(found), found.asked.seconds
    if not asked:
        return "no worker or router has booked its time, as of a version before this one"
    off = (booked - asked) / asked
    words = f"jobs are charged {booked:,.1f} s; workers and routers say {asked:,.1f} s"
    if abs(off) <= DIFFER_WITHIN:
        return f"The books balance: {words}."
    return (
        f"The books differ by {percent(off)}: {words}. Passes under way are not booked yet, a"
        " worker that was killed took some seconds of both with it, and a lost reply of Redis may"
        " book twice."
    )


def machine_seconds(found: Figures) -> float:
    """The seconds that jobs are charged, people's apart."""
    steps = (step for task in found.tasks for step in task.steps if step.tier != "human")
    return sum(step.spent.seconds for step in steps)


def energy_words(found: Figures, watts: float | None) -> str:
    """Say what energy was measured; an estimate only where somebody asked for it."""
    spent, idle, seconds = found.spent, found.not_charged, machine_seconds(found)
    if spent.metered_seconds or idle.metered_seconds:
        share = spent.metered_seconds / seconds if seconds else 0.0
        said = (
            f"Energy, measured during {percent(share)} of the seconds that jobs are charged:"
            f" {spent.joules:,.1f} J for jobs, {idle.joules:,.1f} J beside them."
        )
    else:
        said = "Energy: not measured, for no worker found a meter that it may read."
    if watts is None:
        return said
    return f"{said} Estimated at {watts:g} W a worker: {seconds * watts:,.1f} J for jobs."


def pool_name(pool: PoolFigures) -> str:
    """What a pool is called where it is shown."""
    return "routers" if pool.pool == ROUTERS else pool.pool


def share_of(use: Use, whole: Use) -> float | None:
    """The share of the seconds that one use has."""
    return use.seconds / whole.seconds if whole.seconds else None
