"""Tiles: the files in which a log's tree and its records lie, 256 of a kind in each.

This module knows their names and what is in one, and reads parts of the tree from them. What is in
them is written by `growing`. Source: https://c2sp.org/tlog-tiles
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Final

from smallfirst.audit_log.merkle import (
    HASH_BYTES,
    hash_of_node,
    hashes_of_leaves,
    root_of,
    split_of,
)
from smallfirst.audit_log.places import place_of
from smallfirst.errors import AuditLogError

#: How many hashes, or entries, are in a whole tile.
WIDTH: Final = 256
#: The most bytes of one entry: two bytes say how long it is.
MAX_ENTRY_BYTES: Final = 65_535
#: The level of the tiles that hold entries, and no hashes.
ENTRIES: Final = "entries"
_LENGTH_BYTES: Final = 2
_DAMAGE: Final = "bring it back from a copy; smallfirst audit-log verify says what else is broken"
#: How a file of a tile, the folder of its parts, and a folder of a thousand further ones are named.
_NAME: Final = re.compile(r"(?P<more>x?)(?P<digits>\d{3})(?:\.p)?")


def tile_name(level: int | str, number: int, width: int = WIDTH) -> str:
    """The path of a tile below the log's folder; a narrower one is a part of one to come."""
    parts = [f"{number % 1000:03}"]
    while number := number // 1000:
        parts.insert(0, f"x{number % 1000:03}")
    part = "" if width == WIDTH else f".p/{width}"
    return f"tile/{level}/{'/'.join(parts)}{part}"


def tiles_below(folder: Path, level: int | str, number: int) -> Iterator[Path]:
    """The files of a level's tiles below a number, and the folders of their parts, as they lie.

    Args:
        folder: Of the log.
        level: Of the tiles.
        number: Of the first tile that is none of them.
    """
    place = folder / "tile" / str(level)
    if place.is_dir():
        yield from _tiles_in(place, 0, number)


def _tiles_in(place: Path, thousands: int, below: int) -> Iterator[Path]:
    for path in sorted(place.iterdir()):
        if (found := _NAME.fullmatch(path.name)) is None:
            continue
        number = thousands * 1000 + int(found["digits"])
        if found["more"] and number * 1000 < below:
            yield from _tiles_in(path, number, below)
        elif not found["more"] and number < below:
            yield path


def widths(size: int) -> Iterator[tuple[int, int]]:
    """The levels of a tree of this size, and how many hashes there are at each."""
    level = 0
    while size:
        yield level, size
        level, size = level + 1, size // WIDTH


def packed(entries: Iterable[bytes]) -> bytes:
    """Entries as a tile holds them: each behind its length."""
    return b"".join(len(one).to_bytes(_LENGTH_BYTES) + one for one in entries)


def unpacked(bundle: bytes) -> list[bytes]:
    """The entries in a tile; one that is cut off is left out."""
    entries, at = list[bytes](), 0
    while at + _LENGTH_BYTES <= len(bundle):
        begin = at + _LENGTH_BYTES
        at = begin + int.from_bytes(bundle[at:begin])
        if at <= len(bundle):
            entries.append(bundle[begin:at])
    return entries


def hashes_in(tile: bytes) -> list[bytes]:
    """The hashes in a tile; one that is cut off is shorter than a hash."""
    return [tile[at : at + HASH_BYTES] for at in range(0, len(tile), HASH_BYTES)]


