"""Looking through a whole log: whether each record is as it was signed, and which is not.

Every record is hashed anew, and the whole tree above it. Where the root is the one that was signed,
all records are as they were, and a tile that differs is what is damaged. Where it is not, a record
differs, and the tile of hashes over it tells which. So one changed byte anywhere has a name.
"""

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from smallfirst.audit_log.folder import read_checkpoint
from smallfirst.audit_log.growing import Growth, Tile
from smallfirst.audit_log.index import Index, Row
from smallfirst.audit_log.merkle import HASH_BYTES, hash_of_leaf
from smallfirst.audit_log.notes import Checkpoint, VerifierKey
from smallfirst.audit_log.proofs import proven_record
from smallfirst.audit_log.pruning import told_below
from smallfirst.audit_log.tiles import (
    ENTRIES,
    WIDTH,
    Tiles,
    hashes_in,
    packed,
    tile_name,
    unpacked,
)
from smallfirst.errors import AuditLogError
from smallfirst.ledger.records import ResultRecord, read_record, salt_digest

_CHANGED: Final = "was changed"
_GONE: Final = "is gone"
_NO_FILE: Final = (FileNotFoundError, IsADirectoryError, NotADirectoryError)


@dataclass(frozen=True)
class Break:
    """A place where a log is broken.

    Attributes:
        file: Below the log's folder.
        record: The first record that it concerns, from 0; None for none.
        problem: What is wrong.
    """

    file: str
    record: int | None
    problem: str

    def __str__(self) -> str:
        which = "" if self.record is None else f"record {self.record} "
        return f"{self.file}: {which}{self.problem}"


@dataclass
class _Tree:
    """A tree as it grows, with the tiles above its leaves that do not lie there as they should."""

    growth: Growth = field(default_factory=Growth)
    damage: list[Break] = field(default_factory=list)
    has_since: bool = False


@dataclass
class _Look:
    """What a look through the records has found so far.

    Attributes:
        records: The tree that the records give.
        hashes: The tree that the tiles of their hashes give.
        salts: How the index fits the records.
        changed: The records of which these differ.
        longer: What has bytes that belong to no record, and parts of earlier checkpoints.
        removed: The tiles of records that are gone whole.
        below: Records before this number were removed, as the log itself says.
    """

    salts: "_Salts"
    records: _Tree = field(default_factory=_Tree)
    hashes: _Tree = field(default_factory=_Tree)
    changed: list[Break] = field(default_factory=list)
    longer: list[Break] = field(default_factory=list)
    removed: list[int] = field(default_factory=list)
    below: int = 0


