"""Chromium, and a desk that it looks at; skipped where no Chromium is installed."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.desks import RunningDesk, folder_for, running_desk

from smallfirst.local.redis_server import RedisServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from tests.support.browsers import Screen

OpenScreen = Callable[..., "Screen"]


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """One Chromium for the tests of a module.

    Not of all: Playwright keeps an event loop running in this thread, where no other can run.
    """
    pytest.importorskip("playwright", reason="playwright is not installed: pip install '.[dev]'")
    from tests.support.browsers import CHROMIUM, chromium  # noqa: PLC0415 - where it is installed

    if CHROMIUM is None:
        pytest.skip("Chromium is not there (Debian: apt-get install chromium)")
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def desk(
    redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningDesk]:
    """A desk whose decisions may be taken back for two seconds."""
    folder = folder_for(tmp_path_factory.mktemp("desk"))
    with running_desk(redis_server.url, folder, desk_undo_seconds=2) as desk:
        yield desk


@pytest.fixture
def screen(browser: "Browser", desk: RunningDesk, redis_url: str) -> Iterator[OpenScreen]:  # noqa: ARG001 - emptied
    """Opens windows of people who have signed in."""
    from tests.support.browsers import Screen  # noqa: PLC0415 - where it is installed

    opened: list[Screen] = []

    def open_screen(name: str, **options: Any) -> Screen:
        opened.append(Screen(browser, desk.url, **options))
        opened[-1].sign_in(name)
        return opened[-1]

    yield open_screen
    for each in opened:
        each.close()
