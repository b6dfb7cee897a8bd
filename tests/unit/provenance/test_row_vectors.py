"""Laws of the rows that are kept beside a head: bounded, found by a job's id, without a text."""

from pathlib import Path

import pytest

from smallfirst.provenance import row_vectors
from smallfirst.provenance.row_vectors import (
    ROW_VECTORS,
    TaughtRow,
    forget_rows,
    id_hash,
    kept_places,
    read_rows,
    write_rows,
)


def row(number: int, *ids: str, key: str = "") -> TaughtRow:
    """A row of two numbers."""
    hashes = tuple(map(id_hash, ids))
    return TaughtRow(number, key or f"key-{number}", ("a", "b"), hashes, bytes([number, 0, 0, 60]))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Row by row, and no id in it."""
    rows = [row(1, "ann-1"), row(2), row(3, "bob-1", "bob-2")]
    write_rows(tmp_path, rows)
    assert read_rows(tmp_path / ROW_VECTORS) == rows
    assert "ann" not in (tmp_path / ROW_VECTORS).read_text()


def test_a_text_is_forgotten_with_all_of_its_rows(tmp_path: Path) -> None:
    """Every row with the same words goes, whichever job's id it bears; the others stay."""
    rows = [row(1, "ann-1", "zoe-9"), row(2, "bob-1"), row(3, key="key-1"), row(4)]
    write_rows(tmp_path, rows)
    path = tmp_path / ROW_VECTORS
    assert forget_rows(path, ["zoe-9", "nobody"]) == 2
    assert read_rows(path) == [rows[1], rows[3]]
    before = path.stat()
    assert forget_rows(path, ["zoe-9"]) == 0
    assert path.stat() == before


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """In bytes; which rows stay is decided by their texts, in the order of the file."""
    monkeypatch.setattr(row_vectors, "MAX_VECTOR_BYTES", 24)
    keys = ["d", "a", "c", "b", "e"]
    assert kept_places(keys, 4) == [1, 2, 3]
    assert kept_places(keys, 2) == [0, 1, 2, 3, 4]
    assert kept_places(keys, 13) == []
    assert kept_places([], 4) == []


@pytest.mark.parametrize(
    "line",
    [
        "",
        "[]",
        "null",
        "[" * 100_000,
        '{"number": 1}',
        '{"number": 0, "key": "k", "labels": [], "ids": [], "vector": ""}',
        '{"number": 1, "key": "k", "labels": [""], "ids": [], "vector": ""}',
        '{"number": 1, "key": "k", "labels": 3, "ids": [], "vector": ""}',
        '{"number": 1, "key": "k", "labels": [], "ids": [], "vector": "%%"}',
        '{"number": 1, "key": "kkkkkkkkkkkkkkkkk", "labels": [], "ids": [], "vector": ""}',
    ],
)
def test_a_line_that_is_none_is_refused(line: str) -> None:
    """With an error of one kind, which quotes nothing of it."""
    with pytest.raises(ValueError, match="no line of a taught row"):
        TaughtRow.of_line(line)
