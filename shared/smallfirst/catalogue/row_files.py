"""Files of rows, one labelled or unlabelled text each: JSON Lines, or CSV and TSV by their names.

Whoever reads rows reads them here: examples, training, calibration, evaluation, jobs. A row of a
table is read as the JSON row that it stands for: empty cells are keys that are not there, and cells
of keys that take no text are JSON. Memory is bounded by one row.
"""

import codecs
import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from smallfirst.errors import SmallfirstError

#: The longest line that is read as a row: a text of the most characters, each as a JSON escape,
#: and as much again for its right answer.
MAX_LINE_BYTES = 8 * 1024 * 1024
#: What parts the cells of a table, by the ending of its name.
_DELIMITERS = {".csv": ",", ".tsv": "\t"}
#: The keys of a row whose values are text in a table; cells of all others are JSON where they can.
_TEXT_KEYS = frozenset({"id", "text", "task", "label", "verdict", "reply"})
#: How a file begins that is none of these, and what to do.
_FOREIGN = (
    (b"\x1f\x8b", "is compressed; unpack it first: gunzip -c FILE > rows.jsonl"),
    (codecs.BOM_UTF16_LE, "is UTF-16; write it as UTF-8: iconv -f UTF-16 -t UTF-8 FILE"),
    (codecs.BOM_UTF16_BE, "is UTF-16; write it as UTF-8: iconv -f UTF-16 -t UTF-8 FILE"),
    (b"PK\x03\x04", "is a ZIP archive or a spreadsheet; save its rows as CSV"),
)


class ForeignFile(SmallfirstError):
    """Raised when a file holds rows in another form than one that is read.

    Attributes:
        remedy: What it is, and what to do.
    """

    def __init__(self, remedy: str) -> None:
        super().__init__(remedy)
        self.remedy = remedy

    def __str__(self) -> str:
        return f"the file {self.remedy}"


class RowError(ValueError):
    """Raised when a line is no row; its message says why, and never quotes the text."""


@dataclass(frozen=True)
class Line:
    """One row of a file as it stands there: its JSON, or what keeps it from being read.

    Attributes:
        number: Of the line on which it ends, from 1.
        end: Where in the file it ends, as far as that is known.
        content: Its JSON; None where it is too long to be kept, or no row of its table.
        problem: Why there is no content.
        begin: Where in the file it begins: behind the mark that a file may begin with.
    """

    number: int
    end: int
    content: bytes | None
    problem: str = f"the line is longer than {MAX_LINE_BYTES // 1024**2} MiB"
    begin: int = 0


def read_lines(
    file: BinaryIO, *, delimiter: str | None = None, max_bytes: int = MAX_LINE_BYTES
) -> Iterator[Line]:
    """Read the rows of a file, one by one; an endless line is passed over, not kept.

    Args:
        file: Open at its beginning.
        delimiter: What parts the cells of a table; None: JSON Lines.
        max_bytes: The longest line that is kept.

    Raises:
        ForeignFile: When it holds rows in another form.
    """
    lines = _lines(file, max_bytes)
    return _json_lines(lines) if delimiter is None else _table(lines, delimiter)


def delimiter_of(path: Path) -> str | None:
    """What parts the cells of a table, by the ending of its name; None: it is none."""
    return _DELIMITERS.get(path.suffix.lower())


def _lines(file: BinaryIO, max_bytes: int) -> Iterator[Line]:
    number = end = 0
    while piece := file.readline(max_bytes):
        number, begin = number + 1, end
        end += len(piece)
        is_whole = piece.endswith(b"\n") or len(piece) < max_bytes
        if not is_whole:
            end += _skip_line(file)
        if number == 1:
            _refuse_foreign(piece)
            whole, piece = piece, piece.removeprefix(codecs.BOM_UTF8)
            begin = len(whole) - len(piece)
        yield Line(number, end, piece if is_whole else None, begin=begin)


def _skip_line(file: BinaryIO) -> int:
    """Read to the end of the line in pieces; return how many bytes that was."""
    skipped = 0
    while piece := file.readline(64 * 1024):
        skipped += len(piece)
        if piece.endswith(b"\n"):
            break
    return skipped


