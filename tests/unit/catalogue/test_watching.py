"""Watching the catalogue: what counts as a change, and that a bad version changes nothing."""

import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from smallfirst.catalogue.watching import CatalogueWatch
from smallfirst.errors import CatalogueError

GOOD = """\
version: 1
pools: {cpu: {tier: slm, max_parameters: 50M}}
models: {mini: {source: "bundled:minilm"}}
tasks:
  topic:
    kind: classify
    labels: {billing: Money., other: The rest.}
    examples: topic.jsonl
    cascade: [{model: mini, accept: 0.8}]
"""
BAD = GOOD.replace("classify", "clasify")
ROW = '{"text": "Where is my refund?", "label": "billing"}\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A good catalogue with a file of examples, both long unchanged."""
    change(tmp_path / "topic.jsonl", ROW, seconds=1)
    return change(tmp_path / "catalogue.yaml", GOOD, seconds=1)


def change(path: Path, content: str, *, seconds: int) -> Path:
    """Write a file and say when that was, so that no test waits for a clock to tick."""
    path.write_text(content)
    os.utime(path, (seconds, seconds))
    return path


def threshold(watch: CatalogueWatch) -> float | str:
    """Look at the one number that the tests change."""
    return watch.current.tasks["topic"].cascade[0].acceptance.threshold


def test_nothing_changed(path: Path) -> None:
    """As long as no file changes, the same catalogue stays current."""
    watch = CatalogueWatch(path)
    before = watch.current

    assert watch.refresh() is False
    assert watch.current is before


def test_a_change_is_taken_up_once(path: Path) -> None:
    """A changed catalogue becomes current at the next look, and is news only once."""
    watch = CatalogueWatch(path)
    revision = watch.revision

    change(path, GOOD.replace("0.8", "0.9"), seconds=2)

    assert [watch.refresh(), watch.refresh()] == [True, False]
    assert threshold(watch) == 0.9
    assert watch.revision != revision


def test_examples_count_as_the_catalogue(path: Path) -> None:
    """A change of a file of examples alone is a new catalogue with a new revision."""
    watch = CatalogueWatch(path)
    revision = watch.revision

    change(path.parent / "topic.jsonl", ROW * 2, seconds=2)

    assert watch.refresh() is True
    assert len(watch.current.tasks["topic"].examples) == 2
    assert watch.revision != revision


def test_the_same_size_at_the_same_second(path: Path) -> None:
    """A file renamed over the old one is noticed even where size and time are the same."""
    watch = CatalogueWatch(path)

    other = change(path.parent / "new.yaml", GOOD.replace("0.8", "0.7"), seconds=1)
    other.replace(path)

    assert watch.refresh() is True
    assert threshold(watch) == 0.7


def test_touching_is_no_change(path: Path) -> None:
    """A file written again with the same content is not a new catalogue."""
    watch = CatalogueWatch(path)
    before = watch.current

    change(path, GOOD, seconds=5)

    assert watch.refresh() is False
    assert watch.current is before


def test_a_swap_of_symlinks(tmp_path: Path) -> None:
    """A ConfigMap's update, which swaps a link to a whole folder, is one change."""
    for version, accept in (("v1", "0.8"), ("v2", "0.9")):
        folder = tmp_path / version
        folder.mkdir()
        change(folder / "catalogue.yaml", GOOD.replace("0.8", accept), seconds=1)
        change(folder / "topic.jsonl", ROW, seconds=1)
    (tmp_path / "..data").symlink_to("v1")
    for name in ("catalogue.yaml", "topic.jsonl"):
        (tmp_path / name).symlink_to(f"..data/{name}")
    watch = CatalogueWatch(tmp_path / "catalogue.yaml")

    (tmp_path / "..new").symlink_to("v2")
    (tmp_path / "..new").replace(tmp_path / "..data")

    assert watch.refresh() is True
    assert threshold(watch) == 0.9


def test_a_bad_version_changes_nothing(path: Path) -> None:
    """A wrong catalogue is logged once with its problems, and the old one stays in force."""
    errors: list[CatalogueError] = []
    watch = CatalogueWatch(path, on_error=errors.append)
    before, revision = watch.current, watch.revision

    change(path, BAD, seconds=2)
    with capture_logs() as logs:
        looks = [watch.refresh(), watch.refresh()]
        change(path, BAD, seconds=3)
        looks.append(watch.refresh())

    assert looks == [False, False, False]
    assert (watch.current, watch.revision) == (before, revision)
    assert [entry["event"] for entry in logs] == ["catalogue.rejected"]
    assert "did you mean 'classify'?" in logs[0]["problems"][0]
    assert logs[0]["consequence"]
    assert logs[0]["remedy"]
    assert [error.line for error in errors] == [6]


def test_the_next_bad_version_is_told_of_too(path: Path) -> None:
    """Each bad version gets its own warning, also after a good one in between."""
    errors: list[CatalogueError] = []
    watch = CatalogueWatch(path, on_error=errors.append)

    for seconds, content in enumerate((BAD, BAD + "x: 1\n", GOOD, BAD), start=2):
        change(path, content, seconds=seconds)
        watch.refresh()

    assert [len(error.problems) for error in errors] == [1, 2, 1]


def test_mending_a_file_of_examples(path: Path) -> None:
    """A catalogue refused for a row of its examples is read again when that file is mended."""
    watch = CatalogueWatch(path)

    change(path, GOOD.replace("0.8", "0.9"), seconds=2)
    change(path.parent / "topic.jsonl", "{}\n", seconds=2)
    assert watch.refresh() is False

    change(path.parent / "topic.jsonl", ROW, seconds=3)
    assert watch.refresh() is True
    assert threshold(watch) == 0.9


def test_a_catalogue_that_goes_and_comes_back(path: Path) -> None:
    """While the file is missing the old catalogue stays, and a new file is taken up."""
    errors: list[CatalogueError] = []
    watch = CatalogueWatch(path, on_error=errors.append)

    path.unlink()
    assert [watch.refresh(), watch.refresh()] == [False, False]
    assert len(errors) == 1

    change(path, GOOD.replace("0.8", "0.6"), seconds=9)
    assert watch.refresh() is True
    assert threshold(watch) == 0.6


def test_the_first_reading_must_be_good(path: Path) -> None:
    """With no older catalogue to keep, a wrong one stops the start."""
    change(path, BAD, seconds=2)

    with pytest.raises(CatalogueError):
        CatalogueWatch(path)


def test_a_revision_is_of_the_content(path: Path, tmp_path: Path) -> None:
    """The same contents have the same revision on every machine, in every folder."""
    (tmp_path / "elsewhere").mkdir()
    change(tmp_path / "elsewhere" / "topic.jsonl", ROW, seconds=7)
    copy = change(tmp_path / "elsewhere" / "other.yaml", GOOD, seconds=8)

    revision = CatalogueWatch(path).revision

    assert CatalogueWatch(copy).revision == revision
    assert len(revision) == 12
    assert int(revision, 16) >= 0
