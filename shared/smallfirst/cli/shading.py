"""A text with the words that drove its answer shaded, for a terminal; in brackets for all else.

The text is a stranger's: what would move a terminal's cursor or turn its writing round is escaped.
"""

import sys
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Console
from rich.text import Text

from smallfirst.answers import AnyAnswer, Evidence, Explanation, RecordAnswer, SpansAnswer
from smallfirst.cli.output import console, say

#: Characters of the text that are shown beside a mark; a longer stretch without any is left out.
_BESIDE: Final = 200
#: Characters of a row that a text is like.
_OF_ROW: Final = 100
#: Backgrounds, weakest first: what spoke for the label, and what spoke against it.
_FOR: Final = ("on rgb(215,240,215)", "on rgb(160,215,160)", "on rgb(95,185,95)")
_AGAINST: Final = ("on rgb(250,220,215)", "on rgb(240,175,165)", "on rgb(225,120,110)")
#: Unicode's controls, invisible formatting (which turns writing round), and halves of characters.
_HOSTILE: Final = frozenset({"Cc", "Cf", "Cs"})
#: How people read the ways in which words are weighed.
_METHODS: Final = {
    "weights": "the words' own weights in a linear model, exactly",
    "states": "each word's share of the score, in its context",
    "occlusion": "what the score loses without the words",
    "matches": "what a rule found",
}


@dataclass(frozen=True)
class Mark:
    """A stretch of the text that is shown.

    Attributes:
        start: Its first character.
        end: Behind its last one.
        note: What is said of it.
        weight: Against the heaviest, from -1 to 1.
    """

    start: int
    end: int
    note: str
    weight: float = 1.0


@dataclass(frozen=True)
class Piece:
    """A part of what is shown: words of the text, with the mark that they bear."""

    text: str
    mark: Mark | None = None


def print_explanation(
    answer: AnyAnswer, text: str | None, rows: Mapping[str, str] | None = None
) -> None:
    """Write why, for people: the text with its words shaded, and what the others add up to.

    Args:
        answer: Explained.
        text: The job's, where it is at hand.
        rows: Texts of rows by their keys; None where nobody gave any.
    """
    evidence: tuple[Evidence, ...] = getattr(answer, "evidence", ())
    if text is not None:
        print_shaded(console(), text, marks_of(answer, text))
    else:
        for each in evidence:
            say(f"  characters {each.start} to {each.end}: {note_of(each)}")
    explanation: Explanation | None = getattr(answer, "explanation", None)
    if explanation is not None:
        for line in _in_words(explanation, sum(each.weight for each in evidence), rows):
            say(line)


def marks_of(answer: AnyAnswer, text: str) -> list[Mark]:
    """What of a text an answer points at, none overlapping another, in its order."""
    if isinstance(answer, SpansAnswer):
        found = [Mark(each.start, each.end, each.label) for each in answer.spans]
    elif isinstance(answer, RecordAnswer):
        found = _quoted(answer.record.get("quote"), text)
    else:
        found = _weighed(getattr(answer, "evidence", ()))
    return list(_apart(mark for mark in found if mark.end <= len(text)))


def note_of(evidence: Evidence) -> str:
    """What is said of a stretch: its weight, or what of a rule found it."""
    return evidence.rule or f"{evidence.weight:+.2f}"


def pieces_of(text: str, marks: Sequence[Mark]) -> Iterator[Piece]:
    """Cut a text at its marks, and leave out what is far from any."""
    at = 0
    for mark in marks:
        yield Piece(_shortened(text[at : mark.start], first=_BESIDE * (at > 0), last=_BESIDE))
        yield Piece(text[mark.start : mark.end], mark)
        at = mark.end
    yield Piece(_shortened(text[at:], first=_BESIDE if marks else 2 * _BESIDE, last=0))


def print_shaded(out: Console, text: str, marks: Sequence[Mark]) -> None:
    """Write a text to a console, its marks shaded; in brackets where there are no colours."""
    is_plain = out.color_system is None or out.no_color
    encoding = getattr(out.file, "encoding", None) or sys.getdefaultencoding()
    line = Text()
    for piece in pieces_of(text, marks):
        words = harmless(piece.text, encoding)
        if piece.mark is None:
            line.append(words)
        elif is_plain:
            line.append(f"[{words} {harmless(piece.mark.note, encoding)}]")
        else:
            line.append(words, style=f"black {_background(piece.mark.weight)}")
    out.print(line, soft_wrap=True, markup=False, emoji=False)


def harmless(text: str, encoding: str = "utf-8") -> str:
    """A text without what a terminal would obey, or has no sign for."""
    seen = "".join(
        f"\\u{ord(each):04x}"
        if unicodedata.category(each) in _HOSTILE and each not in "\n\t"
        else each
        for each in text
    )
    return seen.encode(encoding, "backslashreplace").decode(encoding)


def _in_words(
    explanation: Explanation, named: float, rows: Mapping[str, str] | None
) -> Iterator[str]:
    method = _METHODS.get(explanation.method, str(explanation.method))
    yield f"  {explanation.label}: {method}"
    for one in explanation.alike:
        labels = ", ".join(one.labels) or "no label"
        told = "" if rows is None else f": {_row_in_words(rows.get(one.key or ''))}"
        yield f"  like row {one.number:,} ({labels}), {one.likeness:.2f} alike{told}"
    if explanation.score is None:
        return
    if explanation.bias is None or explanation.rest is None:
        yield f"  score {explanation.score:+.2f}"
        return
    parts = (explanation.bias, named, explanation.rest, explanation.score)
    bias, words, rest, score = (f"{part:+.2f}" for part in parts)
    yield f"  score {score} = before any word {bias}, these words {words}, the rest {rest}"


def _row_in_words(text: str | None) -> str:
    """A row's text on one line, shortened; or that it is not here."""
    if text is None:
        return "its text is in none of these files"
    line = " ".join(text.split())
    return harmless(line if len(line) <= _OF_ROW else f"{line[:_OF_ROW]} [...]")


def _weighed(evidence: Sequence[Evidence]) -> list[Mark]:
    heaviest = max((abs(each.weight) for each in evidence), default=0.0) or 1.0
    return [Mark(each.start, each.end, note_of(each), each.weight / heaviest) for each in evidence]


def _quoted(quote: object, text: str) -> list[Mark]:
    start = text.find(quote) if isinstance(quote, str) and quote else -1
    return [Mark(start, start + len(str(quote)), "quote")] if start >= 0 else []


def _apart(marks: Iterable[Mark]) -> Iterator[Mark]:
    at = 0
    for mark in sorted(marks, key=lambda each: (each.start, -each.end)):
        if mark.start >= at and mark.end > mark.start:
            yield mark
            at = mark.end


def _shortened(text: str, *, first: int, last: int) -> str:
    """The first and the last characters of a text that is longer than is shown at once."""
    left_out = len(text) - first - last
    if len(text) <= 2 * _BESIDE or left_out <= 0:
        return text
    return f"{text[:first]} [... {left_out:,} characters ...] {text[len(text) - last :]}"


def _background(weight: float) -> str:
    shades = _FOR if weight > 0 else _AGAINST
    return shades[min(len(shades) - 1, int(abs(weight) * len(shades)))]
