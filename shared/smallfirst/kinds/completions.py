"""What a large model writes, token by token, and the JSON in it: parsed, never executed. Pure.

What it wrote is data from outside. What does not fit is an `InvalidAnswer`, with the reason and
without a word of what was written.
"""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue

_DECODER: Final = json.JSONDecoder()
#: The highest log-probability that is one: what is above 0 by more than rounding is nonsense.
MAX_LOGPROB: Final = 1e-4

_BLANKS: Final = re.compile(r"[ \t\r\n]*")


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

        It is 0 where one of them tells nonsense: a model that has broken down is sure of nothing.
        """
        touching: list[float] = []
        place = 0
        for piece, logprob in zip(self.pieces, self.logprobs, strict=True):
            if place < end and place + len(piece) > start:
                touching.append(logprob)
            place += len(piece)
        if not self._are_probabilities(touching):
            return 0.0
        return min(1.0, math.exp(sum(touching)))

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
