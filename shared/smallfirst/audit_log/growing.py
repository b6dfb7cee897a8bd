"""How a log's tree grows: the tiles that further entries make, and the root they give. Pure.

Only the right edge of the tree is kept: of each level the hashes whose tile is not whole yet.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from smallfirst.audit_log.merkle import EMPTY_ROOT, hash_of_node, hashes_of_leaves, root_of
from smallfirst.audit_log.tiles import ENTRIES, WIDTH, packed


class Tile(NamedTuple):
    """One tile to write: its level, its number, how wide it is, and what is in it."""

    level: int | str
    number: int
    width: int
    content: bytes


class Growth:
    """A tree that entries are added to.

    Args:
        size: How many there are.
        edge: Of each level from the leaves up, the hashes whose tile is not whole yet.
        entries: Those whose tile is not whole yet.
    """

    def __init__(
        self, size: int = 0, edge: Sequence[Sequence[bytes]] = (), entries: Sequence[bytes] = ()
    ) -> None:
        self.size = size
        self._edge = [list(level) for level in edge]
        self._entries = list(entries)

    def add(self, entries: Sequence[bytes]) -> Iterator[Tile]:
        """Add entries; give the tiles that are whole by them."""
        at = 0
        while at < len(entries):
            some = entries[at : at + WIDTH - len(self._entries)]
            at += len(some)
            self._entries += some
            if len(self._entries) == WIDTH:
                yield Tile(ENTRIES, self.size // WIDTH, WIDTH, packed(self._entries))
                self._entries = []
            yield from self._add_leaves(hashes_of_leaves(some))

    def _add_leaves(self, leaves: Sequence[bytes]) -> Iterator[Tile]:
        """Add so many that their tile is whole by the last one, or not yet."""
        if not self._edge:
            self._edge.append([])
        self._edge[0] += leaves[:-1]
        self.size += len(leaves) - 1
        yield from self.add_leaf(leaves[-1])

    def add_leaf(self, leaf: bytes) -> Iterator[Tile]:
        """Add an entry by its hash alone; give the tiles of hashes that are whole by it."""
        self.size += 1
        level, number, added = 0, self.size, leaf
        while True:
            if level == len(self._edge):
                self._edge.append([])
            hashes = self._edge[level]
            hashes.append(added)
            if len(hashes) < WIDTH:
                return
            number //= WIDTH
            yield Tile(level, number - 1, WIDTH, b"".join(hashes))
            added = root_of(hashes)
            self._edge[level] = []
            level += 1

    def unfinished(self) -> Iterator[Tile]:
        """The tiles that are not whole yet, as far as they are."""
        if self._entries:
            number = self.size // WIDTH
            yield Tile(ENTRIES, number, len(self._entries), packed(self._entries))
        for level, hashes in enumerate(self._edge):
            if hashes:
                number = self.size // WIDTH ** (level + 1)
                yield Tile(level, number, len(hashes), b"".join(hashes))

    @property
    def root(self) -> bytes:
        """The root of the tree."""
        root = b""
        for hashes in self._edge:
            for peak in _peaks(hashes):
                root = hash_of_node(peak, root) if root else peak
        return root or EMPTY_ROOT


def _peaks(hashes: Sequence[bytes]) -> Iterator[bytes]:
    """The roots of the perfect trees that a level's hashes fall into, the smallest first."""
    end = len(hashes)
    while end:
        width = end & -end
        yield root_of(hashes[end - width : end])
        end -= width
