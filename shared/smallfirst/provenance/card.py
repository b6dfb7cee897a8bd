"""The card of what was learned: of each text its hash, what it was for, and who labelled it.

It stands beside what was learned from the rows: in the folder `fitted` of a catalogue, and in that
of a model that was trained. The gate reads it. No text is in it.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from smallfirst.catalogue.whole_files import write_whole
from smallfirst.provenance.record import Provenance

#: In the folder of a model that was trained here.
MODEL_CARD: Final = "provenance.jsonl"


class Part(StrEnum):
    """What a row was for."""

    LEARNING = "learning"
    PROMISING = "promising"


@dataclass(frozen=True)
class UsedRow:
    """A row that had a part in a cascade or a model.

    Attributes:
        key: Of its text; see `text_key`.
        part: Whether it was learned from, or chose the thresholds.
        by: Who labelled it, as far as that is known.
    """

    key: str
    part: Part
    by: tuple[Provenance, ...] = ()


def write_card(
    path: Path, parts: Mapping[Part, Iterable[str]], by_key: Mapping[str, tuple[Provenance, ...]]
) -> None:
    """Write the card, whole or not at all.

    Args:
        path: Of the card.
        parts: The keys of the texts that had each part.
        by_key: Who labelled them.
    """
    lines = (
        json.dumps({"key": key, "part": part, "by": [by.as_json() for by in by_key.get(key, ())]})
        for part, keys in parts.items()
        for key in dict.fromkeys(keys)
    )
    write_whole(path, "".join(f"{line}\n" for line in lines))


def read_card(path: Path) -> Iterator[UsedRow]:
    """Read a card; where there is none nothing is known.

    Raises:
        ValueError: When a line of it cannot be read.
    """
    if not path.is_file():
        return
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        try:
            said = json.loads(line)
            by = tuple(Provenance.model_validate(each) for each in said["by"])
            yield UsedRow(said["key"], Part(said["part"]), by)
        except (KeyError, TypeError, ValueError, ValidationError):
            raise ValueError(f"{path}:{number}: is no line of a card; fit or train anew") from None


def own_answers(rows: Iterable[UsedRow], trained: frozenset[str]) -> dict[str, int]:
    """Count, by model, the rows learned from whose labels that model itself gave.

    Args:
        rows: Of a card.
        trained: The models that learned from them.
    """
    counts: dict[str, int] = {}
    for row in rows:
        if row.part is Part.LEARNING:
            for model in filter(None, {by.learned_by(trained) for by in row.by}):
                counts[model] = counts.get(model, 0) + 1
    return counts
