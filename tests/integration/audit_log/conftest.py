"""A log of three checkpoints, for the tests that read, damage or prune it."""

import shutil
from pathlib import Path

import pytest
from tests.support.audit_logs import SIZE, log_of


@pytest.fixture(scope="session")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log with two whole tiles, a part of one, and parts of earlier checkpoints; to be read."""
    return log_of(tmp_path_factory.mktemp("grown") / "log", 300, 520, SIZE)


@pytest.fixture
def log(grown: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(grown, tmp_path / "log"))
