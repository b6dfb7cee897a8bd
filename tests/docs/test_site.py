"""The site of the documentation: built as `make docs` builds it, whole and by itself."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.pages import ROOT

DOCS = ROOT / "docs"
#: What a page has a browser load by itself, from somewhere else.
LOADED = re.compile(
    r"<(?:script|img|iframe|source|link\s+rel=\"stylesheet\")[^>]*=\"(?:https?:)?//"
)
#: What a style sheet has a browser load; `data:` is a part of the sheet itself.
ADDRESS = re.compile(r"(?:@import\s+|url\()[\"']?(?!data:)(?:https?:)?//")


def build(source: Path, target: Path) -> "subprocess.CompletedProcess[str]":
    """Build as `make docs` does."""
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-d", f"{target}-trees"]
    return subprocess.run(
        [*command, str(source), str(target)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    target = tmp_path_factory.mktemp("site") / "html"
    built = build(DOCS, target)
    assert built.returncode == 0, built.stderr
    return target


def test_every_page_is_built(site: Path) -> None:
    """No page of the folder is missing on the site, and none is out of reach of its contents."""
    pages = {path.relative_to(DOCS).with_suffix(".html") for path in DOCS.rglob("*.md")}
    contents = (site / "index.html").read_text("utf-8")
    assert {page for page in pages if not (site / page).is_file()} == set()
    assert {page for page in pages if f'href="{page}"' not in contents} == {Path("index.html")}


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    """A reader's browser asks nobody but the site: no font, no script, no counter of visits."""
    for page in site.rglob("*.html"):
        assert not LOADED.search(page.read_text("utf-8")), page
    for sheet in site.rglob("*.css"):
        assert not ADDRESS.search(sheet.read_text("utf-8")), sheet


def test_what_is_generated_stands_in_its_page(site: Path) -> None:
    """A marker is replaced, by tables that name what there is."""
    for page, words in {
        "job": "first_tier",
        "result": "LabelAnswer",
        "catalogue": "gpu_memory_utilization",
        "settings": "SMALLFIRST_LEASE_SECONDS",
        "commands": "--target-error",
        "redis-keys": "{slice}:dead:{entry}",
    }.items():
        text = (site / "reference" / f"{page}.html").read_text("utf-8")
        assert words in text, page
        assert "generated:" not in text, page


@pytest.mark.parametrize(
    ("links", "told"),
    [
        ("[x](gone.md), [x](../glossary.md#lost)", ("gone.md", "lost")),
        ("[x](../../missing.py)", ("missing.py",)),
    ],
)
def test_a_link_to_nowhere_fails_the_build(
    tmp_path: Path, links: str, told: tuple[str, ...]
) -> None:
    """Be it to a page or a heading, each of which is told, or to a file of the repository."""
    folder = tmp_path / "docs"
    (folder / "reference").mkdir(parents=True)
    for name in ("conf.py", "glossary.md"):
        shutil.copy(DOCS / name, folder)
    (folder / "reference" / "page.md").write_text(f"# Page\n\n{links}\n")
    (folder / "index.md").write_text("# Home\n\n```{toctree}\nglossary\nreference/page\n```\n")
    built = build(folder, tmp_path / "html")
    assert built.returncode != 0
    for target in told:
        assert target in built.stderr
