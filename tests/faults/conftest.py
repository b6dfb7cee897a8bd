"""A fleet to break: its own Redis, two routers, two workers, short leases."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from redis import Redis
from tests.support.redis_settings import write_before_answering

from smallfirst.local.fleet import LocalFleet

LEASE_SECONDS = 2


@contextmanager
def fleet_in(folder: Path, catalogue: Path) -> Iterator[LocalFleet]:
    """Run the demo's fleet with short leases, so that the dead are found soon.

    What a worker left unstarted is sent again sooner too, in the same proportion.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SMALLFIRST_LEASE_SECONDS", str(LEASE_SECONDS))
        patch.setenv("SMALLFIRST_HEARTBEAT_SECONDS", "0.5")
        patch.setenv("SMALLFIRST_QUEUE_TIMEOUT_SECONDS", "20")
        with LocalFleet(catalogue, folder, routers=2, slm_processes=2, flower=False) as fleet:
            fleet.wait_ready(timedelta(minutes=4))
            write_before_answering(fleet.redis_url)
            yield fleet


@pytest.fixture
def fleet(tmp_path: Path, small_catalogue: Path) -> Iterator[LocalFleet]:
    """A fleet that nobody has struck before."""
    with fleet_in(tmp_path, small_catalogue) as fleet:
        yield fleet


@pytest.fixture
def fleet_redis(fleet: LocalFleet) -> Iterator[Redis]:
    """The fleet's own Redis."""
    with Redis.from_url(fleet.redis_url) as redis:
        yield redis
