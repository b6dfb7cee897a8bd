"""The folder of a log, as its one writer adds to it: whole on disk before anybody is told.

A batch is in the log once its checkpoint is: that file is replaced last, when all that it speaks of
is on disk. What a crash leaves beyond it is written anew.
"""

import fcntl
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final, NamedTuple, Self

from smallfirst.audit_log.growing import Growth, Tile
from smallfirst.audit_log.index import Index, Position, Row, job_key
from smallfirst.audit_log.notes import Checkpoint, SigningKey, VerifierKey
from smallfirst.audit_log.places import place_of
from smallfirst.audit_log.pruning import drop_parts, remove_tiles, removed_below, told_below
from smallfirst.audit_log.tiles import WIDTH, Tiles, tile_name
from smallfirst.errors import AuditLogError
from smallfirst.ledger.records import read_record

CHECKPOINT: Final = "checkpoint"
#: Where the verifier key is told to whoever has nothing better.
KEY_FILE: Final = "verifier-key"
_LOCK: Final = ".lock"
#: The most tiles that are removed at once, so that records that wait do not wait for it.
_MOST_PRUNED: Final = 500


class Entry(NamedTuple):
    """One record to write, and whose it is, where it is a result's."""

    record: bytes
    salt: bytes = b""
    producer: str = ""
    job_id: str = ""