def verify(
    folder: Path, key: VerifierKey, since: Checkpoint | None = None
) -> tuple[Checkpoint | None, list[Break]]:
    """Look through a log; say what it signed last, and where it is broken, the first place first.

    Args:
        folder: Of the log.
        key: Of the log.
        since: A checkpoint that was kept elsewhere, which the log must still hold.
    """
    try:
        signed = read_checkpoint(folder, key)
    except AuditLogError as error:
        return None, [Break("checkpoint", None, error.reason)]
    with _Salts(folder) as salts:
        look = _Look(salts)
        for tile in range(-(-signed.size // WIDTH)):
            _look_at(folder, signed.size, tile, look, since)
    if any(_taken_out(look)):
        look.below = max(look.below, _told_since(folder, key, signed))
    breaks = [*_named(folder, look, signed), *_taken_out(look), *look.longer, *salts.breaks]
    if since is not None and since.size > 0 and not look.records.has_since:
        said = f"the {since.size} records of the earlier checkpoint are not the first ones here"
        breaks.append(Break("checkpoint", None, said))
    return signed, sorted(breaks, key=lambda each: (each.record is None, each.record or 0))


def _look_at(folder: Path, size: int, tile: int, look: _Look, since: Checkpoint | None) -> None:
    """Look at the records of one tile."""
    wanted = min(size - tile * WIDTH, WIDTH)
    bundle, hashes = (_content(folder, level, tile, wanted) for level in (ENTRIES, 0))
    entries, leaves = unpacked(bundle)[:wanted], hashes_in(hashes)[:wanted]
    if is_removed := not bundle and wanted == WIDTH:
        look.removed.append(tile)
    for place in range(wanted):
        number = tile * WIDTH + place
        entry = entries[place] if place < len(entries) else None
        told = leaves[place] if place < len(leaves) else bytes(HASH_BYTES)
        mine = told if is_removed else hash_of_leaf(entry or b"")
        if mine != told or (entry is None and not is_removed):
            name = tile_name(ENTRIES, tile, wanted)
            look.changed.append(Break(name, number, _GONE if entry is None else _CHANGED))
        if not look.salts.compare(number, entry):
            look.below = max(look.below, told_below(entry or b""))
        _grow(folder, look, mine, told)
        if since is not None and number + 1 == since.size:
            look.records.has_since = look.records.growth.root == since.root
    look.longer += _longer(tile, wanted, ENTRIES, bundle, packed(entries))
    look.longer += _longer(tile, wanted, 0, hashes, b"".join(leaves))
    if wanted < WIDTH:
        look.longer += _narrower(folder, Tile(ENTRIES, tile, wanted, packed(entries)))


def _grow(folder: Path, look: _Look, mine: bytes, told: bytes) -> None:
    """Add a record to both trees, and hold the tiles that are whole by it against those there."""
    for tree, leaf in ((look.records, mine), (look.hashes, told)):
        for above in tree.growth.add_leaf(leaf):
            tree.damage += _differences(folder, above)


def _told_since(folder: Path, key: VerifierKey, signed: Checkpoint) -> int:
    """Before which record others were removed, as what was signed since then says; 0 for nothing.

    The keeper may remove tiles while they are looked through. It signs so before it does.
    """
    with suppress(AuditLogError):
        now = read_checkpoint(folder, key)
        tiles = Tiles(folder, now.size)
        for number in reversed(range(signed.size, now.size)):
            if told_below(tiles.entry(number)):
                record, _ = proven_record(tiles, now.root, number)
                return told_below(record)
    return 0


def _taken_out(look: _Look) -> Iterator[Break]:
    """The tiles of records that are gone, without that the log says that they were removed."""
    for tile in look.removed:
        if tile * WIDTH >= look.below:
            said = f"and the {WIDTH - 1} after it are gone, and no record says why"
            yield Break(tile_name(ENTRIES, tile), tile * WIDTH, said)


def _longer(tile: int, wanted: int, level: int | str, found: bytes, read: bytes) -> Iterator[Break]:
    if len(found) > len(read):
        yield Break(
            tile_name(level, tile, wanted), tile * WIDTH + wanted - 1, "has bytes behind it"
        )


def _named(folder: Path, look: _Look, signed: Checkpoint) -> list[Break]:
    """What is broken, by what was signed."""
    for tree in (look.records, look.hashes):
        for tile in tree.growth.unfinished():
            tree.damage += [*_differences(folder, tile), *_narrower(folder, tile)]
    if look.records.growth.root == signed.root:
        # The tiles of the lowest level are among them.
        return look.records.damage
    if look.hashes.growth.root == signed.root:
        return [*look.changed, *look.hashes.damage]
    said = (
        "is not of these records and tiles: both were changed, or all was replaced; what differs"
        " first is named here, and a copy tells what was changed first"
    )
    return [*look.changed, *look.records.damage, Break("checkpoint", None, said)]


def _differences(folder: Path, tile: Tile) -> Iterator[Break]:
    """Hold a tile of hashes against the one that is there."""
    found = hashes_in(_content(folder, tile.level, tile.number, tile.width))
    for place, one in enumerate(hashes_in(tile.content)):
        if place >= len(found) or found[place] != one:
            name = tile_name(tile.level, tile.number, tile.width)
            yield Break(name, _first(tile, place), f"has another hash at place {place}")
            return


def _narrower(folder: Path, tile: Tile) -> Iterator[Break]:
    """Hold a tile that is not whole yet against what earlier checkpoints left of it."""
    parts = folder / f"{tile_name(tile.level, tile.number)}.p"
    # The keeper removes them as soon as the tile is whole.
    with suppress(FileNotFoundError):
        for path in sorted(parts.glob("*")):
            found, name = path.read_bytes(), path.relative_to(folder).as_posix()
            is_older = path.name.isdigit() and int(path.name) < tile.width
            if is_older and not (tile.content.startswith(found) and found):
                yield Break(name, _first(tile, 0), "differs: a part of an earlier checkpoint")


def _first(tile: Tile, place: int) -> int:
    """The first record that a place in a tile is about."""
    level = 0 if isinstance(tile.level, str) else tile.level
    return (tile.number * WIDTH + place) << 8 * level


class _Salts:
    """Whether the salts are those of their records; one that was destroyed is none."""

    def __init__(self, folder: Path) -> None:
        self._index = Index(folder)
        self._exits = ExitStack()
        self._rows: Iterator[Row] = iter(())
        self._row: Row | None = None
        self.breaks: list[Break] = []

    def __enter__(self) -> Self:
        try:
            self._rows = self._exits.enter_context(self._index).rows()
        except AuditLogError as error:
            self._note(error)
        self._step()
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    def compare(self, number: int, entry: bytes | None) -> bool:
        """Hold what a record says of its salt against the index; say whether that has one."""
        while self._row is not None and self._row.number < number:
            self._step()
        if self._row is None or self._row.number > number:
            return False
        with suppress(ValueError):
            record = read_record(entry or b"")
            told = record.salt if isinstance(record, ResultRecord) else ""
            if told != salt_digest(self._row.salt):
                self.breaks.append(Break("index", number, "has another salt"))
        return True

    def _step(self) -> None:
        try:
            self._row = next(self._rows, None)
        except AuditLogError as error:
            self._note(error)

    def _note(self, error: AuditLogError) -> None:
        self._row = None
        self.breaks.append(Break(error.place, None, error.reason))


def _content(folder: Path, level: int | str, tile: int, width: int) -> bytes:
    """What is in a tile, or so far in the whole one that it has become; nothing where it is gone.

    The keeper may make it whole, or remove it, while it is looked for.
    """
    with suppress(*_NO_FILE):
        return (folder / tile_name(level, tile, width)).read_bytes()
    with suppress(*_NO_FILE):
        return _begin_of(level, (folder / tile_name(level, tile)).read_bytes(), width)
    return b""


def _begin_of(level: int | str, content: bytes, width: int) -> bytes:
    if level == ENTRIES:
        return packed(unpacked(content)[:width])
    return content[: width * HASH_BYTES]
