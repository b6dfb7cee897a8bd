"""The pages as text: what they name exists, and what they show is valid."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import TypeAdapter
from tests.support.pages import ROOT, texts_of

from smallfirst.catalogue import Model, Pool
from smallfirst.catalogue.steps import AnyStep

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
#: The pages of the repository that link into the documentation.
OUTER = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")]
#: A file or folder in backticks: it has a slash, or a suffix of ours.
NAMED = re.compile(r"`((?:[\w.…-]+/)+[\w.-]*|[\w-]+\.(?:py|lua))`")
LINK = re.compile(r"\]\(((?!https?:)[^)#\s]*)(?:#([\w-]+))?\)")
#: Where a name without its folder is looked for.
FOLDERS = ("shared", "router", "workers", "tests", "helm", "benchmarks", "examples", "docs")
#: What looks like a path and is a thing of the reader's, or of Kubernetes.
NOT_OURS = (
    "models/",
    "calibration/",
    "fleet/",
    "versions/",
    "./",
    "/",
    "python -m",
    "cluster-autoscaler",
    "smallfirst/producer",
    "nvidia.com/",
    "POOL/",
)


def named_in(page: Path) -> Iterator[str]:
    """The files that a page names."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    for name in NAMED.findall(text):
        if not name.startswith(NOT_OURS):
            yield name


def exists(name: str) -> bool:
    """Whether there is such a file: from the root, or as the end of a path below our folders."""
    pattern = name.strip("/").replace("…", "**")
    if (ROOT / pattern).exists() or list(ROOT.glob(pattern)):
        return True
    return any(next((ROOT / folder).glob(f"**/{pattern}"), None) for folder in FOLDERS)


def slugs_of(page: Path) -> set[str]:
    """The names by which the headings of a page are linked."""
    heads = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_files_that_a_page_names_exist(page: Path) -> None:
    """A file in backticks is one of today's."""
    assert [name for name in named_in(page) if not exists(name)] == []


@pytest.mark.parametrize("page", OUTER, ids=lambda page: page.name)
def test_links_from_outside_lead_somewhere(page: Path) -> None:
    """README and its neighbours link to files, and to headings, that there are."""
    for path, slug in LINK.findall(page.read_text("utf-8")):
        target = page.parent / path if path else page
        assert target.exists(), path
        assert not slug or slug in slugs_of(target), f"{path}#{slug}"


def test_the_readme_explains_its_words() -> None:
    """README links its own words to the glossary, where each has a heading."""
    linked = set(re.findall(r"docs/glossary\.md#([\w-]+)", (ROOT / "README.md").read_text("utf-8")))
    assert len(linked) >= 10
    assert linked <= slugs_of(DOCS / "glossary.md")


#: What a fragment of a catalogue may hold, and what each of its parts is.
PARTS: dict[str, TypeAdapter[Any]] = {
    "pools": TypeAdapter(Pool),
    "models": TypeAdapter(Model),
    "cascade": TypeAdapter(AnyStep),
}
FRAGMENTS = [
    (page, text)
    for page in PAGES
    if page.parent.name == "how-to"
    for text in texts_of(page, "yaml")
]


@pytest.mark.parametrize(("page", "text"), FRAGMENTS, ids=lambda each: getattr(each, "stem", ""))
def test_fragments_of_catalogues_are_valid(page: Path, text: str) -> None:
    """Each pool, model and step that a how-to shows is one."""
    fragment = yaml.safe_load(text)
    assert set(fragment) <= set(PARTS), page
    for name, parts in fragment.items():
        for part in parts.values() if isinstance(parts, dict) else parts:
            PARTS[name].validate_python(part)


def test_every_shape_is_where_the_page_says() -> None:
    """The page of shapes names classes of today, in their files."""
    rows = re.findall(
        r"^\| `(\w+)` .* `([\w/.]+\.py)` \|$",
        (DOCS / "reference" / "shapes.md").read_text("utf-8"),
        flags=re.MULTILINE,
    )
    assert rows
    for shape, path in rows:
        text = (ROOT / path).read_text("utf-8")
        assert f"class {shape}" in text or f"\n{shape} = " in text, shape
