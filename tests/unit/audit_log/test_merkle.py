"""Trees of the audit log, held against RFC 6962 and a library that is not ours."""

import random
from collections.abc import Mapping
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tlog_scales.tlog import InclusionProof

from smallfirst.audit_log.growing import Growth, Tile
from smallfirst.audit_log.merkle import (
    hash_of_leaf,
    hashes_of_leaves,
    path_to,
    root_by_path,
    root_of,
)
from smallfirst.audit_log.tiles import packed, tile_name, unpacked, widths

SIZES = [0, 1, 2, 3, 7, 8, 255, 256, 257, 511, 512, 600]


def by_definition(leaves: list[bytes]) -> bytes:
    """The root as section 2.1 defines it, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    middle = 1
    while middle * 2 < len(leaves):
        middle *= 2
    left, right = by_definition(leaves[:middle]), by_definition(leaves[middle:])
    return sha256(b"\x01" + left + right).digest()


def entries_of(count: int) -> list[bytes]:
    """So many different entries."""
    return [b"entry %d" % number for number in range(count)]


@pytest.mark.parametrize("count", SIZES)
def test_a_tree_has_the_root_that_the_definition_gives(count: int) -> None:
    """Grown at once, and entry by entry."""
    entries, growth, at_once = entries_of(count), Growth(), Growth()
    for entry in entries:
        list(growth.add([entry]))
    list(at_once.add(entries))
    assert growth.root == at_once.root == root_of(hashes_of_leaves(entries))
    assert growth.root == by_definition(entries)


@pytest.mark.parametrize("count", SIZES[1:])
def test_a_proof_is_taken_by_a_verifier_that_is_not_ours_and_by_ours(count: int) -> None:
    """For every leaf of some trees, and for no other leaf, place or root."""
    leaves = hashes_of_leaves(entries_of(count))
    root = root_of(leaves)
    for number in {*range(min(count, 9)), count // 2, count - 1}:
        path = path_to(number, count, lambda begin, end: root_of(leaves[begin:end]))
        InclusionProof(number, count, path).check(leaves[number], root)
        assert root_by_path(leaves[number], number, count, path) == root
        assert root_by_path(hash_of_leaf(b"other"), number, count, path) != root
        assert root_by_path(leaves[number], number, count, [*path, root]) != root
        assert count == 1 or root_by_path(leaves[number], number, count, path[1:]) != root


def test_a_tree_grows_on_from_its_edge_as_if_it_had_never_stopped() -> None:
    """Whole tiles come out once each, whatever the stops."""
    rng = random.Random(7)
    entries = entries_of(1000)
    whole, growth, tiles = Growth(), Growth(), list[Tile]()
    expected = [tile for entry in entries for tile in whole.add([entry])]
    while growth.size < len(entries):
        tiles += growth.add(entries[growth.size : growth.size + rng.choice((1, 2, 30, 256, 600))])
        if rng.random() < 0.3:
            unfinished = {tile.level: tile for tile in growth.unfinished()}
            edge = [_hashes(unfinished, level) for level, _ in widths(growth.size)]
            left = unfinished.get("entries")
            growth = Growth(growth.size, edge, unpacked(left.content) if left else [])
    assert tiles == expected
    assert growth.root == whole.root


def _hashes(tiles: Mapping[int | str, Tile], level: int) -> list[bytes]:
    content = tiles[level].content if level in tiles else b""
    return [content[at : at + 32] for at in range(0, len(content), 32)]


@pytest.mark.parametrize(
    ("tile", "name"),
    [
        ((0, 0), "tile/0/000"),
        ((1, 999, 7), "tile/1/999.p/7"),
        ((0, 1000), "tile/0/x001/000"),
        (("entries", 1234067), "tile/entries/x001/x234/067"),
        (("entries", 1234067, 255), "tile/entries/x001/x234/067.p/255"),
    ],
)
def test_a_tile_lies_where_the_specification_has_it(tile: tuple[int, int], name: str) -> None:
    """The example of the specification among them."""
    assert tile_name(*tile) == name


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_entries_come_out_of_a_tile_as_they_went_in(entries: list[bytes]) -> None:
    """Empty ones too; of a tile that is cut off, those that are whole."""
    bundle = packed(entries)
    assert unpacked(bundle) == entries
    assert unpacked(bundle[:-1]) == entries[:-1]