class Tiles:
    """A log's tree of one size, read from its files.

    Args:
        folder: Of the log.
        size: How many records a checkpoint says that there are.
    """

    def __init__(self, folder: Path, size: int) -> None:
        self._folder = folder
        self.size = size
        self._hashes = lru_cache(maxsize=64)(self._read_hashes)
        self._bundles = lru_cache(maxsize=8)(self._read_bundle)

    def entry(self, number: int) -> bytes:
        """One record as it was written.

        Raises:
            AuditLogError: When its tile is gone or damaged.
        """
        tile, place = divmod(number, WIDTH)
        bundle, at = self._bundles(tile), 0
        for _ in range(place):
            at += _LENGTH_BYTES + int.from_bytes(bundle[at : at + _LENGTH_BYTES])
        begin = at + _LENGTH_BYTES
        found = bundle[begin : begin + int.from_bytes(bundle[at:begin])]
        if not found:
            raise AuditLogError(tile_name(ENTRIES, tile), "is cut off", _DAMAGE)
        return found

    @property
    def first(self) -> int:
        """The number of the first record of a tile that is there, whole ones looked at alone."""
        num_whole = self.size // WIDTH
        return next(filter(self.has_entries, range(num_whole)), num_whole) * WIDTH

    def has_entries(self, tile: int) -> bool:
        """Whether the records of a whole tile are there."""
        return (self._folder / tile_name(ENTRIES, tile)).exists()

    def entries(self) -> Iterator[bytes]:
        """All records from the first one that is there, in order.

        Raises:
            AuditLogError: When a tile behind that is gone or damaged.
        """
        for tile in range(self.first // WIDTH, -(-self.size // WIDTH)):
            yield from self.entries_of(tile)

    def entries_of(self, tile: int) -> list[bytes]:
        """The records of one tile.

        Raises:
            AuditLogError: When it is gone or cut off.
        """
        wanted = min(self.size - tile * WIDTH, WIDTH)
        found = unpacked(self._read_bundle(tile))[:wanted]
        if len(found) < wanted:
            raise AuditLogError(tile_name(ENTRIES, tile, wanted), "is cut off", _DAMAGE)
        return found

    def root(self, begin: int, end: int) -> bytes:
        """The root of a part of the tree, as proofs need it.

        Raises:
            AuditLogError: When a tile is gone or damaged.
        """
        level, span = 0, 1
        while not (begin % (span * WIDTH) or end % (span * WIDTH)):
            level, span = level + 1, span * WIDTH
        first, last = begin // span, end // span
        if last - first == 1:
            return self._hash(level, first)
        tile = first // WIDTH
        if tile == (last - 1) // WIDTH:
            return root_of(self._hashes(level, tile)[first - tile * WIDTH : last - tile * WIDTH])
        middle = begin + split_of(end - begin)
        return hash_of_node(self.root(begin, middle), self.root(middle, end))

    def newest(self, tile: int) -> int:
        """When the newest record of a whole tile was put down, in ms since 1970.

        Raises:
            AuditLogError: When the tile is gone or damaged, be it by one bit.
        """
        entries = self.entries_of(tile)
        if hashes_of_leaves(entries) != self._hashes(0, tile):
            raise AuditLogError(tile_name(ENTRIES, tile), "has other records than hashes", _DAMAGE)
        return max(place_of(entry).milliseconds for entry in entries)

    def edge(self) -> list[list[bytes]]:
        """The hashes of each level whose tile is not whole yet, from the leaves up."""
        return [
            self._hashes(level, number // WIDTH)[: number % WIDTH] if number % WIDTH else []
            for level, number in widths(self.size)
        ]

    def last_entries(self) -> list[bytes]:
        """The records whose tile is not whole yet."""
        begin = self.size - self.size % WIDTH
        return [self.entry(number) for number in range(begin, self.size)]

    def _hash(self, level: int, number: int) -> bytes:
        tile, place = divmod(number, WIDTH)
        return self._hashes(level, tile)[place]

    def _read_hashes(self, level: int, tile: int) -> list[bytes]:
        wanted = min(self.size // WIDTH**level - tile * WIDTH, WIDTH)
        name = tile_name(level, tile, wanted)
        found = hashes_in(self._read(level, tile, wanted))[:wanted]
        if len(found) < wanted or len(found[-1]) < HASH_BYTES:
            raise AuditLogError(name, "is cut off", _DAMAGE)
        return found

    def _read_bundle(self, tile: int) -> bytes:
        return self._read(ENTRIES, tile, min(self.size - tile * WIDTH, WIDTH))

    def _read(self, level: int | str, tile: int, width: int) -> bytes:
        """A tile of this width, or else the whole one that it has become."""
        names = dict.fromkeys((tile_name(level, tile, width), tile_name(level, tile)))
        for name in names:
            try:
                return (self._folder / name).read_bytes()
            except FileNotFoundError:
                continue
            except OSError as error:
                raise AuditLogError(name, f"cannot be read: {error.strerror}", _DAMAGE) from error
        raise AuditLogError(next(iter(names)), "is missing", _DAMAGE)
