"""What a head sees of a word beside the encoder's state: its neighbours, and how it is written.

An encoder that lower-cases everything has no capitals left, and a comma's state says little of
whether an address goes on. Pure functions of a text and its words' states.
"""

import numpy as np
from numpy.typing import NDArray

from smallfirst.linear.probabilities import Floats, normalise
from smallfirst_workers.encoding.states import WordStates

#: How much a neighbour's state and a mark of writing weigh beside the word's own state of length 1,
#: which sets how strongly each is regularised. Chosen on the examples of the demo's `pii` alone, in
#: cross-validation: log loss of a text 0.69, and 0.71 to 0.75 for other pairs of 0.5 to 1 and 0.2
#: to 0.5.
_NEIGHBOUR, _WRITING = np.float32(0.7), np.float32(0.3)
#: A number of up to three digits, or exactly four or five: houses, years, postcodes.
_SHORT_NUMBER = 3
#: What `writing` says of a word.
_NUM_MARKS = 20


def with_surroundings(text: str, words: WordStates) -> Floats:
    """Put each word's state, both neighbours', and how all three are written, side by side.

    Returns:
        `(words, 3 * width + 3 * marks)`.
    """
    own = normalise(words.vectors)
    near, marks = own * _NEIGHBOUR, writing(text, words.places) * _WRITING
    parts = (own, _before(near), _after(near), marks, _before(marks), _after(marks))
    return np.concatenate(parts, axis=1)


def writing(text: str, places: NDArray[np.int64]) -> Floats:
    """Say how words are written: `(words, marks)`, 0 or 1 each."""
    spots = places.tolist()
    ends = [0, *(end for _, end in spots[:-1])]
    starts = [*(start for start, _ in spots[1:]), len(text)]
    rows = [
        (
            *_letters(text[start:end]),
            *_digits(text[start:end]),
            before == 0 == number or "\n" in text[before:start],
            after == len(text) or "\n" in text[end:after],
            number > 0 and before == start,
            number + 1 < len(spots) and after == end,
        )
        for number, ((start, end), before, after) in enumerate(
            zip(spots, ends, starts, strict=True)
        )
    ]
    return np.array(rows, np.float32).reshape(len(spots), _NUM_MARKS)


def own_width(width: int) -> int:
    """How much of the width of `with_surroundings` is a word's own state: its first part."""
    return width // 3 - _NUM_MARKS


def _letters(word: str) -> tuple[bool, ...]:
    inside = word[1:-1]
    return (
        word[0].isupper(),
        word[0].islower(),
        len(word) > 1 and word.isupper(),
        len(word) == 1,
        len(word) <= _SHORT_NUMBER,
        not any(map(str.isalnum, word)),
        word == ",",
        word == ".",
        "@" in word,
        "." in inside,
        "-" in inside,
    )


def _digits(word: str) -> tuple[bool, ...]:
    is_number = word.isdigit()
    return (
        any(map(str.isdigit, word)),
        is_number,
        is_number and len(word) <= _SHORT_NUMBER,
        is_number and len(word) == _SHORT_NUMBER + 1,
        is_number and len(word) == _SHORT_NUMBER + 2,
    )


def _before(rows: Floats) -> Floats:
    """Each row's predecessor; zeros before the first."""
    return np.concatenate([np.zeros_like(rows[:1]), rows[:-1]])


def _after(rows: Floats) -> Floats:
    """Each row's successor; zeros after the last."""
    return np.concatenate([rows[1:], np.zeros_like(rows[:1])])
