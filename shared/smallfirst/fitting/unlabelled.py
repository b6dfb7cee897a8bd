"""Files of texts that nobody has labelled yet, and those that are written for people to label."""

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from pathlib import Path
from typing import Any, Final

from smallfirst.catalogue.likeness import text_key
from smallfirst.catalogue.row_files import (
    Line,
    RowError,
    delimiter_of,
    parse_row,
    read_lines,
)
from smallfirst.catalogue.whole_files import write_whole
from smallfirst.fitting.errors import FitError

#: The most texts that are compared with each other: their likenesses take 64 MB.
MOST_COMPARED: Final = 4_000
#: What a labelled row has and one that is to be labelled has not.
_ANSWERS: Final = ("label", "labels", "gold")
#: Most lines that are named one by one.
_MAX_NAMED: Final = 5

#: A row as its file has it, without an answer.
Unlabelled = Mapping[str, Any]


@dataclass(frozen=True)
class Texts:
    """Distinct texts of a file, in an order of chance that is the same each time.

    Attributes:
        rows: At most `MOST_COMPARED` of them.
        counts: In how many rows each stands.
        num_distinct: How many there are in the file.
    """

    rows: tuple[Unlabelled, ...]
    counts: tuple[int, ...]
    num_distinct: int

    @property
    def texts(self) -> list[str]:
        """The same as plain texts."""
        return [row["text"] for row in self.rows]


def read_unlabelled(path: Path, known: Collection[str]) -> Texts:
    """Read the texts that are not labelled yet; of many, a sample. Answers in the file are ignored.

    Args:
        path: JSON Lines, or CSV: `text`, and what else a row has.
        known: The keys of texts that have labels.

    Raises:
        ForeignFile: When the file holds rows in another form.
        FitError: When a row is wrong, or no text is left.
    """
    counts: Counter[str] = Counter()

    def new() -> Iterator[tuple[str, Unlabelled]]:
        for row in _rows(path):
            key = text_key(row["text"])
            counts[key] += 1
            if counts[key] == 1 and key not in known:
                yield hashlib.sha256(key.encode()).hexdigest(), row

    found = nsmallest(MOST_COMPARED, new(), key=lambda each: each[0])
    if not found:
        raise FitError(f"{path}: no text is in it that has no label yet; give more texts")
    rows = tuple(row for _, row in found)
    times = tuple(counts[text_key(row["text"])] for row in rows)
    return Texts(rows, times, len(counts.keys() - set(known)))


def _rows(path: Path) -> Iterator[Unlabelled]:
    wrong: list[str] = []
    with path.open("rb") as file:
        for line in read_lines(file, delimiter=delimiter_of(path)):
            try:
                yield _row(line)
            except RowError as error:
                wrong.append(f"{path}:{line.number}: {error}")
                if len(wrong) == _MAX_NAMED:
                    break
    if wrong:
        raise FitError("\n".join(wrong))


def _row(line: Line) -> Unlabelled:
    if line.content is None:
        raise RowError(line.problem)
    row = parse_row(line.content)
    text = row.get("text")
    if not isinstance(text, str) or not text.strip():
        raise RowError("needs `text`, a string that is not empty")
    kept = {key: value for key, value in row.items() if key not in _ANSWERS}
    try:
        _written(kept).encode()
    except UnicodeEncodeError:
        raise RowError("holds half of a character (a lone surrogate); write it whole") from None
    return kept


def write_to_label(path: Path, rows: Sequence[Unlabelled]) -> None:
    """Write rows for people to add labels to; where there are none, no file is there."""
    if rows:
        write_whole(path, "".join(f"{_written(row)}\n" for row in rows))
    else:
        path.unlink(missing_ok=True)


def _written(row: Unlabelled) -> str:
    return json.dumps(row, ensure_ascii=False)


def check_not_labelled(path: Path) -> None:
    """See that a file may be written over: that nobody has labelled rows in it.

    Raises:
        FitError: When somebody has.
    """
    lines = path.read_bytes().splitlines() if path.is_file() else []
    for number, line in enumerate(lines, start=1):
        if any(f'"{key}"'.encode() in line for key in _ANSWERS):
            raise FitError(
                f"{path}:{number}: has labels, and would be written over; move the file first"
            )
