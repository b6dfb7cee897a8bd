"""A fleet to break: its own Redis, two routers, two workers, short leases."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from redis import Redis

from smallfirst.local.fleet import LocalFleet


@pytest.fixture
def fleet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_catalogue: Path
) -> Iterator[LocalFleet]:
    """The demo's fleet with leases of two seconds, so that the dead are found soon."""
    monkeypatch.setenv("SMALLFIRST_LEASE_SECONDS", "2")
    monkeypatch.setenv("SMALLFIRST_HEARTBEAT_SECONDS", "0.5")
    with LocalFleet(small_catalogue, tmp_path, routers=2, slm_processes=2, flower=False) as fleet:
        fleet.wait_ready(timedelta(minutes=4))
        yield fleet


@pytest.fixture
def fleet_redis(fleet: LocalFleet) -> Iterator[Redis]:
    """The fleet's own Redis."""
    with Redis.from_url(fleet.redis_url) as redis:
        yield redis
