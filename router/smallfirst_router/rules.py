"""The rule tier: a rule of the catalogue, compiled, and the answer it gives for a text.

Pure and in-process. The built-in recognizers are in `recognizers`; here are the team's own
patterns and what happens where matches overlap. The form of the answer is its kind's; whether it
stands is the cascade's decision.

Linear in the text, for any pattern: one RE2 search is, but a series of them is not where each looks
far ahead of what it takes (`a.*b|a` on a text of a's). So a series looks ahead a fixed number of
bytes, and only so often.
"""

import hashlib
import json
from bisect import bisect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.resources import files
from itertools import islice
from typing import Any, NamedTuple

import re2
import stdnum

from smallfirst.catalogue import Kind, Pattern, Rule
from smallfirst.jobs import Answer, Span
from smallfirst.kinds import KINDS, named
from smallfirst_router.errors import RuleError
from smallfirst_router.recognizers import RECOGNIZERS, Recognizer, Stretch, fold, satisfies

#: Most spans in one answer, and most that one recognizer or pattern contributes: the first ones.
MAX_SPANS = 1_000
#: How far from its start a match of the team's own pattern surely reaches, in bytes of UTF-8; one
#: of up to twice that may be found, a longer one is cut. Only where spans or checks are asked for:
#: a pattern that merely labels a text reads all of it.
MAX_MATCH_BYTES = 4_096
#: Most matches of one pattern that its check is asked about.
MAX_CANDIDATES = 20_000
#: No number that python-stdnum knows is longer.
MAX_CHECKED_CHARS = 128
#: The group of a pattern that is the span, where the rest of the pattern is only its surroundings:
#: RE2 has no look-around. Without one the whole match is.
SPAN_GROUP = "span"

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

    def matches(self, text: str) -> bool:
        """Whether the text holds a match."""
        if self.check is None:
            return self.regex.search(_encoded(text)) is not None
        return next(self.find(text), None) is not None

    def find(self, text: str) -> Iterator[Stretch]:
        """Yield the matches that satisfy the check, in order; an empty match is none."""
        data, group = _encoded(text), self.regex.groupindex.get(SPAN_GROUP, 0)
        num_bytes = num_chars = 0
        for match in islice(search_all(self.regex, data), MAX_CANDIDATES):
            start_byte, end_byte = match.span(group)
            if end_byte <= start_byte:
                continue
            num_chars += _count_chars(data[num_bytes:start_byte])
            num_bytes = start_byte
            start, end = num_chars, num_chars + _count_chars(data[start_byte:end_byte])
            if start < end and self._is_satisfied(text[start:end]):
                yield start, end

    def _is_satisfied(self, piece: str) -> bool:
        if self.check is None:
            return True
        return len(piece) <= MAX_CHECKED_CHARS and satisfies(self.check, fold(piece))


def search_all(regex: Any, data: bytes) -> Iterator[Any]:
    """Yield the matches in order, none overlapping another.

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
            yield match
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

    def answer(self, text: str) -> Answer | None:
        """Answer a text in the form of the task; None where nothing of it applies."""
        of_rule = KINDS[self.kind].of_rule
        assert of_rule is not None, "`compile_rule` refuses the others"
        answer: Answer | None = of_rule(_TextMatches(self, text))
        return answer

    def find(self, text: str) -> tuple[Span, ...]:
        """Find the spans of a text, sorted, none overlapping another, at most `MAX_SPANS`."""
        settled = settle_matches(list(self._claims(text)))
        return tuple(
            Span(start=claim.start, end=claim.end, label=claim.label)
            for claim in settled[:MAX_SPANS]
        )

    def labels(self, text: str) -> Iterator[str]:
        """Yield the label of each recognizer and pattern that matches, in the catalogue's order."""
        folded = fold(text) if self.recognizers else ""
        for name, recognizer in self.recognizers:
            if next(recognizer.find(folded), None) is not None:
                yield name
        for pattern in self.patterns:
            if pattern.matches(text):
                yield pattern.label

    def _claims(self, text: str) -> Iterator[RuleMatch]:
        folded = fold(text) if self.recognizers else ""
        for order, (name, recognizer) in enumerate(self.recognizers):
            for start, end in islice(recognizer.find(folded), MAX_SPANS):
                yield RuleMatch(start, end, name, is_checked=True, order=order)
        for order, pattern in enumerate(self.patterns, start=len(self.recognizers)):
            for start, end in islice(pattern.find(text), MAX_SPANS):
                is_checked = pattern.check is not None
                yield RuleMatch(start, end, pattern.label, is_checked=is_checked, order=order)


@dataclass(frozen=True, slots=True)
class _TextMatches:
    """What a rule finds in one text, for the form of the answer; looked for when it is asked."""

    rule: CompiledRule
    text: str

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
    return CompiledPattern(pattern.label, regex, _check(pattern))


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
