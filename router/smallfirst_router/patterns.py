"""The team's own patterns: a text as they read it, a search, and the bounds of both.

Linear in the text, for any pattern: one RE2 search is, but a series of them is not where each looks
far ahead of what it takes (`a.*b|a` on a text of a's). So a series looks ahead a fixed number of
bytes, and only so often; it notes where such a bound cut it short.
"""

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from smallfirst.catalogue import Pattern
from smallfirst.catalogue.expressions import ExpressionError, compile_expression, number_check
from smallfirst_router.errors import RuleError
from smallfirst_router.recognizers import Reading, Stretch, fold, is_hidden, read, satisfies

#: How far from its start a match of the team's own pattern surely reaches, in bytes of UTF-8; one
#: of up to twice that may be found, a longer one is cut. Only where spans or checks are asked for:
#: a pattern that merely labels a text reads all of it.
MAX_MATCH_BYTES = 4_096
#: Most matches of one pattern that are looked at.
MAX_CANDIDATES = 20_000
#: No number that python-stdnum knows is longer.
MAX_CHECKED_CHARS = 128
#: The group of a pattern that is the span, where the rest of the pattern is only its surroundings:
#: RE2 has no look-around. Without one the whole match is.
SPAN_GROUP = "span"

#: What a pattern names that wants to see the characters that nobody sees.
_NAMES_HIDDEN = re.compile(r"\\x\{?([0-9A-Fa-f]+)")
_CONTINUATION_BYTES = bytes(range(0x80, 0xC0))


class TextReadings:
    """A text as recognizers and patterns read it, each way once, and the bounds that they met."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._readings: dict[bool, Reading] = {}
        self.bounds: list[str] = []

    def reading(self, *, keep_hidden: bool = False) -> Reading:
        """The text as people see it, or with the characters that nobody sees."""
        if keep_hidden not in self._readings:
            self._readings[keep_hidden] = read(self._text, keep_hidden=keep_hidden)
        return self._readings[keep_hidden]

    @cached_property
    def folded(self) -> str:
        """The text as recognizers read it."""
        return fold(self.reading().text)


@dataclass(frozen=True, slots=True)
class CompiledPattern:
    """One of the team's own patterns, ready to search UTF-8."""

    label: str
    regex: Any
    check: Callable[[str], bool] | None
    #: Whether it reads the characters that nobody sees, because it names some.
    keep_hidden: bool = False

    def matches(self, text: TextReadings) -> bool:
        """Whether the text holds a match."""
        if self.check is None:
            return (
                self.regex.search(_encoded(text.reading(keep_hidden=self.keep_hidden).text))
                is not None
            )
        return next(self.find(text), None) is not None

    def find(self, text: TextReadings) -> Iterator[Stretch]:
        """Yield the matches that satisfy the check, in order; an empty match is none."""
        reading = text.reading(keep_hidden=self.keep_hidden)
        data = _encoded(reading.text)
        num_bytes = num_chars = 0
        for start_byte, end_byte in self._spans(data, text.bounds):
            num_chars += _count_chars(data[num_bytes:start_byte])
            num_bytes = start_byte
            start, end = num_chars, num_chars + _count_chars(data[start_byte:end_byte])
            if start < end and self._is_satisfied(reading.text[start:end]):
                yield reading.place(start, end)

    def _spans(self, data: bytes, bounds: list[str]) -> Iterator[Stretch]:
        """Yield what of each match is the span, in bytes."""
        group = self.regex.groupindex.get(SPAN_GROUP, 0)
        for number, (match, is_cut) in enumerate(search_all(self.regex, data)):
            if number == MAX_CANDIDATES:
                bounds.append(f"pattern {self.label!r} has more than {MAX_CANDIDATES} matches")
                return
            if is_cut:
                reason = f"pattern {self.label!r} has a match of more than {MAX_MATCH_BYTES} bytes"
                bounds.append(reason)
            start, end = match.span(group)
            if end > start:
                yield start, end

    def _is_satisfied(self, piece: str) -> bool:
        if self.check is None:
            return True
        return len(piece) <= MAX_CHECKED_CHARS and satisfies(self.check, fold(piece))


def search_all(regex: Any, data: bytes) -> Iterator[tuple[Any, bool]]:
    """Yield the matches in order, none overlapping another, and whether a search cut one short.

    Each search looks a bounded way ahead, so that all of them together are linear in the text.
    """
    position = 0
    while position <= len(data):
        reach = min(len(data), position + 2 * MAX_MATCH_BYTES)
        match = regex.search(data, position, reach)
        is_too_far = match is None or match.start() >= position + MAX_MATCH_BYTES
        if is_too_far and reach < len(data):
            position += MAX_MATCH_BYTES
        elif match is None:
            return
        else:
            yield match, match.end() == reach < len(data)
            position = max(match.end(), position + 1)


def _encoded(text: str) -> bytes:
    # A lone surrogate becomes a question mark: still one character.
    return text.encode("utf-8", errors="replace")


def _count_chars(data: bytes) -> int:
    """Count the characters that begin in a piece of UTF-8."""
    return len(data.translate(None, _CONTINUATION_BYTES))


def compile_pattern(pattern: Pattern) -> CompiledPattern:
    """Compile a pattern.

    Raises:
        RuleError: RE2 cannot run it, it matches every text, or python-stdnum has no such check.
    """
    try:
        regex, check = compile_expression(pattern), number_check(pattern)
    except ExpressionError as error:
        raise RuleError(pattern.label, str(error)) from error
    return CompiledPattern(pattern.label, regex, check, _names_hidden(pattern.pattern))


def _names_hidden(pattern: str) -> bool:
    r"""Whether a pattern names characters that nobody sees: itself, by number, or as \p{Cf}."""
    named = (int(number, 16) for number in _NAMES_HIDDEN.findall(pattern))
    is_named = any(number <= sys.maxunicode and is_hidden(chr(number)) for number in named)
    return is_named or "{C" in pattern or any(map(is_hidden, pattern))
