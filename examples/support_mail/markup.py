"""How the data files are written, and how marked-up text becomes text with spans.

Owns the notation: heads (``== billing high``), choices (``[a|b]``) and slots (``{phone}``,
``{person:Ada}``). Knows nothing of what a slot is filled with.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

HEAD = "== "
CHOICE = re.compile(r"\[([^\[\]{}]*(?:\{[a-z]+\}[^\[\]{}]*)*\|[^\[\]]*)\]")
SLOT = re.compile(r"\{([a-z]+)(?::([^{}]*))?\}")


@dataclass(frozen=True)
class Piece:
    """A stretch of text: prose, or with ``is_value`` a value that must stay as it is.

    A ``label`` makes it an entity that the gold answers must name.
    """

    text: str
    label: str = ""
    is_value: bool = False


@dataclass(frozen=True)
class Span:
    """``text[start:end]`` is an entity; offsets count Unicode code points."""

    start: int
    end: int
    label: str


def sections(path: Path) -> Iterator[tuple[str, str]]:
    """Yield each head of a data file with the text under it, comments before the first left out."""
    _, *blocks = re.split(rf"^{HEAD}", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    for block in blocks:
        head, _, body = block.partition("\n")
        yield head.strip(), body.strip("\n")


def phrase_lists(path: Path) -> dict[str, list[str]]:
    r"""Read a data file of one phrase a line, head by head; ``\n`` in one is a line break."""
    return {
        head: [line.replace("\\n", "\n") for line in body.splitlines() if line.strip()]
        for head, body in sections(path)
    }


def choose(phrase: str, rng: random.Random) -> str:
    """Replace every ``[a|b]`` of the phrase by one of its branches."""
    return CHOICE.sub(lambda found: rng.choice(found[1].split("|")), phrase)


def pieces(marked_up: str, fill: Callable[[str], Piece]) -> Iterator[Piece]:
    """Split marked-up text at its slots; ``fill`` gives the value of a slot that spells none."""
    position = 0
    for slot in SLOT.finditer(marked_up):
        if slot.start() > position:
            yield Piece(marked_up[position : slot.start()])
        name, literal = slot.groups()
        yield fill(name) if literal is None else Piece(literal, label=name, is_value=True)
        position = slot.end()
    if position < len(marked_up):
        yield Piece(marked_up[position:])


def join(parts: Iterator[Piece]) -> tuple[str, list[Span]]:
    """Put pieces together; a span's offsets are those at which its piece was laid down."""
    text, spans = "", []
    for part in parts:
        if part.label:
            spans.append(Span(len(text), len(text) + len(part.text), part.label))
            assert part.text == part.text.strip() != "", part
        text += part.text
    assert all(before.end <= after.start for before, after in pairwise(spans))
    assert text == text.strip(), text
    assert not SLOT.search(text), text
    return text, spans


def with_text(part: Piece, text: str) -> Piece:
    """Return the same piece with other text."""
    return replace(part, text=text)
