"""The rule tier: a rule of the catalogue, compiled, and the answer it gives for a text.

Pure and in-process. The built-in recognizers are in `recognizers`, the team's own patterns in
`patterns`; here is what happens where matches overlap. The form of the answer is its kind's;
whether it stands is the cascade's decision.
"""

import hashlib
import json
from bisect import bisect
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import chain, islice
from typing import NamedTuple

import stdnum

from smallfirst.answers import (
    MAX_EVIDENCE,
    Answer,
    Evidence,
    Explanation,
    ExplanationMethod,
    LabelAnswer,
    LabelsAnswer,
    Reasons,
    Span,
    with_reasons,
)
from smallfirst.catalogue import Kind, Rule
from smallfirst.kinds import KINDS, named
from smallfirst_router.errors import RuleError
from smallfirst_router.patterns import CompiledPattern, TextReadings, compile_pattern
from smallfirst_router.recognizers import RECOGNIZERS, Recognizer

#: Most spans in one answer: about a MiB of JSON, as large as a job may be.
MAX_SPANS = 20_000


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

    def answer(self, text: str, *, is_explained: bool = False) -> "RuleAnswer":
        """Answer a text in the form of the task; without an answer where nothing of it applies.

        Args:
            text: The job's.
            is_explained: Whether a label is answered with what was found for it. Spans tell that
                by themselves.
        """
        of_rule = KINDS[self.kind].of_rule
        assert of_rule is not None, "`compile_rule` refuses the others"
        read_text = TextReadings(text)
        answer: Answer | None = of_rule(_TextMatches(self, read_text))
        if is_explained and isinstance(answer, LabelAnswer | LabelsAnswer):
            answer = with_reasons(answer, self._reasons(text, answer))
        if not read_text.bounds:
            return RuleAnswer(answer, None)
        unsure = answer and answer.model_copy(update={"confidence": 0.0})
        return RuleAnswer(unsure, "; ".join(dict.fromkeys(read_text.bounds)))

    def find(self, text: TextReadings) -> tuple[Span, ...]:
        """Find the spans of a text, sorted, none overlapping another."""
        settled = settle_matches(list(self._claims(text)))
        if len(settled) > MAX_SPANS:
            text.bounds.append(f"the text has more than {MAX_SPANS} spans")
        return tuple(
            Span(start=claim.start, end=claim.end, label=claim.label)
            for claim in settled[:MAX_SPANS]
        )

    def labels(self, text: TextReadings) -> Iterator[str]:
        """Yield the label of each recognizer and pattern that matches, in the catalogue's order."""
        for name, recognizer in self.recognizers:
            if next(recognizer.find(text.folded), None) is not None:
                yield name
        for pattern in self.patterns:
            if pattern.matches(text):
                yield pattern.label

    def _reasons(self, text: str, answer: LabelAnswer | LabelsAnswer) -> Reasons:
        """Name the first that each recognizer and pattern of the answered labels found.

        The text is read anew, since places are looked for in bounded stretches where labels are
        not: a bound that is met here is none that the answer met.
        """
        labels = (answer.label,) if isinstance(answer, LabelAnswer) else answer.labels
        found = islice(self._finds(TextReadings(text), labels), MAX_EVIDENCE)
        evidence = tuple(sorted(found, key=lambda each: each.start))
        explanation = Explanation(method=ExplanationMethod.MATCHES, label=labels[0])
        return Reasons(evidence, explanation)

    def _finds(self, text: TextReadings, labels: Collection[str]) -> Iterator[Evidence]:
        """Yield stretches found for labels: of each finder the first, then of each the others."""
        reading = text.reading()
        finders = [
            (f"find.{name}", (reading.place(*each) for each in recognizer.find(text.folded)))
            for name, recognizer in self.recognizers
            if name in labels
        ] + [
            (f"patterns.{number}", pattern.find(text))
            for number, pattern in enumerate(self.patterns)
            if pattern.label in labels
        ]
        firsts = [(name, next(found, None)) for name, found in finders]
        others = ((name, place) for name, found in finders for place in found)
        for name, place in chain(firsts, others):
            if place is not None:
                yield Evidence(start=place[0], end=place[1], weight=1.0, rule=name)

    def _claims(self, text: TextReadings) -> Iterator[RuleMatch]:
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
        patterns=tuple(compile_pattern(pattern) for pattern in rule.patterns),
        revision=_revision(rule),
    )


def _recognizer(name: str) -> Recognizer:
    if name not in RECOGNIZERS:
        raise RuleError(
            name, f"no built-in recognizer of this name; there are {', '.join(RECOGNIZERS)}"
        )
    return RECOGNIZERS[name]


def _revision(rule: Rule) -> str:
    said = [rule.model_dump(mode="json"), stdnum.__version__, _recognizers_digest()]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:12]


@cache
def _recognizers_digest() -> str:
    """Hash the recognizers' own code, so that nobody has to remember to raise a number."""
    sources = (path for path in files("smallfirst_router.recognizers").iterdir())
    python = sorted((path.name, path.read_bytes()) for path in sources if path.name.endswith(".py"))
    return hashlib.sha256(b"\0".join(code for _, code in python)).hexdigest()
