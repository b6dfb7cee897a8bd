"""Books: what attempts and pools came to on a day, in all slices, as it was written down.

Attempts are booked by the script that settles them, and where their jobs went back or their answers
came too late, by their workers; what no job took of a worker or a router is booked by it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from math import isfinite
from typing import Any, Final, NamedTuple

from smallfirst.ledger.booking import FENCED, GIVEN_BACK
from smallfirst.ledger.slices import Slice

#: How long a day's books are kept: see settle.lua.
BOOKED_TTL_SECONDS: Final = 35 * 86_400
#: How long it is kept what jobs of an hour were like; of days it is as long as books are.
SEEN_HOUR_TTL_SECONDS: Final = 25 * 3600
#: Outcomes of attempts whose answer nobody got.
IN_VAIN: Final = frozenset({FENCED, GIVEN_BACK})


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
        num_tokens: Read and written, without padding.
        num_written: Those of them that were written.
        joules: Measured, of the seconds in which something was.
        metered_seconds: The seconds in which energy was measured.
        num_compared: How many came after another step's answer.
        num_changed: How many of those gave another answer.
        num_judged: Of how many of those a person's answer is known.
        num_better: How many changed a wrong answer into the person's.
        num_worse: How many changed the person's answer into another.
    """

    num_attempts: int = 0
    seconds: float = 0.0
    cost: float = 0.0
    num_tokens: int = 0
    num_written: int = 0
    joules: float = 0.0
    metered_seconds: float = 0.0
    num_compared: int = 0
    num_changed: int = 0
    num_judged: int = 0
    num_better: int = 0
    num_worse: int = 0

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(*(getattr(self, n) + getattr(other, n) for n in _AMOUNTS))


_AMOUNTS: Final = tuple(each.name for each in fields(Spent))
#: How each amount of attempts is called in Redis.
_KINDS: Final[Mapping[str, str]] = {
    "jobs": "num_attempts",
    "seconds": "seconds",
    "cost": "cost",
    "tokens": "num_tokens",
    "written": "num_written",
    "joules": "joules",
    "metered": "metered_seconds",
    "compared": "num_compared",
    "changed": "num_changed",
    "judged": "num_judged",
    "better": "num_better",
    "worse": "num_worse",
}


class Use(NamedTuple):
    """What one use of a pool's workers came to, or of routers: see `USES`."""

    seconds: float = 0.0
    cost: float = 0.0
    joules: float = 0.0
    metered_seconds: float = 0.0

    def __add__(self, other: tuple[float, ...]) -> "Use":  # type: ignore[override]
        return Use(*(one + more for one, more in zip(self, other, strict=True)))


#: What workers' time is spent on that is booked with no job. `asked` is what they spent on jobs,
#: which stands in the books of attempts too: it is told to compare the two, and adds nothing.
USES: Final = ("loading", "idle", "handling", "lost", "asked")
#: How each amount of a use is called in Redis.
_UNITS: Final = {
    "seconds": "seconds",
    "cost": "cost",
    "joules": "joules",
    "metered": "metered_seconds",
}

#: What is booked of a day's attempts.
Book = Mapping[Cell, Spent]
#: What is booked of a day's workers, by pool and use.
PoolBook = Mapping[str, Mapping[str, Use]]


@dataclass(frozen=True)
class DayBook:
    """All that is booked of one day.

    Attributes:
        attempts: By task, step and outcome.
        pools: What no job took, by pool; that of routers is `@router`.
    """

    attempts: Book = field(default_factory=dict)
    pools: PoolBook = field(default_factory=dict)


def field_of_use(pool: str, use: str, unit: str) -> str:
    """Where a use of a pool is booked in a day's hash; an older version passes it over."""
    return f"@{pool}::{use}:{unit}"


def read_books(slices: Iterable[Slice], dates: Sequence[str]) -> dict[str, Book]:
    """Read what is booked of attempts on days; see `read_day_books`."""
    return {date: book.attempts for date, book in read_day_books(slices, dates).items()}


def read_day_books(slices: Iterable[Slice], dates: Sequence[str]) -> dict[str, DayBook]:
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
    return {date: DayBook(book_of(found), pools_of(found)) for date, found in sums.items()}


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
        if step.isdecimal() and kind in _KINDS:
            amount = _KINDS[kind]
            is_count = amount.startswith("num_")
            found[Cell(task, int(step), outcome)][amount] = round(value) if is_count else value
    return {cell: Spent(**told) for cell, told in found.items()}  # type: ignore[arg-type]


def pools_of(booked: Mapping[str, float]) -> PoolBook:
    """Sort what is booked of pools, `@{pool}::{use}:{unit}`."""
    found: dict[str, dict[str, Use]] = {}
    for name, value in booked.items():
        pool, _, rest = name.removeprefix("@").partition("::")
        use, _, unit = rest.partition(":")
        if name.startswith("@") and use in USES and unit in _UNITS:
            uses = found.setdefault(pool, {})
            uses[use] = uses.get(use, Use()) + Use(**{_UNITS[unit]: value})
    return found
