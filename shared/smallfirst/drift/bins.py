"""Bins: what is counted of jobs and of rows alike, and into which few classes it falls. Pure.

The classes are fixed before any row or job is seen, as what is made of the counts supposes.
"""

from bisect import bisect_right
from enum import StrEnum
from typing import Final

#: Confidences at which the next bin begins. A label of many is seldom surer than 0.3; beyond 0.9
#: doubt is told apart by half decades.
_CONFIDENCES: Final = (0.3, 0.5, 0.7, 0.9, 0.97, 0.99, 0.997, 0.999)
#: Lengths in characters at which the next bin begins: each twice as long as the one before.
_LENGTHS: Final = (32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)

#: The bin of attempts without an answer, as where a model wrote none that could be read.
NO_ANSWER: Final = "none"
#: By where each begins.
CONFIDENCE_BINS: Final = (NO_ANSWER, *(f"{edge:g}" for edge in (0.0, *_CONFIDENCES)))
LENGTH_BINS: Final = tuple(str(edge) for edge in (0, *_LENGTHS))
#: Whether a step's answer stood; what did not was escalated, or abstained from at the last step.
ACCEPTED, ESCALATED = "accepted", "escalated"
ESCALATION_BINS: Final = (ACCEPTED, ESCALATED)
#: The most labels that are counted apart, in the order of the catalogue.
MAX_LABELS: Final = 100
#: The bin of all other labels. No label is called so: each has a character that can be seen.
OTHER_LABELS: Final = ""

#: The place of a length's bin by how many bits the length has.
_MOST_BITS: Final = _LENGTHS[-1].bit_length()
_BIN_OF_BITS: Final = tuple(max(0, bits - 5) for bits in range(_MOST_BITS + 1))


class What(StrEnum):
    """What of jobs is compared."""

    LENGTH = "length"
    LABEL = "label"
    CONFIDENCE = "confidence"
    ESCALATION = "escalation"


def confidence_bin(confidence: float | None) -> int:
    """The place in `CONFIDENCE_BINS`; 0 where there is no answer."""
    return bisect_right(_CONFIDENCES, confidence) + 1 if confidence else 0


def length_bin(num_chars: int) -> int:
    """The place in `LENGTH_BINS` of a text of so many characters."""
    return _BIN_OF_BITS[min(num_chars.bit_length(), _MOST_BITS)]


def label_bins(labels: tuple[str, ...]) -> tuple[str, ...]:
    """The bins of a task's labels."""
    return (*labels[:MAX_LABELS], OTHER_LABELS)
