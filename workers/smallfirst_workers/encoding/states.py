"""What a model made of a text: a vector of the whole and one of each word, its windows merged."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smallfirst_workers.encoding.runtimes.base import States
from smallfirst_workers.encoding.tokenising import TokenizedText
from smallfirst_workers.encoding.windows import Window
from smallfirst_workers.encoding.words import find_words, words_of_tokens


@dataclass(frozen=True)
class WordStates:
    """The words of a text that have tokens, and what the model made of them.

    Attributes:
        places: `(words, 2)`, int64: start and end in characters.
        sums: `(words, width)`, float32: sum over the word's tokens.
        num_tokens: `(words,)`, int64: how many those are, at least 1.
    """

    places: NDArray[np.int64]
    sums: States
    num_tokens: NDArray[np.int64]

    @property
    def vectors(self) -> States:
        """`(words, width)`: mean over each word's tokens."""
        return np.asarray(self.sums / self.num_tokens[:, None], np.float32)


@dataclass(frozen=True)
class TextStates:
    """What the model made of one text.

    Attributes:
        text: The text.
        total: `(width,)`, float32: `weight` times the text's vector.
        weight: Over how many tokens that is a sum; 0 where the text has none.
        words: Only where they were asked for.
        num_tokens: Tokens read, special and overlapping ones included, padding not.
        num_windows: Through how many windows it was read.
    """

    text: str
    total: States
    weight: int
    words: WordStates | None
    num_tokens: int
    num_windows: int = 1

    @property
    def vector(self) -> States:
        """`(width,)`: mean over the text's tokens, not normalised."""
        return np.asarray(self.total / max(1, self.weight), np.float32)

    @property
    def is_empty(self) -> bool:
        """Whether there was nothing in the text that the model could read."""
        return self.weight == 0


class WindowMerger:
    """The states of a text while its windows come in, in any order.

    The vectors of windows are averaged, each weighted by its tokens: that is the vector of the text
    as if it had been read at once, and the one a head was trained on. The highest probability of
    any window counts instead (`takes_max`) where a classifier judges every label for itself: what
    one paragraph is about, the text is about.
    """

    def __init__(self, reading: TokenizedText, *, wants_words: bool, takes_max: bool) -> None:
        self._reading = reading
        self._takes_max = takes_max
        self._total: States | None = None
        self._weight = 0
        self._num_tokens = 0
        self._places = find_words(reading.text) if wants_words else None
        self._word_sums: States | None = None
        self._token_words = (
            words_of_tokens(reading.offsets, self._places) if self._places is not None else None
        )

    def add_window(self, total: States, weight: int, num_tokens: int) -> None:
        """Add a window's vector.

        Args:
            total: `(width,)`, `weight` times the vector.
            weight: Tokens that are taken from this window.
            num_tokens: Tokens that were read in it.
        """
        self._num_tokens += num_tokens
        if self._takes_max:
            vector = np.asarray(total / weight, np.float32)
            self._total = vector if self._total is None else np.maximum(self._total, vector)
            self._weight = 1
        else:
            self._total = total if self._total is None else self._total + total
            self._weight += weight

    def add_words(self, window: Window, states: States) -> None:
        """Add the states `(kept tokens, width)` of the tokens that are taken from a window."""
        if self._places is None or self._token_words is None:
            return
        if self._word_sums is None:
            self._word_sums = np.zeros((len(self._places), states.shape[1]), np.float32)
        numbers = self._token_words[window.keep_start : window.keep_end]
        np.add.at(self._word_sums, numbers[numbers >= 0], states[numbers >= 0])

    def finish(self) -> TextStates:
        """The text's states, all windows being in."""
        total = np.zeros(1, np.float32) if self._total is None else self._total
        return TextStates(
            text=self._reading.text,
            total=total,
            weight=self._weight,
            words=self._finish_words(),
            num_tokens=self._num_tokens,
            num_windows=len(self._reading.windows),
        )

    def _finish_words(self) -> WordStates | None:
        """Drop the words without a token of their own (part of one that belongs to a neighbour)."""
        if self._places is None or self._token_words is None or self._word_sums is None:
            return None
        counts = np.bincount(self._token_words[self._token_words >= 0], minlength=len(self._places))
        has_tokens = counts > 0
        return WordStates(self._places[has_tokens], self._word_sums[has_tokens], counts[has_tokens])
