"""Removing old records: how far a log says that they are removed, and what still lies there.

The log says so itself, in a record that only its keeper writes, and it is signed before anything is
removed. So what is gone without such a record was taken out by somebody else.
"""

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Final

from smallfirst.audit_log.tiles import ENTRIES, WIDTH, Tiles, tiles_below, widths
from smallfirst.errors import AuditLogError
from smallfirst.ledger.records import PrunedRecord, read_record

#: How the keeper's own record begins. Each one that came from a slice begins with the entry that it
#: came from, so that none of a worker's is taken for it, whatever keys stand twice in that.
_BEGIN: Final = b'{"slice":0,"entry":"","kind":"pruned",'


def pruned_record(below: int) -> bytes:
    """The record that those before a number are removed."""
    return PrunedRecord(kind="pruned", below=below).model_dump_json().encode()


def told_below(entry: bytes) -> int:
    """Before which record others were removed, as this one says; 0 where it says nothing of it."""
    if entry.startswith(_BEGIN):
        with suppress(ValueError):
            record = read_record(entry)
            if isinstance(record, PrunedRecord):
                return record.below
    return 0


def removed_below(tiles: Tiles) -> int:
    """Before which record others were removed, as the last record that speaks of it says.

    Where nothing is missing, nothing was removed yet, whatever a record says. A tile that cannot be
    read is passed over: an earlier record says less, and never too much.
    """
    num_whole = tiles.size // WIDTH
    if all(map(tiles.has_entries, range(num_whole))):
        return 0
    for tile in reversed(range(-(-tiles.size // WIDTH))):
        with suppress(AuditLogError):
            told = (told_below(entry) for entry in reversed(tiles.entries_of(tile)))
            if below := next(filter(None, told), 0):
                return below
    return 0


def remove_tiles(folder: Path, below: int) -> None:
    """Remove the records below a number from disk, also what an earlier version has left of them.

    Args:
        folder: Of the log.
        below: The number of a tile's first record.

    Raises:
        OSError: When one cannot be removed.
    """
    for path in tiles_below(folder, ENTRIES, below // WIDTH):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def drop_parts(folder: Path, size: int) -> None:
    """Remove the parts of tiles that are whole by now, where a crash has left them there.

    Args:
        folder: Of the log.
        size: How many records there are.
    """
    there: dict[int | str, int] = {ENTRIES: size, **dict(widths(size))}
    for level, number in there.items():
        for path in tiles_below(folder, level, number // WIDTH):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
