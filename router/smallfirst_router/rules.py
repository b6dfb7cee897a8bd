"""The rule tier: a rule of the catalogue, compiled, and the answer it gives for a text.

Pure and in-process. The built-in recognizers are in `recognizers`; here are the team's own
patterns and what happens where matches overlap. The form of the answer is its kind's; whether it
stands is the cascade's decision.

Linear in the text, for any pattern: one RE2 search is, but a series of them is not where each looks
far ahead of what it takes (`a.*b|a` on a text of a's). So a series looks ahead a fixed number of
bytes, and only so often. An answer says where such a bound cut it short.
"""

import hashlib
import json
import re
import sys
from bisect import bisect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import import_module
from importlib.resources import files
from typing import Any, NamedTuple

import re2
import stdnum

from smallfirst.catalogue import Kind, Pattern, Rule
from smallfirst.jobs import Answer, Span
from smallfirst.kinds import KINDS, named
from smallfirst_router.errors import RuleError
from smallfirst_router.recognizers import (
    RECOGNIZERS,
    Reading,
    Recognizer,
    Stretch,
    fold,
    is_hidden,
    read,
    satisfies,
)

#: Most spans in one answer: about a MiB of JSON, as large as a job may be.
MAX_SPANS = 20_000
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
_HINTS = {
    "(?<": "RE2 has no look-around; mark what is meant with (?P<span>...)",
    "(?=": "RE2 has no look-around; mark what is meant with (?P<span>...)",
    "(?!": "RE2 has no look-around; mark what is meant with (?P<span>...)",
    "escape sequence: \\": "RE2 knows no such escape, nor back-references",
    "repetition size": "RE2 repeats at most 1,000 times",
}


@dataclass(frozen=True, slots=True)
class CompiledPattern:
    """One of the team's own patterns, ready to search UTF-8."""

    label: str
    regex: Any
    check: Callable[[str], bool] | None
    #: Whether it reads the characters that nobody sees, because it names some.
    keep_hidden: bool = False

    def matches(self, text: "TextReadings") -> bool:
        """Whether the text holds a match."""
        if self.check is None:
            return (
                self.regex.search(_encoded(text.reading(keep_hidden=self.keep_hidden).text))
                is not None
            )
        return next(self.find(text), None) is not None

    def find(self, text: "TextReadings") -> Iterator[Stretch]:
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


class RuleMatch(NamedTuple):
    """A stretch of the text that a recognizer or a pattern says is its own."""

    start: int
    end: int
    label: str
    is_checked: bool
    order: int


def settle_matches(matches: list[RuleMatch]) -> list[RuleMatch]:
    """Choose claims that do not overlap, sorted by place.

    Where two overlap, the checked one wins: a checksum is proof and a pattern a guess. Then the
    longer one, since it explains more of the text; then the one that begins earlier; then the one
    that stands earlier in the catalogue.
    """
    settled: list[RuleMatch] = []
    for claim in sorted(matches, key=_precedence):
        place = bisect(settled, claim.start, key=lambda other: other.start)
        is_free_before = place == 0 or settled[place - 1].end <= claim.start
        if is_free_before and (place == len(settled) or claim.end <= settled[place].start):
            settled.insert(place, claim)
    return settled


def _precedence(claim: RuleMatch) -> tuple[bool, int, int, int]:
    return not claim.is_checked, claim.start - claim.end, claim.start, claim.order


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A rule that answers: built-in recognizers first, then patterns, in the catalogue's order."""

    kind: Kind
    recognizers: tuple[tuple[str, Recognizer], ...]
    patterns: tuple[CompiledPattern, ...]
    #: Twelve hexadecimal digits that change whenever an answer could: the rule, the recognizers'
    #: code, python-stdnum.
    revision: str

    def answer(self, text: str) -> "RuleAnswer":
        """Answer a text in the form of the task; without an answer where nothing of it applies."""
        of_rule = KINDS[self.kind].of_rule
        assert of_rule is not None, "`compile_rule` refuses the others"
        read_text = TextReadings(text)
        answer: Answer | None = of_rule(_TextMatches(self, read_text))
        if not read_text.bounds:
            return RuleAnswer(answer, None)
        unsure = answer and answer.model_copy(update={"confidence": 0.0})
        return RuleAnswer(unsure, "; ".join(dict.fromkeys(read_text.bounds)))

    def find(self, text: "TextReadings") -> tuple[Span, ...]:
        """Find the spans of a text, sorted, none overlapping another."""
        settled = settle_matches(list(self._claims(text)))
        if len(settled) > MAX_SPANS:
            text.bounds.append(f"the text has more than {MAX_SPANS} spans")
        return tuple(
            Span(start=claim.start, end=claim.end, label=claim.label)
            for claim in settled[:MAX_SPANS]
        )

    def labels(self, text: "TextReadings") -> Iterator[str]:
        """Yield the label of each recognizer and pattern that matches, in the catalogue's order."""
        for name, recognizer in self.recognizers:
            if next(recognizer.find(text.folded), None) is not None:
                yield name
        for pattern in self.patterns:
            if pattern.matches(text):
                yield pattern.label

    def _claims(self, text: "TextReadings") -> Iterator[RuleMatch]:
        reading = text.reading()
        for order, (name, recognizer) in enumerate(self.recognizers):
            for stretch in recognizer.find(text.folded):
                start, end = reading.place(*stretch)
                yield RuleMatch(start, end, name, is_checked=True, order=order)
        for order, pattern in enumerate(self.patterns, start=len(self.recognizers)):
            is_checked = pattern.check is not None
            for start, end in pattern.find(text):
                yield RuleMatch(start, end, pattern.label, is_checked=is_checked, order=order)


