"""Measuring: how often two people who answer the same job agree, and how far beyond chance. Pure.

Compared are the first two answers to each job alone: a third is asked only where they differ, and
would speak of hard jobs more than of others.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import Field

from smallfirst.wire import Wire

#: The most cells that Krippendorff's alpha is worked out with: jobs, times answers squared. The
#: library makes three arrays of eight bytes each; beyond it, the newest jobs alone are counted.
MAX_CELLS: Final = 4_000_000


class PairRecord(Wire):
    """What two people answered of one job, each unshown the other's answer; no word of a text."""

    people: tuple[str, str] = Field(description="The pseudonyms, in the order of the answers.")
    said: tuple[str, str] = Field(description="What each answered: a label, a verdict, or a hash.")
    decided_ms: int = Field(ge=0, description="The time of the second answer, on Redis's clock.")


@dataclass(frozen=True)
class PairAgreement:
    """How two people agree.

    Attributes:
        people: Their pseudonyms, sorted.
        num_jobs: How many both of them were the first to answer.
        raw: The share of those that both answered the same.
        kappa: Cohen's: the same beyond what chance would make of how often each says what; None
            where both always say the same.
    """

    people: tuple[str, str]
    num_jobs: int
    raw: float
    kappa: float | None


@dataclass(frozen=True)
class Agreement:
    """How all people of a task agree.

    Attributes:
        num_jobs: How many two people answered.
        raw: The share of those that both answered the same.
        alpha: Krippendorff's, nominal; None where nobody says anything else than others do.
        num_alpha_jobs: The newest ones, of which that is told.
        pairs: Of each two, who have most jobs in common first.
    """

    num_jobs: int
    raw: float
    alpha: float | None
    num_alpha_jobs: int
    pairs: tuple[PairAgreement, ...]


def agreement_of(records: Sequence[PairRecord]) -> Agreement | None:
    """Measure how people agree; None before two have answered any job.

    Args:
        records: The oldest first.
    """
    if not records:
        return None
    counted = _countable(records)
    return Agreement(
        num_jobs=len(records),
        raw=_raw(records),
        alpha=alpha_of(counted),
        num_alpha_jobs=len(counted),
        pairs=tuple(_pairs(records)),
    )


def kappa_of(said: Sequence[tuple[str, str]]) -> float | None:
    """Cohen's kappa of what two people said of the same jobs; None where chance explains it all.

    Source: Cohen 1960, A coefficient of agreement for nominal scales,
    https://doi.org/10.1177/001316446002000104
    """
    num_jobs = len(said)
    observed = sum(one == other for one, other in said) / num_jobs
    ones, others = Counter(one for one, _ in said), Counter(other for _, other in said)
    by_chance = sum(count * others[name] for name, count in ones.items()) / num_jobs**2
    return None if by_chance == 1.0 else (observed - by_chance) / (1.0 - by_chance)


def alpha_of(records: Sequence[PairRecord]) -> float | None:
    """Krippendorff's alpha of all jobs, whoever answered each; None where nobody differs in any.

    Source: Krippendorff 2011, Computing Krippendorff's alpha-reliability.
    """
    import krippendorff  # noqa: PLC0415 - numpy comes with it
    import numpy as np  # noqa: PLC0415 - the same

    people = sorted({person for record in records for person in record.people})
    values = {said: n for n, said in enumerate(_values(records))}
    if len(values) < 2:
        return None
    told = np.full((len(people), len(records)), np.nan)  # (people, jobs)
    for job, record in enumerate(records):
        for person, said in zip(record.people, record.said, strict=True):
            told[people.index(person), job] = values[said]
    return float(krippendorff.alpha(reliability_data=told, level_of_measurement="nominal"))


def _countable(records: Sequence[PairRecord]) -> Sequence[PairRecord]:
    """As many of the newest as alpha can be worked out with."""
    while len(records) * len(_values(records)) ** 2 > MAX_CELLS:
        records = records[(len(records) + 1) // 2 :]
    return records


def _values(records: Iterable[PairRecord]) -> list[str]:
    return sorted({said for record in records for said in record.said})


def _raw(records: Sequence[PairRecord]) -> float:
    return sum(one == other for one, other in (each.said for each in records)) / len(records)


def _pairs(records: Iterable[PairRecord]) -> Iterator[PairAgreement]:
    by_pair: defaultdict[tuple[str, str], list[PairRecord]] = defaultdict(list)
    for record in records:
        one, other = sorted(record.people)
        by_pair[one, other].append(record)
    for people, theirs in sorted(by_pair.items(), key=lambda pair: (-len(pair[1]), pair[0])):
        said = [
            each.said if each.people == people else (each.said[1], each.said[0]) for each in theirs
        ]
        yield PairAgreement(people, len(theirs), _raw(theirs), kappa_of(said))
