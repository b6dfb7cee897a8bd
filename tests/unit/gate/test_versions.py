"""Versions of a task, and the looks at candidates, as files beside the catalogue."""

from pathlib import Path

import pytest
import yaml

from smallfirst.gate.errors import CandidateError
from smallfirst.gate.paired import Pairs
from smallfirst.gate.verdict import Look, Margin, Verdict, seen
from smallfirst.gate.versions import Versions

CATALOGUE = """
version: 1
pools:
  far: {tier: llm, remote: true}
models:
  large: {tier: llm, source: a, endpoint: "http://127.0.0.1:9/v1", parameters: 8B}
tasks:
  a:
    kind: classify
    labels: {x: one, y: two}
    examples: a.jsonl
    cascade: [{model: large, accept: 0.5}]
"""
FIRST, SECOND, THIRD = (f'{{"text": "{n}", "label": "x"}}\n' for n in ("1", "2", "3"))


@pytest.fixture
def versions(tmp_path: Path) -> Versions:
    """Of a task with a file of examples and a promise."""
    (tmp_path / "catalogue.yaml").write_text(CATALOGUE)
    (tmp_path / "a.jsonl").write_text(FIRST)
    return Versions(tmp_path / "catalogue.yaml", "a")


def test_each_version_comes_back_in_turn(versions: Versions) -> None:
    """The newest first; the entry, its examples and its promise, or that it had none."""
    folder = versions.catalogue.parent
    promise = folder / "calibration" / "a.json"
    assert versions.keep() == 1
    promise.parent.mkdir()
    promise.write_text("promised\n")
    (folder / "a.jsonl").write_text(SECOND)
    assert versions.keep() == 2
    (folder / "a.jsonl").write_text(THIRD)
    promise.write_text("promised anew\n")
    versions.catalogue.write_text(CATALOGUE.replace("one", "two"))
    assert versions.bring_back() == 2
    assert yaml.safe_load(versions.catalogue.read_text()) == yaml.safe_load(CATALOGUE)
    assert (folder / "a.jsonl").read_text() == SECOND
    assert promise.read_text() == "promised\n"
    assert versions.bring_back() == 1
    assert (folder / "a.jsonl").read_text() == FIRST
    assert not promise.exists()
    with pytest.raises(CandidateError, match="keeps no version of 'a'"):
        versions.bring_back()


@pytest.mark.parametrize(
    ("what", "reason"),
    [("model", r"cascade\[0\]\.model: .*mend that, and roll back"), ("examples", "label")],
)
def test_a_version_that_would_make_the_catalogue_wrong_does_not_come_back(
    versions: Versions, what: str, reason: str
) -> None:
    """A model of it was taken out by hand, or its rows were spoilt: nothing is written."""
    folder = versions.catalogue.parent
    versions.keep()
    if what == "model":
        versions.catalogue.write_text(CATALOGUE.replace("large", "huge"))
    else:
        (folder / "versions" / "a" / "1" / "examples.jsonl").write_text(FIRST.replace('"x"', '"z"'))
    (folder / "a.jsonl").write_text(SECOND)
    before = versions.catalogue.read_text()
    with pytest.raises(CandidateError, match=reason):
        versions.bring_back()
    assert versions.catalogue.read_text() == before
    assert (folder / "a.jsonl").read_text() == SECOND
    assert (versions.numbers, list(folder.glob(".*"))) == ([1], [])


def test_a_version_that_was_brought_back_keeps_its_number(versions: Versions) -> None:
    """A number names one thing for ever, so that what was written of it can be found."""
    versions.keep()
    versions.bring_back()
    assert versions.keep() == 2


def test_looks_are_counted_by_candidate(versions: Versions) -> None:
    """Another candidate begins anew; the same one pays for each look that sees something else."""
    margin = Margin(0.01, 0.95)

    def look_at(name: str, won: int) -> int:
        pairs = Pairs(100, 1, won)
        number = versions.look_number(name, seen(pairs, margin, None))
        versions.note_look(name, Verdict.of("a", margin, Look.at(pairs, margin, number)))
        return number

    assert [look_at("first", 2), look_at("second", 2), look_at("first", 3)] == [1, 1, 2]
    assert [look_at("first", 3), look_at("first", 2), look_at("second", 2)] == [2, 3, 1]
    assert len(versions.looks.read_text().splitlines()) == 4
