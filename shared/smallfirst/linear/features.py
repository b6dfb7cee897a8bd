"""What a linear model sees of a text: its words and their pairs, and its stretches of characters.

The same functions serve training, answering and explaining, so that none sees another text. Case
and white space are folded first: character by character, so that each keeps its place.
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

#: Lengths of the stretches of characters. With them a word counts that is misspelt or inflected.
STRETCHES: Final = (2, 3, 4, 5)
#: Characters of the longest text that is read: about a tenth of a second on one core.
MAX_CHARS: Final = 50_000
_WORD: Final = re.compile(r"\w+")


class PlacedFeatures(NamedTuple):
    """The features of one block as they occur in a text.

    Attributes:
        names: Of each occurrence, as `BLOCKS` lists them.
        starts: `(occurrences,)`: where each begins in the text.
        ends: `(occurrences,)`: before which place it ends.
    """

    names: list[str]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]


def folded(text: str) -> str:
    """Fold what features do not tell apart: case, and how white space is written."""
    return " ".join(text.casefold().split())


def words_of(text: str) -> list[str]:
    """List the words of a folded text, and every two that follow each other."""
    words = _WORD.findall(text)
    return [*words, *(f"{first} {second}" for first, second in pairwise(words))]


def stretches_of(text: str) -> list[str]:
    """List the stretches of characters of a folded text."""
    size = len(text)
    return [text[at : at + n] for n in STRETCHES for at in range(size - n + 1)]


#: What the two blocks of a model's features are made by, in their order.
BLOCKS: Final = (words_of, stretches_of)


def placed_features(text: str) -> tuple[PlacedFeatures, PlacedFeatures]:
    """Find both blocks' features of a text that is not folded, each where it stands in it."""
    letters, places = _folded_with_places(text)
    words = [match.span() for match in _WORD.finditer(letters)]
    spans = [*words, *((start, end) for (start, _), (_, end) in pairwise(words))]
    starts, ends = np.array(spans, np.int64).reshape(-1, 2).T
    begins = [np.arange(max(0, len(letters) - size + 1)) for size in STRETCHES]
    stops = [begin + size for begin, size in zip(begins, STRETCHES, strict=True)]
    return (
        _in_text(words_of(letters), starts, ends, places),
        _in_text(stretches_of(letters), np.concatenate(begins), np.concatenate(stops), places),
    )


def _in_text(
    names: list[str], starts: NDArray[np.int64], ends: NDArray[np.int64], places: Sequence[int]
) -> PlacedFeatures:
    """Tell of features in a folded text where they stand in the text itself."""
    in_text = np.array(places, np.int64)
    return PlacedFeatures(names, in_text[starts], in_text[ends - 1] + 1)


def _folded_with_places(text: str) -> tuple[str, list[int]]:
    """Fold a text as `folded` does, and tell the place in it of each letter of the outcome."""
    letters: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        is_space = character.isspace()
        if is_space and (not letters or letters[-1] == " "):
            continue
        for letter in " " if is_space else character.casefold():
            letters.append(letter)
            places.append(place)
    if letters and letters[-1] == " ":
        del letters[-1], places[-1]
    return "".join(letters), places