class LogFolder:
    """A log that is added to; use as a context.

    Args:
        folder: Where it lies; made where it is not there.
        key: By which checkpoints are signed.
    """

    def __init__(self, folder: Path, key: SigningKey) -> None:
        self._folder = folder
        self._key = key
        self._growth = Growth()
        self._is_stale = False
        #: Before which record others were removed; None until somebody asks.
        self._below: int | None = None
        self._exits = ExitStack()
        #: How far each slice is.
        self.positions: dict[int, Position] = {}
        #: What the log says of itself, signed.
        self.checkpoint = b""

    def __enter__(self) -> Self:
        """Take the folder, and see that what is there is whole at its edge.

        Raises:
            AuditLogError: When another writer has it, or it is damaged or signed by another key.
            OSError: When it cannot be made or written.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with ExitStack() as exits:
            exits.callback(os.close, _locked(self._folder / _LOCK))
            self._index = exits.enter_context(Index(self._folder, may_write=True))
            self._load()
            drop_parts(self._folder, self.size)
            self._exits = exits.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    @property
    def size(self) -> int:
        """How many records there are."""
        return self._growth.size

    def append(self, entries: Sequence[Entry], positions: Mapping[int, Position]) -> None:
        """Add records; they are on disk when this returns, and else not in the log.

        Args:
            entries: In order.
            positions: How far the slices are with them; of the others it stays as it was.

        Raises:
            OSError: When they cannot be written; then the log is as it was.
            AuditLogError: When the index cannot be written, likewise.
        """
        if self._is_stale:
            self._load()
        try:
            self._append(entries, {**self.positions, **positions})
        except BaseException:
            # What was added in memory alone must not be what the next records are added to.
            self._is_stale = True
            with suppress(OSError, AuditLogError):
                self._load()
            raise

    def older(self, than_ms: int) -> int:
        """How far records may be removed: the first of the oldest tile that has a newer one.

        Args:
            than_ms: Since 1970.

        Returns:
            Its number; 0 where no tile that is there may go. Of very many it takes some.

        Raises:
            AuditLogError: When the first tile that might go is gone already or damaged.
        """
        tiles = Tiles(self._folder, self.size)
        begin = end = self._removed(tiles) // WIDTH
        last = min(self.size // WIDTH, begin + _MOST_PRUNED)
        try:
            while end < last and tiles.newest(end) < than_ms:
                end += 1
        except AuditLogError:
            # What is before it may go; the next look is the one that fails.
            if end == begin:
                raise
        return end * WIDTH if end > begin else 0

    def remove(self, below: int = 0) -> bool:
        """Remove the records below a number; the hashes over them stay, and so does the tree.

        Their salts go first: what a crash leaves of the records leads to nobody. What an earlier
        call or another keeper has left is removed too.

        Args:
            below: As the log says by now; without it, what it has said before.

        Returns:
            Whether their salts are overwritten; False where others read the index.

        Raises:
            OSError: When they cannot be removed.
            AuditLogError: When the index cannot be written.
        """
        self._below = max(below, self._removed(Tiles(self._folder, self.size)))
        self._index.remove(self._below)
        remove_tiles(self._folder, self._below)
        return self._index.overwrite()

    def _removed(self, tiles: Tiles) -> int:
        if self._below is None:
            self._below = removed_below(tiles)
        return self._below

    def _append(self, entries: Sequence[Entry], positions: dict[int, Position]) -> None:
        begin = self.size
        whole = list(self._growth.add([entry.record for entry in entries]))
        self._write_tiles([*whole, *self._growth.unfinished()])
        rows = [
            Row(number, job_key(entry.producer, entry.job_id), entry.salt)
            for number, entry in enumerate(entries, start=begin)
            if entry.salt
        ]
        self._index.add(self.size, rows, positions)
        checkpoint = self._key.signed(Checkpoint(self._key.name, self.size, self._growth.root))
        _replace(self._folder / CHECKPOINT, checkpoint)
        self.checkpoint, self.positions = checkpoint, positions
        self._index.settle(self.size)
        for tile in whole:
            parts = self._folder / f"{tile_name(tile.level, tile.number)}.p"
            shutil.rmtree(parts, ignore_errors=True)

    def _write_tiles(self, tiles: Sequence[Tile]) -> None:
        folders = set[Path]()
        for tile in tiles:
            path = self._folder / tile_name(tile.level, tile.number, tile.width)
            folders.update(_made(path.parent, self._folder))
            _write(path, tile.content)
        for folder in folders:
            _sync(folder)

    def _load(self) -> None:
        """Go by what the last checkpoint says."""
        path, verifier = self._folder / CHECKPOINT, self._key.verifier
        if not path.exists():
            if (self._folder / "tile").exists() and any(self._index.rows()):
                raise AuditLogError(CHECKPOINT, "is missing", "bring it back from a copy")
            _replace(path, self._key.signed(Checkpoint(self._key.name, 0, Growth().root)))
            _replace(self._folder / KEY_FILE, f"{verifier.line}\n".encode())
        self.checkpoint = path.read_bytes()
        found = verifier.opened(self.checkpoint)
        tiles = Tiles(self._folder, found.size)
        self._growth = Growth(found.size, tiles.edge(), tiles.last_entries())
        if self._growth.root != found.root:
            remedy = "smallfirst audit-log verify says where; nothing is added to a broken log"
            raise AuditLogError(CHECKPOINT, "is not of the tiles that are there", remedy)
        self.positions = self._index.settle(found.size) or positions_in(tiles)
        self._is_stale = False


def positions_in(tiles: Tiles) -> dict[int, Position]:
    """How far each slice is, by the records alone: for where the index is new.

    Raises:
        AuditLogError: When a tile is gone or damaged.
    """
    positions = dict[int, Position]()
    for raw in tiles.entries():
        if told_below(raw):
            continue
        place = place_of(raw)
        lost = positions.get(place.slice, Position()).lost
        told = _lost_in(raw) if place.kind == "gap" else None
        positions[place.slice] = Position(place.entry, lost if told is None else told)
    return positions


def _lost_in(raw: bytes) -> int | None:
    """How many results have no record, as a gap says; None where it does not know."""
    with suppress(ValueError):
        return getattr(read_record(raw), "lost", None)
    return None


def read_checkpoint(folder: Path, key: VerifierKey) -> Checkpoint:
    """The last checkpoint of a log.

    Raises:
        AuditLogError: When there is none, or another key signed it.
    """
    try:
        return key.opened((folder / CHECKPOINT).read_bytes())
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
        raise AuditLogError(str(folder / CHECKPOINT), reason, "name the folder of a log") from error


def _locked(path: Path) -> int:
    """Keep other writers out; the lock goes with its process, however that ends."""
    place = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(place)
        remedy = "one process keeps a log; end that one first"
        raise AuditLogError(
            str(path.parent), "is in the hands of another process", remedy
        ) from error
    return place


def _made(folder: Path, root: Path) -> list[Path]:
    """Make a folder; give those whose content changes by it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return [folder, *(each for each in folder.parents if each.is_relative_to(root))]


def _write(path: Path, content: bytes) -> None:
    place = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(place, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(place)


def _replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    new = path.with_suffix(".new")
    _write(new, content)
    new.replace(path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    place = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(place)
    finally:
        os.close(place)
