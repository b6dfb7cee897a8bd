"""What was measured is kept, so that a fitting goes on, and another target asks nobody twice.

One line of JSON for each lot of rows, keyed by everything that decides what is said of them. A line
that a kill cut off is passed over, and asked again.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import TypeAdapter, ValidationError

from smallfirst.evaluation.scores import Said


class Told(NamedTuple):
    """What a candidate said of one row, and which version of it."""

    said: Said
    revision: str


_LOT = TypeAdapter(tuple[Told, ...])


class Measurements:
    """What candidates said, by lots of rows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lots: dict[str, tuple[Told, ...]] = {}
        lines = path.read_bytes().splitlines() if path.is_file() else []
        for line in lines:
            self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            found = json.loads(line)
            self._lots[found["key"]] = _LOT.validate_python(found["lot"])
        except (ValueError, LookupError, TypeError, ValidationError):
            return

    def get(self, key: str) -> tuple[Told, ...] | None:
        """What was said of a lot; None where it was not asked."""
        return self._lots.get(key)

    def keep(self, key: str, lot: Sequence[Told]) -> None:
        """Write down what was said of a lot."""
        self._lots[key] = tuple(lot)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"key": key, "lot": _LOT.dump_python(tuple(lot), mode="json")})
        # On a line of its own, whatever a kill left before it.
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n" if _ends_well(self._path) else f"\n{line}\n")


def _ends_well(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(0, 2)
        if not file.tell():
            return True
        file.seek(-1, 2)
        return file.read(1) == b"\n"
