"""How people really type: typos, telephone spelling, shouting. Spans stay right: it's by piece."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from markup import Piece, with_text

#: The share of longer words that a hasty writer gets wrong.
TYPO_RATE = 0.07
ABBREVIATIONS = {
    "please": "pls", "you": "u", "your": "ur", "are": "r", "because": "bc", "thanks": "thx",
    "and": "n", "tomorrow": "tmrw", "i'm": "im", "don't": "dont", "can't": "cant", "it's": "its",
}  # fmt: skip
Style = Callable[[Piece, random.Random], Piece]


def plain(part: Piece, _rng: random.Random) -> Piece:
    """Leave the piece alone."""
    return part


def misspelt(part: Piece, rng: random.Random) -> Piece:
    """Swap, drop or double a letter in some longer words of the prose."""
    if part.is_value:
        return part

    def slip(found: re.Match[str]) -> str:
        word = found[0]
        if rng.random() > TYPO_RATE:
            return word
        at = rng.randint(1, len(word) - 3)
        middle = rng.choice([word[at + 1] + word[at], word[at + 1], word[at] * 2 + word[at + 1]])
        return word[:at] + middle + word[at + 2 :]

    return with_text(part, re.sub(r"[A-Za-z]{5,}", slip, part.text))


def phone_typed(part: Piece, rng: random.Random) -> Piece:
    """Lower the case of prose and names, shorten words, drop most full stops."""
    if part.is_value:
        return with_text(part, part.text.lower()) if part.label == "person" else part
    words = re.split(r"([A-Za-z']+)", part.text.lower())
    short = "".join(ABBREVIATIONS.get(word, word) for word in words)
    return with_text(part, re.sub(r"\.(?=\s)", lambda _: rng.choice(["", " ..", ""]), short))


def shouted(part: Piece, rng: random.Random) -> Piece:
    """Raise the case of everything but values whose case counts."""
    if part.is_value and part.label not in {"person", "address"}:
        return part
    loud = re.sub(r"\.(?=\s)", lambda _: rng.choice(["!", "!!", "."]), part.text)
    return with_text(part, loud.upper())


STYLES: list[Style] = [plain, misspelt, phone_typed, shouted]
STYLE_WEIGHTS = [58, 20, 15, 7]


def pick_style(rng: random.Random) -> Style:
    """Draw how the writer of a mail types."""
    return rng.choices(STYLES, STYLE_WEIGHTS)[0]
