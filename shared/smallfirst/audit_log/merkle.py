"""Merkle trees as RFC 6962, section 2.1, defines them, over hashes that others keep. Pure."""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Final

#: The root of a tree without leaves.
EMPTY_ROOT: Final = sha256(b"").digest()
#: The bytes of a hash.
HASH_BYTES: Final = 32
#: The root of the leaves from one number up to, and without, another.
RootOf = Callable[[int, int], bytes]


def hash_of_leaf(entry: bytes) -> bytes:
    """The hash of an entry as a leaf."""
    return sha256(b"\x00" + entry).digest()


def hashes_of_leaves(entries: Iterable[bytes]) -> list[bytes]:
    """The hashes of entries as leaves."""
    return [sha256(b"\x00" + entry).digest() for entry in entries]


def hash_of_node(left: bytes, right: bytes) -> bytes:
    """The hash of a node above two others."""
    return sha256(b"\x01" + left + right).digest()


def split_of(num_leaves: int) -> int:
    """How many of at least two leaves are on the left: the largest power of two below them all."""
    return 1 << (num_leaves - 1).bit_length() - 1


def root_of(hashes: Sequence[bytes]) -> bytes:
    """The root of a tree with these leaves."""
    if not hashes:
        return EMPTY_ROOT
    level = list(hashes)
    while len(level) > 1:
        # One that has no neighbour goes up as it is.
        alone = level[len(level) & ~1 :]
        pairs = zip(level[::2], level[1::2], strict=False)
        # Spelled out, since of a proof's time most is spent here.
        level = [sha256(b"\x01" + left + right).digest() for left, right in pairs] + alone
    return level[0]


def path_to(number: int, num_leaves: int, root: RootOf) -> list[bytes]:
    """Prove that a leaf is in a tree: the hashes beside the way to it, from the leaf up.

    Args:
        number: Of the leaf, from 0; less than `num_leaves`.
        num_leaves: Of the tree.
        root: Gives roots of parts of the tree.
    """
    begin, end, path = 0, num_leaves, list[bytes]()
    while end - begin > 1:
        middle = begin + split_of(end - begin)
        if number < middle:
            path.append(root(middle, end))
            end = middle
        else:
            path.append(root(begin, middle))
            begin = middle
    return path[::-1]


def root_by_path(leaf: bytes, number: int, num_leaves: int, path: Sequence[bytes]) -> bytes | None:
    """The root that a proof leads to; None where it is no proof of that leaf in such a tree."""
    return _climb(leaf, number, num_leaves, list(path))


def _climb(leaf: bytes, number: int, num_leaves: int, path: list[bytes]) -> bytes | None:
    if not 0 <= number < num_leaves:
        return None
    if num_leaves == 1:
        return None if path else leaf
    if not path:
        return None
    *below, beside = path
    middle = split_of(num_leaves)
    if number < middle:
        left = _climb(leaf, number, middle, below)
        return left and hash_of_node(left, beside)
    right = _climb(leaf, number - middle, num_leaves - middle, below)
    return right and hash_of_node(beside, right)
