"""Removing rows from files, and their vectors from models; what fails in one file ends no other."""

import os
import shutil
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from smallfirst.catalogue.likeness import text_key
from smallfirst.catalogue.locked_files import locked
from smallfirst.catalogue.row_files import (
    ForeignFile,
    RowError,
    delimiter_of,
    parse_row,
    read_lines,
)
from smallfirst.catalogue.whole_files import replaced
from smallfirst.forgetting.errors import WrongPlace
from smallfirst.forgetting.finding import id_in
from smallfirst.forgetting.forgotten import Failure
from smallfirst.provenance.row_vectors import ROW_VECTORS, forget_rows

#: The most lines that are named of those that cannot be read.
_MAX_NAMED: Final = 10
_COPIED_AT_ONCE: Final = 1 << 20


@dataclass(frozen=True)
class Rows:
    """A person's rows in one file.

    Attributes:
        places: Where each begins and ends, in bytes.
        keys: Of their texts, by which a model's vectors are known.
        unreadable: The numbers of lines that cannot be read; they may be theirs.
    """

    places: list[tuple[int, int]] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    unreadable: list[int] = field(default_factory=list)


def look_at(files: Sequence[Path], folders: Sequence[Path]) -> None:
    """See that files are files of rows, and folders are there.

    Raises:
        WrongPlace: When one is not.
    """
    for path in files:
        if not path.is_file():
            raise WrongPlace(str(path), "no such file", "see --rows")
        try:
            with path.open("rb") as file:
                next(read_lines(file, delimiter=delimiter_of(path)), None)
        except ForeignFile as error:
            raise WrongPlace(str(path), "no file of rows", str(error)) from error
        except OSError as error:
            raise WrongPlace(
                str(path), f"cannot be read: {error.strerror}", "see --rows"
            ) from error
    for folder in folders:
        if not folder.is_dir():
            raise WrongPlace(str(folder), "no such folder", "see --model")


def remove(
    files: Sequence[Path], folders: Sequence[Path], ids: Collection[str], places: Counter[str]
) -> Iterator[Failure]:
    """Remove rows from files, and their vectors from models: those first, since rows tell of them.

    A row may have had no id, or another one, when a model learned from its text.

    Args:
        files: Of rows.
        folders: Of models.
        ids: Of the jobs.
        places: How much was removed, by the file or folder; counted on.

    Yields:
        What could not be removed, or read.
    """
    keys = {key for path in files for key in _keys_of(path, ids)}
    for folder in folders:
        yield from _remove_vectors(folder, ids, keys, places)
    for path in files:
        yield from _remove_rows(path, ids, places)


def _keys_of(path: Path, ids: Collection[str]) -> set[str]:
    """The keys of a person's texts in a file; what cannot be read is told when rows are removed."""
    with suppress(OSError, ForeignFile), path.open("rb") as file:
        return rows_in(file, delimiter_of(path), ids).keys
    return set()


def rows_in(file: BinaryIO, delimiter: str | None, ids: Collection[str]) -> Rows:
    """Find a person's rows in a file.

    Args:
        file: Open at its beginning.
        delimiter: What parts the cells of a table; None: JSON Lines.
        ids: Of the person's jobs.

    Raises:
        ForeignFile: When it holds rows in another form.
    """
    found = Rows()
    for line in read_lines(file, delimiter=delimiter):
        try:
            row = parse_row(line.content) if line.content is not None else None
        except RowError:
            row = None
        if row is None:
            found.unreadable.append(line.number)
        elif id_in(row) in ids:
            found.places.append((line.begin, line.end))
            if isinstance(text := row.get("text"), str):
                found.keys.add(text_key(text))
    return found


def _remove_rows(path: Path, ids: Collection[str], places: Counter[str]) -> Iterator[Failure]:
    """Take rows out of a file while nobody adds to it; every other byte stays as it is."""
    whole = path.resolve()
    try:
        with locked(whole, "r+b") as file:
            found = rows_in(file, delimiter_of(path), ids)
            if found.places:
                with replaced(whole) as to:
                    _copy_but(file, found.places, to)
    except (OSError, ForeignFile) as error:
        remedy = "have its owner give the command again, who can write it and its folder"
        yield Failure(str(path), f"its rows are as they were: {reason_of(error)}", remedy)
        return
    places[str(path)] += len(found.places)
    if found.unreadable:
        reason = f"{_named(found.unreadable)} cannot be read, and may be theirs"
        yield Failure(str(path), reason, "mend what stands there, or remove it")


def _copy_but(file: BinaryIO, places: Sequence[tuple[int, int]], to: BinaryIO) -> None:
    """Copy a file without some places, which are in order."""
    at = 0
    for begin, end in places:
        _copy(file, at, begin, to)
        at = end
    file.seek(at)
    shutil.copyfileobj(file, to)


def _copy(file: BinaryIO, begin: int, end: int, to: BinaryIO) -> None:
    file.seek(begin)
    while begin < end and (piece := file.read(min(end - begin, _COPIED_AT_ONCE))):
        to.write(piece)
        begin += len(piece)


def _named(numbers: Sequence[int]) -> str:
    """Name lines by their numbers: `line 7`, `lines 3, 9`, and how many more there are."""
    named = ", ".join(map(str, numbers[:_MAX_NAMED]))
    num_more = len(numbers) - _MAX_NAMED
    more = f" and {num_more:,} more" if num_more > 0 else ""
    return f"line{'s' if len(numbers) > 1 else ''} {named}{more}"


def _remove_vectors(
    folder: Path, ids: Collection[str], keys: Collection[str], places: Counter[str]
) -> Iterator[Failure]:
    """Take rows out of every head below a folder."""
    unseen = list[OSError]()
    for name, _, files in os.walk(folder, onerror=unseen.append):
        if ROW_VECTORS not in files:
            continue
        path = Path(name, ROW_VECTORS)
        try:
            places[str(folder)] += forget_rows(path.resolve(), ids, keys)
        except (OSError, ValueError) as error:
            remedy = "remove it: the model answers without, and names no rows"
            yield Failure(str(path), reason_of(error), remedy)
    for each in unseen:
        remedy = "give the command as who can read it"
        yield Failure(str(each.filename), reason_of(each), remedy)


def reason_of(error: Exception) -> str:
    """Say what is wrong, without what stands in a file."""
    match error:
        case OSError(strerror=str()):
            return f"{error.strerror}"
        case UnicodeDecodeError():
            return "it is not UTF-8"
    return str(error)