class RuleAnswer(NamedTuple):
    """What a rule says of a text.

    Attributes:
        answer: None where nothing of the rule applies.
        bound: The bound that kept the rule from reading all of the text, in words; the answer is
            not sure then. None where it read all.
    """

    answer: Answer | None
    bound: str | None


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
class _TextMatches:
    """What a rule finds in one text, for the form of the answer; looked for when it is asked."""

    rule: CompiledRule
    text: TextReadings

    def spans(self) -> tuple[Span, ...]:
        return self.rule.find(self.text)

    def labels(self) -> Iterator[str]:
        return self.rule.labels(self.text)


def compile_rule(rule: Rule, kind: Kind) -> CompiledRule:
    """Compile a rule for tasks of a kind.

    Raises:
        RuleError: Rules cannot answer this kind, or a recognizer, pattern or check of it is wrong.
    """
    if KINDS[kind].of_rule is None:
        raise RuleError("rule", f"a rule cannot make the answer of {named(kind)}")
    return CompiledRule(
        kind=kind,
        recognizers=tuple((name, _recognizer(name)) for name in rule.find),
        patterns=tuple(_compile_pattern(pattern) for pattern in rule.patterns),
        revision=_revision(rule),
    )


def _recognizer(name: str) -> Recognizer:
    if name not in RECOGNIZERS:
        raise RuleError(
            name, f"no built-in recognizer of this name; there are {', '.join(RECOGNIZERS)}"
        )
    return RECOGNIZERS[name]


def _compile_pattern(pattern: Pattern) -> CompiledPattern:
    options = re2.Options()
    # RE2 would print the pattern on stderr.
    options.log_errors = False
    options.case_sensitive = not pattern.ignore_case
    try:
        regex = re2.compile(pattern.pattern, options)
    except re2.error as error:
        raise RuleError(pattern.label, _reason(error)) from error
    if regex.search(b"") is not None:
        raise RuleError(pattern.label, "the pattern matches the empty text, so every text")
    return CompiledPattern(pattern.label, regex, _check(pattern), _names_hidden(pattern.pattern))


def _names_hidden(pattern: str) -> bool:
    r"""Whether a pattern names characters that nobody sees: itself, by number, or as \p{Cf}."""
    named = (int(number, 16) for number in _NAMES_HIDDEN.findall(pattern))
    is_named = any(number <= sys.maxunicode and is_hidden(chr(number)) for number in named)
    return is_named or "{C" in pattern or any(map(is_hidden, pattern))


def _reason(error: "re2.error") -> str:
    said = error.args[0] if error.args else b"not a pattern"
    reason = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    hint = next((hint for sign, hint in _HINTS.items() if sign in reason), None)
    return f"{reason} ({hint})" if hint else reason


def _check(pattern: Pattern) -> Callable[[str], bool] | None:
    if pattern.check is None:
        return None
    try:
        is_valid = getattr(import_module(f"stdnum.{pattern.check}"), "is_valid", None)
    except ImportError as error:
        reason = f"python-stdnum has no module {pattern.check!r}"
        raise RuleError(pattern.label, reason) from error
    if not callable(is_valid):
        raise RuleError(pattern.label, f"python-stdnum's {pattern.check!r} checks no number")
    checked: Callable[[str], bool] = is_valid
    return checked


def _revision(rule: Rule) -> str:
    said = [rule.model_dump(mode="json"), stdnum.__version__, _recognizers_digest()]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:12]


@cache
def _recognizers_digest() -> str:
    """Hash the recognizers' own code, so that nobody has to remember to raise a number."""
    sources = (path for path in files("smallfirst_router.recognizers").iterdir())
    python = sorted((path.name, path.read_bytes()) for path in sources if path.name.endswith(".py"))
    return hashlib.sha256(b"\0".join(code for _, code in python)).hexdigest()
