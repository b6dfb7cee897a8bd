"""What a large model writes, token by token, and the JSON in it: parsed, never executed. Pure.

What it wrote is data from outside. What does not fit is an `InvalidAnswer`, with the reason and
without a word of what was written.
"""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Final

from pydantic import JsonValue

_DECODER: Final = json.JSONDecoder()
#: The highest log-probability that is one: what is above 0 by more than rounding is nonsense.
MAX_LOGPROB: Final = 1e-4

_BLANKS: Final = re.compile(r"[ \t\r\n]*")


@dataclass(frozen=True)
class _Placed:
    """A token of a completion, and at which of its characters it begins."""

    place: int
    piece: str
    logprob: float


@dataclass(frozen=True)
class Completion:
    """One thing a model wrote.

    Attributes:
        text: All of it.
        pieces: Of the text, one a token, in order.
        logprobs: Natural, of each token.
        is_whole: Whether the model ended it; else it ran into its bound.
    """

    text: str
    pieces: tuple[str, ...]
    logprobs: tuple[float, ...]
    is_whole: bool

    @property
    def mean_probability(self) -> float:
        """Geometric mean of the tokens' probabilities; 0 where they tell nonsense."""
        if not self.logprobs or not self._are_probabilities(self.logprobs):
            return 0.0
        return min(1.0, math.exp(sum(self.logprobs) / len(self.logprobs)))

    def probability(self, start: int, end: int) -> float:
        """How likely the tokens were that touch `text[start:end]`, all together.

        Where the pieces are not those of the text, nobody knows which tokens these are: then it is
        how likely all tokens were, which is never more. It is 0 where one of them tells nonsense: a
        model that has broken down is sure of nothing.
        """
        touching = [each.logprob for each in self._touching(start, end)]
        if not self._tells_places:
            touching = list(self.logprobs)
        if not touching or not self._are_probabilities(touching):
            return 0.0
        return min(1.0, math.exp(sum(touching)))

    def part(self, start: int, end: int) -> "Completion":
        """Take `text[start:end]`, with its tokens; with all where nobody knows which they are."""
        if (start, end) == (0, len(self.text)):
            return self
        part = replace(self, text=self.text[start:end])
        if not self._tells_places:
            return part
        kept = self._touching(start, end)
        pieces = tuple(each.piece[max(0, start - each.place) : end - each.place] for each in kept)
        return replace(part, pieces=pieces, logprobs=tuple(each.logprob for each in kept))

    @property
    def _tells_places(self) -> bool:
        """Whether the pieces, in their order, are the text: a special token may be left out of it.

        Behind the text there may be more, such as an end token.
        """
        return "".join(self.pieces).startswith(self.text)

    def _touching(self, start: int, end: int) -> list["_Placed"]:
        places = accumulate(map(len, self.pieces), initial=0)
        placed = map(_Placed, places, self.pieces, self.logprobs)
        return [p for p in placed if p.place < end and p.place + len(p.piece) > start]

    @staticmethod
    def _are_probabilities(logprobs: Sequence[float]) -> bool:
        """Whether each may be the logarithm of a probability: not NaN, and not above 0."""
        return all(logprob <= MAX_LOGPROB for logprob in logprobs)


class InvalidAnswer(ValueError):
    """Raised when a writing is no answer of its task; its message says why, and quotes nothing."""


def as_json(value: JsonValue) -> str:
    """Write JSON as the engine lets a model write it, without blanks."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def places_of_values(text: str) -> dict[str, tuple[int, int]]:
    """Find where each value of a JSON object, one that can be read, stands in its text."""
    places: dict[str, tuple[int, int]] = {}
    place = _skip(text, 0, "{")
    while not text.startswith("}", place):
        name, place = _DECODER.raw_decode(text, place)
        start = _skip(text, place, ":")
        _, end = _DECODER.raw_decode(text, start)
        places[name] = (start, end)
        place = _skip(text, end, "")
        place = _skip(text, place, ",") if text.startswith(",", place) else place
    return places


def _skip(text: str, place: int, wanted: str) -> int:
    """Step over blanks, then what is wanted, then blanks."""
    place = _past_blanks(text, place)
    if not text.startswith(wanted, place):
        raise ValueError(f"expected {wanted!r}")
    return _past_blanks(text, place + len(wanted))


def _past_blanks(text: str, place: int) -> int:
    found = _BLANKS.match(text, place)
    return found.end() if found else place


def parsed(writing: Completion) -> JsonValue:
    """Read JSON as the wire has it: no NaN, no infinity, no half a character, no key twice."""
    try:
        found: JsonValue = json.loads(writing.text, object_pairs_hook=_without_repeats)
        json.dumps(found, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        raise InvalidAnswer("the model's answer is not the JSON that was asked for") from None
    return found


def _without_repeats(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def parsed_object(writing: Completion) -> tuple[dict[str, JsonValue], dict[str, tuple[int, int]]]:
    """Read an object, and where in the text each of its values stands."""
    found = parsed(writing)
    if not isinstance(found, dict):
        raise InvalidAnswer("the model's answer is no JSON object")
    return found, places_of_values(writing.text)


def parsed_list(writing: Completion) -> list[JsonValue]:
    """Read a list."""
    found = parsed(writing)
    if not isinstance(found, list):
        raise InvalidAnswer("the model's answer is no JSON list")
    return found
