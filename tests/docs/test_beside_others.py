"""The comparison with other projects: what it says of them has a source that does not move."""

import re
from collections.abc import Iterator

from tests.support.pages import ROOT

PAGE = (ROOT / "docs/explanation/beside-others.md").read_text("utf-8")
SOURCES = dict(re.findall(r"^\[([\w-]+)\]: (\S+)$", PAGE, flags=re.MULTILINE))
#: What needs no source of its own: the page says of each what it means.
UNSOURCED = re.compile(r"\?|-|(none|neither|passes: no|no page).*")
#: An address below which nothing changes, or a thread, whose number stays.
FIXED = re.compile(r"/(blob|tree)/[0-9a-f]{7,40}(/|$)|/(issues|pull)/\d+$|/releases/tag/")


def tables() -> Iterator[list[list[str]]]:
    """The rows of each table that has a column for this chart, its head first."""
    for table in re.findall(r"(?:^\|.*\n)+", PAGE, flags=re.MULTILINE):
        rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in table.splitlines()]
        if "this chart" in rows[0]:
            yield [rows[0], *rows[2:]]


def test_each_cell_about_another_project_has_a_source() -> None:
    """A cell of another's column links to where that stands, or says that nothing was seen."""
    bare = [
        (row[0], cell)
        for _, *rows in tables()
        for row in rows
        for cell in row[2:]
        if "][" not in cell and not UNSOURCED.fullmatch(cell)
    ]
    assert bare == []


def test_rows_are_as_wide_as_their_head() -> None:
    """No row lacks a project or has one too many."""
    assert [row for head, *rows in tables() for row in rows if len(row) != len(head)] == []


def test_sources_are_named_and_used() -> None:
    """Each link has its address below, and each address its link."""
    assert set(re.findall(r"\]\[([\w-]+)\]", PAGE)) == set(SOURCES)


def test_sources_in_repositories_stay() -> None:
    """A link into a repository names a commit, a thread or a release."""
    moving = [url for url in SOURCES.values() if "github.com" in url and not FIXED.search(url)]
    assert moving == []
