"""A quote: whether a text has it, where, and whether it is enough to rest a verdict on. Pure.

A model copies what it reads, and not how that was set: it writes a straight quotation mark for a
curly one, a blank for a line break, one character where the text has two. So both are compared
folded, and what is found is the text's own stretch. Case is not folded.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

#: What a quote must have, one or the other, unless it is all that the text has: with less it stands
#: in nearly any text.
MIN_WORDS: Final = 3
MIN_LETTERS: Final = 6

_WORD: Final = re.compile(r"\w+")
_MARKS: Final = {
    **dict.fromkeys(map(ord, "\u2018\u2019\u201a\u201b\u2032\u2039\u203a`\u00b4"), "'"),
    **dict.fromkeys(map(ord, "\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb"), '"'),
    ord("\u2212"): "-",
}
#: Vowels and final consonants of Korean, which join the character before them.
_JOINING: Final = range(0x1160, 0x1200)

#: Of each folded character: where what it was made of begins and ends in the text.
Origins = list[tuple[int, int]]


def find_quote(quote: str, text: str) -> str | None:
    """Find the stretch of a text that a quote was copied from, without the blanks around it.

    Returns:
        The stretch as the text has it; None where there is none, or where it is too little.
    """
    wanted = _folded(quote)[0].strip()
    if not _is_enough(wanted, text):
        return None
    if quote.strip() in text:
        return quote.strip()
    folded, origins = _folded(text)
    start = folded.find(wanted)
    return None if start < 0 else text[origins[start][0] : origins[start + len(wanted) - 1][1]]


def _is_enough(wanted: str, text: str) -> bool:
    letters = _letters(wanted)
    if len(letters) >= MIN_LETTERS or len(_WORD.findall(wanted)) >= MIN_WORDS:
        return True
    return bool(letters) and letters == _letters(_folded(text)[0])


def _letters(folded: str) -> str:
    """Leave out all but letters and digits."""
    return "".join(filter(str.isalnum, folded))


def _folded(text: str) -> tuple[str, Origins]:
    """Fold a text, and tell where each character of it comes from."""
    folded: list[str] = []
    origins: Origins = []
    for start, end in _characters(text):
        for character in _plain(text[start:end]):
            if character == " " and folded and folded[-1] == " ":
                continue
            folded.append(character)
            origins.append((start, end))
    return "".join(folded), origins


def _characters(text: str) -> Iterator[tuple[int, int]]:
    """Tell where each character begins and ends, with the marks that are composed with it."""
    start = 0
    for place in range(1, len(text)):
        if not (unicodedata.combining(text[place]) or ord(text[place]) in _JOINING):
            yield start, place
            start = place
    if text:
        yield start, len(text)


def _plain(character: str) -> Iterator[str]:
    """Fold one character: nothing for one that is not seen, such as a soft hyphen."""
    for plain in unicodedata.normalize("NFKC", character.translate(_MARKS)):
        if plain.isspace():
            yield " "
        elif (category := unicodedata.category(plain)) != "Cf":
            yield "-" if category == "Pd" else plain
