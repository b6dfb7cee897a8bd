"""Desks that run for all tests of a module, and a Redis behind them that is empty before each."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.desks import Browser, RunningDesk, folder_for, running_desk

from smallfirst.local.redis_server import RedisServer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a catalogue and users."""
    return folder_for(tmp_path)


@pytest.fixture(scope="module")
def desk(
    redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningDesk]:
    """A desk whose decisions are final at once."""
    folder = folder_for(tmp_path_factory.mktemp("desk"))
    with running_desk(redis_server.url, folder, desk_undo_seconds=0) as desk:
        yield desk


@pytest.fixture(scope="module")
def patient_desk(
    redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningDesk]:
    """A desk whose decisions may be taken back for a minute."""
    folder = folder_for(tmp_path_factory.mktemp("desk"))
    with running_desk(redis_server.url, folder, desk_undo_seconds=60) as desk:
        yield desk


@pytest.fixture
def ann(desk: RunningDesk, redis_url: str) -> Iterator[Browser]:  # noqa: ARG001 - emptied
    """Somebody who has signed in."""
    browser = desk.browser("ann")
    yield browser
    browser.close()
