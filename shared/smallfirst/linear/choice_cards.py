"""Cards that say by what a step of an encoder is answered, and why.

Where they lie, and what of them people are told; workers write them.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from smallfirst.catalogue import Task
from smallfirst.linear.fitting import model_key

#: The file of a card in its folder.
CARD_FILE: Final = "choice.json"
_WAYS: Final = {"linear": "the linear model", "head": "the head", "mean": "their mean"}


def card_folder(task: Task, head_key: str, cache: Path) -> Path:
    """Name the folder of the card of a task with one encoder's head."""
    return cache / "choices" / f"{model_key(task)[:24]}-{head_key[:24]}"


def cards_of(task: Task, cache: Path) -> Iterator[dict[str, Any]]:
    """Read the cards that there are of a task as it stands, of whatever encoder."""
    for file in sorted((cache / "choices").glob(f"{model_key(task)[:24]}-*/{CARD_FILE}")):
        yield json.loads(file.read_text(encoding="utf-8"))


def in_words(card: Mapping[str, Any]) -> str:
    """Say in a sentence what a card says."""
    shares = ", ".join(
        f"{_WAYS[way]} {100 * found['right']:.1f} %" for way, found in card["figures"].items()
    )
    return (
        f"{card['model']} is answered by {_WAYS[card['way']]}: right on {card['left_out']:,}"
        f" examples left out: {shares}"
    )
