"""The tutorial, followed as it stands: from an empty folder, with a fleet of the reader's own."""

from pathlib import Path

import pytest
from tests.support.pages import ROOT, blocks_of
from tests.support.readers import reader
from tests.support.waiting import WaitUntil

pytestmark = pytest.mark.timeout(600)

TUTORIAL = ROOT / "docs" / "tutorial.md"


def test_the_tutorial_can_be_followed(tmp_path: Path, wait_until: WaitUntil) -> None:
    """Every file and command works in its order, and prints what the page says it prints."""
    blocks = blocks_of(TUTORIAL)
    assert {"yaml", "sh", "text"} <= {block.language for block in blocks}
    with reader(tmp_path, wait_until) as someone:
        for block in blocks:
            someone.follow(block)
    assert (tmp_path / "report.html").stat().st_size > 1000
