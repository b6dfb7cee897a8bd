"""What a router of these tests goes by."""

from pathlib import Path

import pytest
from tests.support.routers import CATALOGUE


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    """A catalogue with a task for rules and a task for a model."""
    path = tmp_path / "catalogue.yaml"
    path.write_text(CATALOGUE)
    return path
