"""What linear models say of a read's jobs, asked of many at once before any of them is decided on.

A model answers a hundred texts at once in less than half the time that they take one by one. Rules
are not asked ahead: a text costs them the same alone.
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from smallfirst.ledger.entries import StreamEntry, parts_of
from smallfirst.ledger.held_jobs import HeldJob
from smallfirst_router.cascade import LocalModel, PlannedStep, Said, TaskPlan, first_here

#: The most jobs, and the bytes that are enough, of what is asked of at once: some ten milliseconds.
#: What takes long by itself has few beside it.
AT_ONCE: Final = 128
ENOUGH_BYTES: Final = 65_536


class Timed(NamedTuple):
    """What a model said of a text, and the text's share of the seconds that it took."""

    said: Said
    seconds: float


#: By the number of the step, and the entry's stream and id.
Ahead = Mapping[tuple[int, str, str], Timed]


def windows(entries: Iterable[StreamEntry]) -> Iterator[list[StreamEntry]]:
    """Cut what was read into parts that are asked about at once."""
    return parts_of(entries, num_entries=AT_ONCE, num_bytes=ENOUGH_BYTES)


def ask_ahead(jobs: Iterable[HeldJob], plans: Mapping[str, TaskPlan]) -> Ahead:
    """Ask the linear models that are due first, each of all its texts at once."""
    due: dict[tuple[str, int], list[HeldJob]] = defaultdict(list)
    steps: dict[tuple[str, int], PlannedStep] = {}
    for held in jobs:
        plan = plans.get(held.job.task)
        step = first_here(held.job, plan, held.slip.next_step) if plan else None
        if step is not None:
            due[held.job.task, step.number].append(held)
            steps[held.job.task, step.number] = step
    return {key: timed for name, some in due.items() for key, timed in _asked(steps[name], some)}


def key_of(step: int, entry: StreamEntry) -> tuple[int, str, str]:
    """Under which what was said of an entry is found."""
    return step, entry.stream, entry.entry


def _asked(
    step: PlannedStep, some: Sequence[HeldJob]
) -> Iterator[tuple[tuple[int, str, str], Timed]]:
    assert isinstance(step.destination, LocalModel)
    start = time.thread_time()
    said = step.destination.ask_each([held.job for held in some])
    per_character = (time.thread_time() - start) / sum(len(held.job.text) for held in some)
    for held, each in zip(some, said, strict=True):
        seconds = per_character * len(held.job.text)
        yield key_of(step.number, held.entry), Timed(each, seconds)
