"""Books: what attempts came to on a day, in all slices, as the settling scripts wrote it down."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite
from typing import Any, NamedTuple

from smallfirst.ledger.slices import Slice


class Cell(NamedTuple):
    """What is booked together: the attempts of a task's step that had one outcome."""

    task: str
    step: int
    outcome: str


@dataclass(frozen=True)
class Spent:
    """What some attempts came to.

    Attributes:
        num_attempts: How many they were.
        seconds: Of workers.
        cost: In the catalogue's currency.
    """

    num_attempts: int = 0
    seconds: float = 0.0
    cost: float = 0.0

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(
            self.num_attempts + other.num_attempts,
            self.seconds + other.seconds,
            self.cost + other.cost,
        )


#: What is booked of one day.
Book = Mapping[Cell, Spent]


def read_books(slices: Iterable[Slice], dates: Sequence[str]) -> dict[str, Book]:
    """Read what is booked on days (UTC, as YYYY-MM-DD), added up over the slices.

    A day of which nothing is there, or no more, has an empty book.
    """
    sums: dict[str, defaultdict[str, float]] = {date: defaultdict(float) for date in dates}
    for each in slices:
        pipeline: Any = each.redis.pipeline(transaction=False)
        for date in dates:
            pipeline.hgetall(each.keys.booked(date))
        for date, booked in zip(dates, pipeline.execute() if dates else (), strict=True):
            _add(sums[date], booked)
    return {date: book_of(found) for date, found in sums.items()}


def _add(sums: "defaultdict[str, float]", booked: Mapping[bytes, bytes]) -> None:
    for name, value in booked.items():
        with suppress(ValueError):
            amount = float(value)
            sums[name.decode()] += amount if isfinite(amount) else 0.0


def book_of(booked: Mapping[str, float]) -> Book:
    """Sort what is booked, `{task}:{step}:{outcome}:{kind}`; another version's is passed over."""
    found: defaultdict[Cell, dict[str, float]] = defaultdict(dict)
    for name, value in booked.items():
        task, _, rest = name.partition(":")
        step, _, rest = rest.partition(":")
        outcome, _, kind = rest.partition(":")
        if step.isdecimal() and kind in {"jobs", "seconds", "cost"}:
            found[Cell(task, int(step), outcome)][kind] = value
    return {
        cell: Spent(round(told.get("jobs", 0)), told.get("seconds", 0.0), told.get("cost", 0.0))
        for cell, told in found.items()
    }
