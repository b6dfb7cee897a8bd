"""Words: the units that are tagged and explained, so that no answer ever ends inside of one.

A tokenizer's pieces are not words (`j`, `##ohn`, `@`, `mail`), and white space alone is no border
either: scripts exist that do without, and a full stop belongs to no name. Pure functions on text.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import regex
from numpy.typing import NDArray

from smallfirst.answers import Span

#: One word: a character of a script without spaces; or a link; or letters, digits and their marks,
#: held together by what stands inside names, handles, addresses, dates, amounts and numbers; or any
#: other single character as people see it (a grapheme: an emoji with all its parts). Links and
#: handles in pieces cost a tagger a fifth of its finds (WNUT17: entity F1 0.247 against 0.310).
#: What nobody sees (`DI`: soft hyphens, zero-width spaces) parts no word: half a name is none.
_WORD = regex.compile(
    r"""
    [\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]\p{M}*
    | \p{L}+://\S*[\p{L}\p{N}/]
    | [@\#]?[\p{L}\p{N}_]\p{M}*
      (?: [\p{L}\p{N}\p{M}_\u200c\u200d]
        | \p{DI}++(?=[\p{L}\p{N}_])
        | \p{DI}*+['\u2019.@\-]\p{DI}*+(?=[\p{L}\p{N}])
        | (?<=\p{N})\p{DI}*+[,:/]\p{DI}*+(?=\p{N})
      )*
    | (?!\s)\X
    """,
    regex.VERBOSE | regex.VERSION1,
)
#: Unicode's categories of punctuation and control characters; symbols (amounts, emoji) are none.
_MARKS = frozenset({"Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Pc", "Cc"})
#: Punctuation that may begin or end a span: a handle, a tag, a percentage.
_KEPT_MARKS = frozenset("@#%&_")
#: Brackets and quotes; a span keeps the second of a pair if the first stands in it, and vice versa.
_CLOSED_BY = {"(": ")", "[": "]", "{": "}", "<": ">", "\u00ab": "\u00bb", "\u201c": "\u201d"}
_OPENED_BY = {closing: opening for opening, closing in _CLOSED_BY.items()}
_POSSESSIVE = ("'s", "\u2019s")


@dataclass(frozen=True)
class Tag:
    """What was decided about one word.

    Attributes:
        label: None for a word outside every span.
        confidence: Probability of the decision.
        is_first: Whether a span begins here even where the word before bears the same label.
    """

    label: str | None
    confidence: float
    is_first: bool = False


def find_words(text: str) -> NDArray[np.int64]:
    """Find the words of a text: `(words, 2)`, start and end in characters."""
    found = [match.span() for match in _WORD.finditer(text)]
    return np.array(found, np.int64).reshape(-1, 2)


def words_of_tokens(offsets: NDArray[np.int64], words: NDArray[np.int64]) -> NDArray[np.int64]:
    """Say to which word each token belongs: `(tokens,)`, -1 where to none.

    A token belongs to the word of its last character, since some tokenizers count the space before
    a word in, and to the word of its first where the last is in none.
    """
    starts, ends = offsets[:, 0], offsets[:, 1]
    last = _words_at(np.maximum(ends - 1, 0), words)
    found = np.where(last >= 0, last, _words_at(starts, words))
    return np.where(ends > starts, found, -1)


def join_words(text: str, words: NDArray[np.int64], tags: Sequence[Tag]) -> tuple[Span, ...]:
    """Join tagged words into spans, in order of their start.

    Neighbours with one label are one span, unless a line ends between them. A span loses the
    punctuation at its ends, and vanishes if it was nothing else. Its confidence is that of its
    least sure word: a redaction that misses one word of a name has missed the name.
    """
    runs: list[list[int]] = []
    for number, tag in enumerate(tags):
        if tag.label is None:
            continue
        if runs and _continues(text, words, tags, runs[-1][-1], number):
            runs[-1].append(number)
        else:
            runs.append([number])
    spans = (_span(text, words, tags, run) for run in runs)
    return tuple(span for span in spans if span is not None)


def label_words(words: NDArray[np.int64], spans: Sequence[Span]) -> list[str | None]:
    """Say which span's label each word bears: that of a span which covers half of it or more."""
    labels: list[str | None] = [None] * len(words)
    for span in spans:
        overlap = np.minimum(words[:, 1], span.end) - np.maximum(words[:, 0], span.start)
        for number in np.flatnonzero(2 * overlap >= words[:, 1] - words[:, 0]):
            labels[number] = span.label
    return labels


def trim(text: str, start: int, end: int) -> tuple[int, int]:
    """Take white space and punctuation off the ends of `text[start:end]`; may leave nothing."""
    while start < end and _is_loose(text, start, start, end):
        start += 1
    while start < end and _is_loose(text, end - 1, start, end):
        end -= 1
    if text[start:end].endswith(_POSSESSIVE) and end - start > 2:
        end -= 2
    return start, end


def _words_at(characters: NDArray[np.int64], words: NDArray[np.int64]) -> NDArray[np.int64]:
    """Say which word each character stands in, -1 where in none."""
    if not len(words):
        return np.full(len(characters), -1, np.int64)
    numbers = np.searchsorted(words[:, 0], characters, side="right") - 1
    return np.where((numbers >= 0) & (characters < words[numbers, 1]), numbers, -1)


def _is_loose(text: str, at: int, start: int, end: int) -> bool:
    """Whether what stands at one end of a span belongs to the sentence around it."""
    mark = text[at]
    if mark.isspace():
        return True
    is_mark = unicodedata.category(mark) in _MARKS or mark in _OPENED_BY or mark in _CLOSED_BY
    if mark in _KEPT_MARKS or not is_mark:
        return False
    if at == start and mark in _CLOSED_BY:
        return text.find(_CLOSED_BY[mark], at + 1, end) < 0
    if at == end - 1 and mark in _OPENED_BY:
        return text.find(_OPENED_BY[mark], start, at) < 0
    return True


def _continues(
    text: str, words: NDArray[np.int64], tags: Sequence[Tag], before: int, number: int
) -> bool:
    if number != before + 1 or tags[number].is_first or tags[number].label != tags[before].label:
        return False
    return "\n" not in text[words[before, 1] : words[number, 0]]


def _span(
    text: str, words: NDArray[np.int64], tags: Sequence[Tag], run: Sequence[int]
) -> Span | None:
    start, end = trim(text, int(words[run[0], 0]), int(words[run[-1], 1]))
    label = tags[run[0]].label
    if start >= end or label is None:
        return None
    confidence = min(tags[number].confidence for number in run)
    return Span(start=start, end=end, label=label, confidence=confidence)
