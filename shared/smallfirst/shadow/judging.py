"""Judging: what people said of two cascades' answers, each kind of job weighed as it came. Pure."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from smallfirst.shadow.pairing import Ending, Judged

#: What the live cascade is, and what the candidate is.
Cell = tuple[Judged, Judged]
#: So little over a whole number is a rounding error of the machine.
_TINY: Final = 1e-9


@dataclass(frozen=True)
class Cells:
    """How many jobs, or texts, people judged so.

    Attributes:
        numbers: By what both cascades are; a live one is `none` where a person was asked.
    """

    numbers: Mapping[Cell, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """How many there are."""
        return sum(self.numbers.values())

    @property
    def lost(self) -> int:
        """On how many the live cascade alone is right."""
        right, wrong = Judged.RIGHT, Judged.WRONG
        return self._num(right, wrong) + self._num(right, Judged.NONE)

    @property
    def won(self) -> int:
        """On how many the candidate alone is right."""
        right, wrong = Judged.RIGHT, Judged.WRONG
        return self._num(wrong, right) + self._num(Judged.NONE, right)

    @property
    def wrong(self) -> int:
        """On how many the candidate's answer would stand, and is wrong."""
        return sum(self._num(live, Judged.WRONG) for live in Judged)

    @property
    def standing(self) -> int:
        """On how many the candidate's answer would stand."""
        return self.wrong + sum(self._num(live, Judged.RIGHT) for live in Judged)

    def by_kind(self) -> Counter[Ending]:
        """How many are of each kind: answered by the live cascade, or put before a person."""
        found = Counter[Ending]()
        for (live, _), number in self.numbers.items():
            found[_kind_of(live)] += number
        return found

    def _num(self, live: Judged, candidate: Judged) -> int:
        return self.numbers.get((live, candidate), 0)


def known_shares(judged: Cells, drawn: Mapping[Ending, int]) -> dict[Ending, float]:
    """Of the jobs of each kind that people were to judge, the share that they have.

    Args:
        judged: What they have said.
        drawn: How many they were to judge, by kind; one of which there is none is left out.
    """
    found = judged.by_kind()
    return {kind: min(1.0, found[kind] / number) for kind, number in drawn.items() if number}


def evened(judged: Cells, known: Mapping[Ending, float]) -> Cells:
    """Count of both kinds of jobs the same share, as if people had been as quick with each.

    Whoever puts a job before a person waits for its answer; a blind check has days, and may be
    dropped. Counted as they come, jobs that the live cascade does not answer would outweigh those
    that it answers, and on them a candidate cannot lose. Fractions are rounded against it.

    Args:
        judged: What people have said.
        known: Of which share of each kind they have; see `known_shares`.
    """
    least = min(known.values(), default=0.0)
    found = dict[Cell, int]()
    for (live, candidate), number in judged.numbers.items():
        share = known.get(_kind_of(live), 0.0)
        kept = number * least / share if share else 0.0
        is_right = candidate is Judged.RIGHT
        found[live, candidate] = math.floor(kept + _TINY) if is_right else math.ceil(kept - _TINY)
    return Cells(found)


def _kind_of(live: Judged) -> Ending:
    return Ending.PERSON if live is Judged.NONE else Ending.ANSWERED
