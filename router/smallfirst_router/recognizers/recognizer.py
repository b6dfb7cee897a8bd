"""What a recognizer is, and what recognizers share: words, and runs of digits.

A recognizer is two things. A linear-time pattern proposes regions, and a check in plain Python says
which stretches of a region are the real thing: by checksum, by calendar, by the shape of numbers in
use, and by what stands beside them, since RE2 has no look-around. A check does a bounded amount of
work per character of its region, and regions never overlap, so a recognizer is linear in the text.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import re2

from smallfirst_router.recognizers.reading import LETTER, Stretch

DIGITS = re.compile(r"[0-9]+")
#: What may stand between the groups of one number: a dash or a full stop, with or without spaces, a
#: space or two, the end of a line.
GAP = r"(?: ?[.-] ?(?:\r?\n ?)?| {1,2}| ?\r?\n ?)"

Check = Callable[[str, int, int], Iterator[Stretch]]


@dataclass(frozen=True, slots=True)
class Recognizer:
    """A pattern that proposes regions of a folded text, and a check that disposes.

    The check takes the folded text and a region's start and end, and yields the stretches that
    hold, in order, none overlapping another.
    """

    pattern: str
    check: Check

    def regions(self, folded: str) -> Iterator[Stretch]:
        """Yield what the pattern proposes, in order, none overlapping another."""
        for match in compiled(self.pattern).finditer(folded.encode("ascii")):
            yield match.span()

    def find(self, folded: str) -> Iterator[Stretch]:
        """Yield the stretches that hold, in order, none overlapping another."""
        for start, end in self.regions(folded):
            yield from self.check(folded, start, end)


@cache
def compiled(pattern: str) -> Any:
    """Compile one of the recognizers' own patterns, once, to be used on bytes."""
    options = re2.Options()
    options.log_errors = False
    return re2.compile(pattern, options)


def satisfies(is_valid: Callable[[str], bool], number: str) -> bool:
    """Ask a python-stdnum module about a number; one that stumbles over it says no.

    Several raise a bare ValueError on what is not a number at all (`be.nn`, `br.cpf`).
    """
    try:
        return bool(is_valid(number))
    except (ArithmeticError, LookupError, TypeError, ValueError):
        return False


def is_word(char: str) -> bool:
    """Whether a folded character continues a word; not an underscore, which joins file names."""
    return char.isalnum() or char == LETTER


def stands_alone(text: str, start: int, end: int, joiners: str = "") -> bool:
    """Whether nothing continues the stretch.

    No letter or digit stands beside it, and no joiner with a digit behind it.
    """
    before, after = text[start - 1 : start] if start else "", text[end : end + 1]
    if is_word(before) or is_word(after):
        return False
    if before and before in joiners and start > 1 and text[start - 2].isdigit():
        return False
    return not (after and after in joiners and text[end + 1 : end + 2].isdigit())


class Group(NamedTuple):
    """A run of digits, and what stands between it and the run before it in the region."""

    start: int
    end: int
    digits: str
    joint: str

    @property
    def mark(self) -> str:
        """What joins it to the run before, spaces and ends of lines apart."""
        return self.joint.strip()

    @property
    def begins_line(self) -> bool:
        """Whether a line ends between the run before and this one."""
        return "\n" in self.joint


def follows(context: str, text: str, start: int, num_chars: int) -> bool:
    """Whether a pattern that ends with `$` matches so many characters before a place at most."""
    before = text[max(0, start - num_chars) : start]
    return compiled(context).search(before.encode("ascii")) is not None


def digit_groups(text: str, start: int, end: int) -> list[Group]:
    """Cut a region into its runs of digits."""
    groups, last = [], start
    for match in DIGITS.finditer(text, start, end):
        groups.append(Group(match.start(), match.end(), match[0], text[last : match.start()]))
        last = match.end()
    return groups


def lengths(groups: list[Group]) -> tuple[int, ...]:
    """Count the digits of each group: (3, 2, 4) is how an SSN is written."""
    return tuple(len(group.digits) for group in groups)
