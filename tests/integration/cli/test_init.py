"""`smallfirst init`: a first catalogue that is served as it is written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from smallfirst.catalogue.checking import check_catalogue
from smallfirst.cli.init import STARTER

Smallfirst = Callable[..., Any]


def test_a_first_catalogue_is_served_as_it_stands(smallfirst: Smallfirst, tmp_path: Path) -> None:
    """Everything is written into a new folder, and nothing is wrong with any of it."""
    folder = tmp_path / "first"
    done = smallfirst("init", folder, "--json")
    assert (done.code, done.json) == (0, [str(folder / name) for name in STARTER])
    assert check_catalogue(folder / "catalogue.yaml").findings == ()
    assert all("text" in row for row in (folder / "rows.jsonl").read_text().splitlines())


def test_nothing_is_overwritten(smallfirst: Smallfirst, tmp_path: Path) -> None:
    """Where one of the files is there already none is written, and it is named."""
    (tmp_path / "rows.jsonl").write_text("mine")
    done = smallfirst("init", tmp_path)
    assert (done.code, done.out) == (1, "")
    assert "rows.jsonl: there already" in done.err
    assert [each.name for each in tmp_path.iterdir()] == ["rows.jsonl"]
    assert (tmp_path / "rows.jsonl").read_text() == "mine"
