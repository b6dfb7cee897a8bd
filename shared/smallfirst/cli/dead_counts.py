"""How many dead letters tell of jobs that were given up, and how many of refused submissions.

A refusal is the producer's to mend, who was told of it at once; a job that was given up is the
operator's.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from smallfirst.ledger.dead_letters import letter_in
from smallfirst.ledger.routing_slips import DeadLetter
from smallfirst.ledger.slices import Slice
from smallfirst.wording import counted

#: How many letters are read at once.
_PAGE = 1000


@dataclass(frozen=True)
class DeadCounts:
    """The dead letters of a fleet that are kept.

    Attributes:
        given_up: Of jobs that the fleet tried, and could not answer.
        refused: Of submissions that were no jobs, or asked for what there is not.
    """

    given_up: int = 0
    refused: int = 0

    def __str__(self) -> str:
        refused = f"{counted(self.refused, 'submission')} refused"
        return f"{counted(self.given_up, 'job')} given up, {refused}"


def count_dead(slices: Iterable[Slice]) -> DeadCounts:
    """Count what is kept of all slices, by reading each letter; none holds a text."""
    return tally(letter for place in slices for letter in _letters(place))


def tally(letters: Iterable[DeadLetter]) -> DeadCounts:
    """Count letters by what they tell of."""
    refusals = [letter.is_refusal for letter in letters]
    return DeadCounts(given_up=refusals.count(False), refused=refusals.count(True))


def _letters(place: Slice) -> Iterator[DeadLetter]:
    oldest = "-"
    while page := _page(place, oldest):
        for _, fields in page:
            yield letter_in(fields)
        oldest = f"({page[-1][0].decode()}"


def _page(place: Slice, oldest: str) -> Any:
    return place.redis.xrange(place.keys.dead, min=oldest, count=_PAGE)
