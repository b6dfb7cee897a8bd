"""What a recognizer is, and how a text is written so that recognizers can read it.

A recognizer is two things. A linear-time pattern proposes regions, and a check in plain Python says
which stretches of a region are the real thing: by checksum, by calendar, by the shape of numbers in
use, and by what stands beside them, since RE2 has no look-around. A check does a bounded amount of
work per character of its region, and regions never overlap, so a recognizer is linear in the text.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import re2

#: In a folded text: a letter beyond ASCII that has case (é, Ж), or an accent that combines with
#: one. It continues a word.
LETTER = "\x01"
#: In a folded text: everything else beyond ASCII, and control characters. It ends a word. So do
#: letters without case, because Chinese, Japanese and Thai put no space between word and number.
OTHER = "\x02"
DIGITS = re.compile(r"[0-9]+")

_ASCII_OF = {"\t": "\t", "\r": "\r", "\n": "\n", "\N{MINUS SIGN}": "-"}
_ASCII_OF_CATEGORY = {"Zl": "\n", "Zp": "\n", "Zs": " ", "Pd": "-"}
#: From a full-width form to its ASCII equal.
_FULLWIDTH_OFFSET = 0xFEE0

#: `(start, end)` in characters.
Stretch = tuple[int, int]
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


def fold(text: str) -> str:
    """Write a text in ASCII, one character for one, so that offsets stay what they were.

    Decimal digits of any script, full-width forms, and the many spaces and dashes become their
    ASCII equals: a card number in full-width digits is still a card number. Zero-width characters
    keep their place and so break a number in two.
    """
    odd = {ord(char): _fold_character(char) for char in set(text) if not " " <= char <= "~"}
    return text.translate(odd) if odd else text


def _fold_character(char: str) -> str:
    if char in _ASCII_OF:
        return _ASCII_OF[char]
    if char.isdecimal():
        return str(unicodedata.decimal(char))
    if "\N{FULLWIDTH EXCLAMATION MARK}" <= char <= "\N{FULLWIDTH TILDE}":
        return chr(ord(char) - _FULLWIDTH_OFFSET)
    has_case = char.lower() != char.upper() or unicodedata.combining(char) > 0
    return LETTER if has_case else _ASCII_OF_CATEGORY.get(unicodedata.category(char), OTHER)


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
