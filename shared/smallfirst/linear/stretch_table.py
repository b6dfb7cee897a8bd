"""The stretches of characters that a model knows, found in many texts at once.

A dictionary has to be asked for each stretch of a text, a string made for the purpose: most of what
an answer cost. Here arrays are asked, by a hash of 64 bits in place of the stretch. That two
stretches share one is less likely than a fault of the memory, and would add a word's weight.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from smallfirst.linear.features import STRETCHES

Hashes = NDArray[np.uint64]

#: Odd numbers without a pattern: for a polynomial over the characters, and to spread its values.
#: Source: Knuth, The Art of Computer Programming, volume 3, section 6.4.
_FACTOR: Final = np.uint64(0xD6E8_FEB8_6659_FD93)
_SPREAD: Final = np.uint64(0x9E37_79B9_7F4A_7C15)
#: Slots for each stretch, so that most are found at the first look.
_ROOM: Final = 4


class Found(NamedTuple):
    """Known stretches, each as often as it occurs.

    Attributes:
        texts: `(occurrences,)`: the number of the text.
        columns: `(occurrences,)`: which stretch it is.
    """

    texts: NDArray[np.int64]
    columns: NDArray[np.int64]


@dataclass(frozen=True)
class StretchTable:
    """A table with open addressing.

    Attributes:
        hashes: `(slots,)`, a power of two.
        columns: `(slots,)`: of the stretch in each slot; -1 where it is empty.
    """

    hashes: Hashes
    columns: NDArray[np.int64]

    @classmethod
    def of(cls, known: Mapping[str, int]) -> "StretchTable":
        """Make the table of stretches and their columns."""
        bits = max(1, len(known) * _ROOM - 1).bit_length()
        table = cls(np.zeros(2**bits, np.uint64), np.full(2**bits, -1, np.int64))
        for size in STRETCHES:
            names = [name for name in known if len(name) == size]
            hashes = _hashes(_codes("".join(names)), size)[::size]
            table._put(hashes, np.array([known[name] for name in names], np.int64))
        return table

    def find(self, texts: Sequence[str]) -> Found:
        """Find all that is known in folded texts."""
        sizes = np.array([len(text) for text in texts], np.int64)
        codes = _codes("".join(texts))
        # How many characters of its text there are from each on.
        left = np.repeat(np.cumsum(sizes), sizes) - np.arange(len(codes))
        of_text = np.repeat(np.arange(len(texts)), sizes)
        found = [self._find_of_size(codes, left, of_text, size) for size in STRETCHES]
        return Found(*(np.concatenate(parts) for parts in zip(*found, strict=True)))

    def _find_of_size(
        self, codes: Hashes, left: NDArray[np.int64], of_text: NDArray[np.int64], size: int
    ) -> Found:
        is_whole = (left >= size)[: max(0, len(codes) - size + 1)]
        columns = self._columns_of(_hashes(codes, size)[is_whole])
        is_known = columns >= 0
        return Found(of_text[: len(is_whole)][is_whole][is_known], columns[is_known])

    def _columns_of(self, hashes: Hashes) -> NDArray[np.int64]:
        """Look stretches up: `(stretches,)`, -1 where one is not known."""
        slots = self._slots_of(hashes)
        columns = self.columns[slots]
        unsure = np.flatnonzero((self.hashes[slots] != hashes) & (columns >= 0))
        while len(unsure):
            slots[unsure] = (slots[unsure] + 1) % len(self.hashes)
            columns[unsure] = self.columns[slots[unsure]]
            is_other = self.hashes[slots[unsure]] != hashes[unsure]
            unsure = unsure[is_other & (columns[unsure] >= 0)]
        return columns

    def _put(self, hashes: Hashes, columns: NDArray[np.int64]) -> None:
        slots = self._slots_of(hashes)
        while len(slots):
            is_free = self.columns[slots] < 0
            # Of those that want the same slot the last one has it.
            self.hashes[slots[is_free]] = hashes[is_free]
            self.columns[slots[is_free]] = columns[is_free]
            is_left = self.columns[slots] != columns
            slots, hashes, columns = slots[is_left] + 1, hashes[is_left], columns[is_left]
            slots %= len(self.hashes)

    def _slots_of(self, hashes: Hashes) -> NDArray[np.int64]:
        """Where each would like to be."""
        bits = len(self.hashes).bit_length() - 1
        return (hashes * _SPREAD >> np.uint64(64 - bits)).astype(np.int64)


def _codes(text: str) -> Hashes:
    """The characters of a text as numbers, none of them 0: `(characters,)`."""
    encoded = text.encode("utf-32-le", "surrogatepass")
    return np.frombuffer(encoded, np.uint32).astype(np.uint64) + np.uint64(1)


def _hashes(codes: Hashes, size: int) -> Hashes:
    """Hash every stretch of so many characters: `(characters - size + 1,)`."""
    count = max(0, len(codes) - size + 1)
    hashes = np.zeros(count, np.uint64)
    for place in range(size):
        hashes = hashes * _FACTOR + codes[place : place + count]
    return hashes
