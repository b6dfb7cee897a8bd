"""How a text is written so that recognizers and patterns can read it, and where it stood.

A text is read as people see it: composed (NFC), and without the characters that nobody sees, such
as the soft hyphens of a page that was set and the zero-width spaces of a web page. Each character
that is read knows its place in the text, so that spans count the job's own characters.
"""

import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache

#: `(start, end)` in characters.
Stretch = tuple[int, int]

#: In a folded text: a letter beyond ASCII that has case (é, Ж), or an accent that combines with
#: one. It continues a word.
LETTER = "\x01"
#: In a folded text: everything else beyond ASCII, and control characters. It ends a word.
OTHER = "\x02"
#: In a folded text: a letter without case, or a mark that belongs to one. It ends a word, because
#: Chinese, Japanese and Thai put no space between word and number, and it may stand in an address.
CASELESS = "\x03"

#: What nobody sees. Source: Unicode, DerivedCoreProperties.txt, Default_Ignorable_Code_Point.
_HIDDEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
#: Most texts hold none of these. What is left out here is read as it is: Latin, Greek, Cyrillic,
#: dashes and quotes, arrows to dingbats, kana, Chinese, Hangul, full-width forms, emoji.
_MAY_CHANGE = re.compile(
    "[^\0-\xac\xae-\u02ff\u0388-\u0482\u048a-\u052f\u2010-\u2027\u2030-\u205e\u20a0-\u20c0"
    "\u2190-\u2319\u2500-\u2adb\u3001-\u3029\u3041-\u3096\u30a1-\u30fe\u4e00-\u9fff\uac00-\ud7a3"
    "\uff01-\uff60\U0001f300-\U0001faff]"
)
#: What a folded text has too, as it is.
_UNFOLDED = re.compile(r"[^\x20-\x7e\t\r\n]")
#: The vowels and final consonants of Hangul that compose with what stands before them.
_JAMO = re.compile("[\u1161-\u1175\u11a8-\u11c2]")
#: Longer runs of marks are cut: sorting them takes the square of their number.
#: Source: Unicode Standard Annex 15, section 13, Stream-Safe Text Format.
_MAX_CLUSTER_CHARS = 31

_ASCII_OF = {"\t": "\t", "\r": "\r", "\n": "\n", "\N{MINUS SIGN}": "-"}
_ASCII_OF_CATEGORY = {"Zl": "\n", "Zp": "\n", "Zs": " ", "Pd": "-"}
#: From a full-width form to its ASCII equal.
_FULLWIDTH_OFFSET = 0xFEE0
#: Up to so many different characters are replaced one after another, which is faster then.
_MOST_REPLACED = 32
#: How many characters are remembered; a script has hundreds, Chinese some thousands.
_REMEMBERED = 8_192


@dataclass(frozen=True, slots=True)
class Reading:
    """A text as it is read.

    Attributes:
        text: What is read.
        starts: Where in the job's text each of its characters begins; None where both are the same.
        ends: Where each ends, the marks that compose with it among it.
    """

    text: str
    starts: Sequence[int] | None = None
    ends: Sequence[int] = ()

    def place(self, start: int, end: int) -> Stretch:
        """Say where a stretch that is not empty stands in the job's text."""
        if self.starts is None:
            return start, end
        return self.starts[start], self.ends[end - 1]


class _Trait(Enum):
    """What a character does to the reading of a text."""

    PLAIN = auto()
    HIDDEN = auto()
    #: It may compose with what stands before it.
    MARK = auto()
    #: By itself it is written otherwise: the sign of the kelvin is a K.
    VARIANT = auto()


@lru_cache(_REMEMBERED)
def _trait(char: str) -> _Trait:
    if is_hidden(char):
        return _Trait.HIDDEN
    if unicodedata.category(char)[0] == "M" or _JAMO.match(char):
        return _Trait.MARK
    is_composed = unicodedata.normalize("NFC", char) == char
    return _Trait.PLAIN if is_composed else _Trait.VARIANT


def is_hidden(char: str) -> bool:
    """Whether nobody sees a character."""
    return _HIDDEN.match(char) is not None


def read(text: str, *, keep_hidden: bool = False) -> Reading:
    """Read a text as people see it.

    Args:
        text: The job's text.
        keep_hidden: Whether the characters that nobody sees are read too.
    """
    if text.isascii() or not _MAY_CHANGE.search(text):
        return Reading(text)
    traits = {char: _trait(char) for char in set(text) if char > "~"}
    hidden = {char for char, trait in traits.items() if trait is _Trait.HIDDEN}
    marks = {char for char, trait in traits.items() if trait is _Trait.MARK}
    has_variants = _Trait.VARIANT in traits.values()
    if keep_hidden:
        hidden.clear()
    if not hidden and not marks and not has_variants:
        return Reading(text)
    return _composed(text, _clusters(text, hidden, marks))


def _clusters(text: str, hidden: Collection[str], marks: Collection[str]) -> list[list[int]]:
    """Gather the places of what is read: a character with the marks that may compose with it."""
    clusters: list[list[int]] = []
    for place, char in enumerate(text):
        if char in hidden:
            continue
        if char in marks and clusters and len(clusters[-1]) < _MAX_CLUSTER_CHARS:
            clusters[-1].append(place)
        else:
            clusters.append([place])
    return clusters


def _composed(text: str, clusters: list[list[int]]) -> Reading:
    pieces: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for places in clusters:
        piece = unicodedata.normalize("NFC", "".join(text[place] for place in places))
        pieces.append(piece)
        starts += [places[0]] * len(piece)
        ends += [places[-1] + 1] * len(piece)
    return Reading("".join(pieces), starts, ends)


def fold(text: str) -> str:
    """Write what is read in ASCII, one character for one, so that its places stay what they were.

    Decimal digits of any script, full-width forms, and the many spaces and dashes become their
    ASCII equals: a card number in full-width digits is still a card number.
    """
    if _UNFOLDED.search(text) is None:
        return text
    odd = sorted(char for char in set(text) if not " " <= char <= "~")
    if len(odd) > _MOST_REPLACED:
        return text.translate({ord(char): _fold_character(char) for char in odd})
    for char in odd:  # control characters first, since others become some
        text = text.replace(char, _fold_character(char))
    return text


@lru_cache(_REMEMBERED)
def _fold_character(char: str) -> str:
    if char in _ASCII_OF:
        return _ASCII_OF[char]
    if char.isdecimal():
        return str(unicodedata.decimal(char))
    if "\N{FULLWIDTH EXCLAMATION MARK}" <= char <= "\N{FULLWIDTH TILDE}":
        return chr(ord(char) - _FULLWIDTH_OFFSET)
    category = unicodedata.category(char)
    if char.lower() != char.upper() or unicodedata.name(char, "").startswith("COMBINING "):
        return LETTER
    return CASELESS if category[0] in "LM" else _ASCII_OF_CATEGORY.get(category, OTHER)
