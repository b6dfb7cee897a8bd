"""What a fleet's terminal says of the catalogue's file while it runs."""

import os
from pathlib import Path

from smallfirst.local.catalogue_news import (
    CatalogueNews,
    CatalogueState,
    left_word,
    read_catalogue_state,
)

RULES = """version: 1
pools: {cpu: {tier: slm, max_parameters: 50M}}
tasks:
  ids: {kind: tag, labels: {ssn: "", email: ""}, cascade: [{rule: {find: [ssn]}}]}
"""


def write(path: Path, text: str) -> None:
    """Write a version that no stamp takes for the one before."""
    path.write_text(text)
    ahead = path.stat().st_mtime_ns + len(text) * 1_000_000
    os.utime(path, ns=(ahead, ahead))


def test_each_version_is_told_once(tmp_path: Path) -> None:
    """A wrong edit leaves the revision before in force; a right one is the next."""
    path, told = tmp_path / "catalogue.yaml", list[CatalogueState]()
    write(path, RULES)
    news = CatalogueNews(path, told.append)
    first = news.state.revision
    assert not news.look()
    write(path, RULES.replace("ssn]", "snn]"))
    assert [news.look(), news.look()] == [True, False]
    write(path, RULES.replace("ssn]", "ssn, email]"))
    assert [news.look(), news.look()] == [True, False]
    rejected, accepted = told
    assert rejected.revision == first
    assert "unknown recognizer 'snn'" in rejected.rejected[0]
    assert f"{path}:4" in rejected.rejected[0]
    assert accepted.revision not in {"", first}
    assert accepted.rejected == ()


def test_other_commands_find_the_word_while_the_fleet_runs(tmp_path: Path) -> None:
    """What is left in the fleet's folder is the newest state, and goes with the fleet."""
    with left_word(tmp_path, CatalogueState("one")) as leave_word:
        assert read_catalogue_state(tmp_path) == CatalogueState("one")
        leave_word(CatalogueState("one", ("wrong",)))
        assert read_catalogue_state(tmp_path) == CatalogueState("one", ("wrong",))
    assert read_catalogue_state(tmp_path) is None
