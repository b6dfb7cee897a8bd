"""The flow: how many answers of each tier stood, ten minutes by ten minutes and day by day. Pure.

What was not read is not known: a gap, never a zero.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from smallfirst.catalogue import Catalogue
from smallfirst.jobs import Outcome, Tier
from smallfirst.ledger.books import IN_VAIN, Book
from smallfirst.ledger.history import EVERY_MS, MAX_READINGS, Reading, StepReading

#: What jobs are counted as that the last step was not sure of, or failed on.
UNSURE: Final = "unsure"
#: What is counted as answers of steps that the catalogue has no longer.
GONE: Final = "gone"
#: Every series, in the order in which they are stacked.
SERIES: Final = (*(str(tier) for tier in Tier), GONE, UNSURE)
_DAY_MS: Final = 86_400_000
_HOUR_MS: Final = 3_600_000


@dataclass(frozen=True)
class Span:
    """What ended in a span of time.

    Attributes:
        start_ms: When it begins, by Redis's clock.
        counts: By series, in the order of `SERIES`; None where nobody read.
        num_unread: Of how many tasks that were read before or after nothing is known.
    """

    start_ms: int
    counts: tuple[int, ...] | None
    num_unread: int = 0


@dataclass(frozen=True)
class Hour:
    """What ended in an hour, as far as it was read.

    Attributes:
        start_ms: When it begins.
        counts: By series; None where nothing of it was read.
        num_read: How many of its spans were.
        num_spans: How many it has.
    """

    start_ms: int
    counts: tuple[int, ...] | None
    num_read: int
    num_spans: int


def step_readings(task: str, book: Book, catalogue: Catalogue) -> Reading:
    """What stands in the books of a task, for each step of its cascade."""
    steps = []
    for number, step in enumerate(catalogue.tasks[task].cascade):
        here = {cell.outcome: each for cell, each in book.items() if cell[:2] == (task, number)}
        tried = {outcome: each for outcome, each in here.items() if outcome not in IN_VAIN}
        accepted = tried.get(Outcome.ACCEPTED)
        steps.append(
            StepReading(
                step=number,
                tier=catalogue.tier_of(step),
                num_accepted=accepted.num_attempts if accepted else 0,
                num_attempts=sum(each.num_attempts for each in tried.values()),
            )
        )
    return Reading(steps=tuple(steps))


def spans_of(readings: Mapping[str, Mapping[int, Reading]], last_ms: int) -> list[Span]:
    """Sum up the last day of several tasks.

    Args:
        readings: Of each task by their end.
        last_ms: The end of the last span.
    """
    first_ms = last_ms - (MAX_READINGS - 1) * EVERY_MS
    return [_span(readings, start) for start in range(first_ms, last_ms, EVERY_MS)]


def _span(readings: Mapping[str, Mapping[int, Reading]], start_ms: int) -> Span:
    found = [_between(each, start_ms) for each in readings.values()]
    known = [counts for counts in found if counts is not None]
    if not known:
        return Span(start_ms, None)
    return Span(start_ms, _sum(known), len(found) - len(known))


def _between(readings: Mapping[int, Reading], start_ms: int) -> tuple[int, ...] | None:
    """What came between two readings; None where one is missing, or they do not fit together.

    Books begin anew at midnight (UTC), where the reading tells of the day that ended.
    """
    after = readings.get(start_ms + EVERY_MS)
    before = readings.get(start_ms)
    if after is None or (before is None and start_ms % _DAY_MS):
        return None
    sums = {} if before is None or start_ms % _DAY_MS == 0 else _by_step(before)
    if sums and [*sums] != [*_by_step(after)]:
        return None  # The cascade has changed: what is booked of its steps is of two cascades.
    return _grown(sums, _by_step(after))


def _by_step(reading: Reading) -> dict[tuple[int, str], StepReading]:
    return {(each.step, str(each.tier)): each for each in reading.steps}


def _grown(
    before: Mapping[tuple[int, str], StepReading], after: Mapping[tuple[int, str], StepReading]
) -> tuple[int, ...] | None:
    found: Counter[str] = Counter()
    for place, (key, now) in enumerate(after.items()):
        was = before.get(key)
        accepted = now.num_accepted - (was.num_accepted if was else 0)
        attempts = now.num_attempts - (was.num_attempts if was else 0)
        if accepted < 0 or attempts < accepted:
            return None  # Somebody emptied the books.
        found[key[1] if key[1] in SERIES else GONE] += accepted
        if place == len(after) - 1:
            found[UNSURE] += attempts - accepted
    return tuple(found[series] for series in SERIES)


def hours_of(spans: Sequence[Span]) -> list[Hour]:
    """Sum up the spans of each hour, for a table."""
    hours: dict[int, list[Span]] = {}
    for each in spans:
        hours.setdefault(each.start_ms - each.start_ms % _HOUR_MS, []).append(each)
    return [_hour(start, each) for start, each in hours.items()]


def _hour(start_ms: int, spans: Sequence[Span]) -> Hour:
    known = [each.counts for each in spans if each.counts is not None]
    return Hour(start_ms, _sum(known) if known else None, len(known), len(spans))


def stretches(spans: Sequence[Span]) -> list[list[Span]]:
    """The spans that follow one another without a gap, stretch by stretch."""
    found: list[list[Span]] = [[]]
    for each in spans:
        if each.counts is None:
            found.append([])
        else:
            found[-1].append(each)
    return [each for each in found if each]


def days_of(books: Mapping[str, Book], tasks: Iterable[str], catalogue: Catalogue) -> list[Span]:
    """What stood on each day, from the first on which anything did.

    The books tell steps; of which tier these are, the catalogue says as it is now.
    """
    names = set(tasks)
    days = [
        Span(_midnight_ms(date), _of_day(book, names, catalogue)) for date, book in books.items()
    ]
    days.sort(key=lambda day: day.start_ms)
    first = next((at for at, day in enumerate(days) if any(day.counts or ())), len(days))
    return days[first:]


def _of_day(book: Book, tasks: set[str], catalogue: Catalogue) -> tuple[int, ...]:
    found: Counter[str] = Counter()
    for cell, spent in book.items():
        if cell.task not in tasks:
            continue
        steps = catalogue.tasks[cell.task].cascade if cell.task in catalogue.tasks else ()
        if cell.outcome == Outcome.ACCEPTED:
            is_there = cell.step < len(steps)
            found[str(catalogue.tier_of(steps[cell.step])) if is_there else GONE] += (
                spent.num_attempts
            )
        elif cell.step == len(steps) - 1:
            found[UNSURE] += spent.num_attempts
    return tuple(found[series] for series in SERIES)


def _midnight_ms(date: str) -> int:
    return round(datetime.fromisoformat(date).replace(tzinfo=UTC).timestamp() * 1000)


def _sum(counts: Iterable[Sequence[int]]) -> tuple[int, ...]:
    return tuple(map(sum, zip(*counts, strict=True)))