def _refuse_foreign(first: bytes) -> None:
    for opening, remedy in _FOREIGN:
        if first.startswith(opening):
            raise ForeignFile(remedy)


def _json_lines(lines: Iterator[Line]) -> Iterator[Line]:
    is_first = True
    for line in map(_without_mark, lines):
        if line.content is not None and (line.content.isspace() or not line.content):
            continue
        if is_first and line.content is not None:
            _refuse_other_rows(line.content)
        is_first = False
        yield line


def _without_mark(line: Line) -> Line:
    """Pass over a byte order mark: files that were joined each bring one."""
    if line.content is None or not line.content.startswith(codecs.BOM_UTF8):
        return line
    return replace(line, content=line.content.removeprefix(codecs.BOM_UTF8))


def _refuse_other_rows(first: bytes) -> None:
    """Know an array, and the head of a table, by the first line that holds something."""
    opening = first.strip()
    if opening == b"[" or opening.startswith(b"[{"):
        raise ForeignFile("is one JSON array; write a line for each row: jq -c '.[]' FILE")
    cells = {cell.strip(b' "').lower() for mark in b",;\t" for cell in opening.split(bytes([mark]))}
    if b"text" in cells:
        raise ForeignFile("is a table; give it a name that ends in .csv or .tsv")


def _table(lines: Iterator[Line], delimiter: str) -> Iterator[Line]:
    """Write each row of a table as the JSON that it stands for."""
    read: list[Line] = []

    def texts() -> Iterator[str]:
        for line in lines:
            read.append(line)
            yield "" if line.content is None else line.content.decode("utf-8", "surrogateescape")

    csv.field_size_limit(MAX_LINE_BYTES)
    rows = csv.reader(texts(), delimiter=delimiter)
    try:
        keys = [key.strip() for key in next(rows, [])]
    except csv.Error as error:
        raise ForeignFile(f"has no head of a table in its first line: {error}") from error
    while True:
        read.clear()
        try:
            cells = next(rows, None)
        except csv.Error as error:
            yield replace(_row_at(read), problem=f"not a row of the table: {error}")
            continue
        if cells is None:
            return
        if any(line.content is None for line in read):
            yield _row_at(read)
        elif cells:
            yield _as_json(_row_at(read), keys, cells)


def _row_at(lines: list[Line]) -> Line:
    """Where a row of a table stands: cells may hold line breaks."""
    return Line(lines[-1].number, lines[-1].end, None, begin=lines[0].begin)


def _as_json(at: Line, keys: list[str], cells: list[str]) -> Line:
    if len(cells) > len(keys):
        reason = f"has {len(cells)} cells, and the head of the table names {len(keys)}"
        return replace(at, problem=reason)
    row = {key: _value(key, cell) for key, cell in zip(keys, cells, strict=False) if cell}
    return replace(at, content=json.dumps(row).encode("utf-8"))


def _value(key: str, cell: str) -> Any:
    if key not in _TEXT_KEYS:
        with suppress(ValueError):
            return json.loads(cell)
    return cell


def parse_row(content: bytes) -> dict[str, Any]:
    """Read the JSON of one row.

    Raises:
        RowError: When it is no object, or says a key twice.
    """
    try:
        found = json.loads(
            content.decode("utf-8"),
            parse_constant=_refuse_constant,
            object_pairs_hook=_once,
        )
    except UnicodeDecodeError as error:
        raise RowError(f"not UTF-8: byte {error.start + 1} of the line cannot be read") from None
    except json.JSONDecodeError as error:
        raise RowError(f"not JSON: {error.msg} at character {error.pos + 1}") from None
    except RecursionError:
        raise RowError("not a row: nested too deeply") from None
    except RowError:
        raise
    except ValueError as error:
        raise RowError(f"not JSON: {error}") from None
    if not isinstance(found, dict):
        raise RowError(f"not a row: a JSON object is needed, this is {_kind_of(found)}")
    return found


def _refuse_constant(name: str) -> float:
    raise RowError(f"not JSON: {name} is no JSON number")


def _once(pairs: Iterable[tuple[str, Any]]) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise RowError(f"says {key[:40]!a} twice; which of them is meant?")
        found[key] = value
    return found


def _kind_of(value: object) -> str:
    kinds = {list: "an array", str: "a string", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")
