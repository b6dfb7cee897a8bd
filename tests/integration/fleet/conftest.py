"""A whole fleet: its own Redis, two routers, a worker for each core, Flower."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from redis import Redis

from smallfirst import Client
from smallfirst.local.fleet import LocalFleet

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="session", autouse=True)
def flower_tells() -> Iterator[None]:
    """Let Flower answer its API without a password; it listens on loopback."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLOWER_UNAUTHENTICATED_API", "true")
        yield


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory, small_catalogue: Path) -> Iterator[LocalFleet]:
    """The demo's fleet, ready."""
    folder = tmp_path_factory.mktemp("fleet")
    with LocalFleet(small_catalogue, folder, routers=2, persistent=False) as fleet:
        fleet.wait_ready(timedelta(minutes=4))
        yield fleet


@pytest.fixture
def browser() -> Iterator["Browser"]:
    """One Chromium, for one test: an event loop runs in this thread as long as it is open."""
    pytest.importorskip("playwright", reason="playwright is not installed: pip install '.[dev]'")
    from tests.support.browsers import CHROMIUM, chromium  # noqa: PLC0415 - where it is installed

    if CHROMIUM is None:
        pytest.skip("Chromium is not there (Debian: apt-get install chromium)")
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def client(fleet: LocalFleet) -> Iterator[Client]:
    """A producer of the fleet's."""
    with Client(fleet.redis_url) as client:
        yield client


@pytest.fixture
def fleet_redis(fleet: LocalFleet) -> Iterator[Redis]:
    """The fleet's own Redis."""
    with Redis.from_url(fleet.redis_url) as redis:
        yield redis
