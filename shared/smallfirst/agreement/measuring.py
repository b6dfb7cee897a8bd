"""Measuring: how often two people who answer the same job agree, and how far beyond chance. Pure.

Compared are the first two answers to each job alone: a third is asked only where they differ, and
would speak of hard jobs more than of others.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pydantic import Field

from smallfirst.wire import Wire


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
        pairs: Of each two, who have most jobs in common first.
    """

    num_jobs: int
    raw: float
    alpha: float | None
    pairs: tuple[PairAgreement, ...]


def agreement_of(records: Sequence[PairRecord]) -> Agreement | None:
    """Measure how people agree; None before two have answered any job.

    Args:
        records: The oldest first.
    """
    if not records:
        return None
    return Agreement(
        num_jobs=len(records),
        raw=_raw(records),
        alpha=alpha_of(records),
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

    By hand, as it is short for two answers to each job: the library that is named for it is under
    the GPL, and NLTK's loads scipy.

    Source: Krippendorff 2011, Computing Krippendorff's alpha-reliability, nominal data.
    """
    counts = Counter(said for record in records for said in record.said)
    num_values = counts.total()
    num_alike = sum(count * (count - 1) for count in counts.values())
    by_chance = 1.0 - num_alike / (num_values * (num_values - 1))
    return None if len(counts) < 2 else 1.0 - (1.0 - _raw(records)) / by_chance


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
