"""Each law is tried with both clients, on both fleets; on Redis the test plays the fleet."""

import asyncio
import threading
from collections.abc import (
    AsyncIterator,
    Callable,
    Iterator,
)
from typing import Any

import pytest
from tests.support.hand_fleets import (
    AnyClient,
    Eventually,
    HandFleet,
    Kind,
    MakeClient,
    MemoryFleetInHand,
    RedisFleet,
)
from tests.support.waiting import WaitUntil


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    """After each test no client's thread lives."""
    yield
    names = [thread.name for thread in threading.enumerate()]
    assert "smallfirst-client" not in names


@pytest.fixture(params=["async", "threaded"])
def kind(request: pytest.FixtureRequest) -> Kind:
    """Which of the two clients."""
    chosen: Kind = request.param
    return chosen


@pytest.fixture
def redis_fleet(redis_url: str) -> Iterator[RedisFleet]:
    """A fleet played on a real Redis."""
    fleet = RedisFleet(redis_url)
    yield fleet
    fleet.close()


@pytest.fixture(params=["redis", "memory"])
def fleet(request: pytest.FixtureRequest) -> Iterator[HandFleet]:
    """Either fleet."""
    if request.param == "redis":
        played: RedisFleet = request.getfixturevalue("redis_fleet")
        yield played
    else:
        in_memory = MemoryFleetInHand()
        yield in_memory
        in_memory.close()


@pytest.fixture
async def make_client(request: pytest.FixtureRequest, kind: Kind) -> AsyncIterator[MakeClient]:
    """Make clients of the fleet at hand; they are closed after the test."""
    name = "fleet" if "fleet" in request.fixturenames else "redis_fleet"
    fleet: HandFleet = request.getfixturevalue(name)
    made: list[AnyClient] = []

    def make(**options: Any) -> AnyClient:
        made.append(fleet.client(kind, **options))
        return made[-1]

    yield make
    for client in made:
        await client.close()


@pytest.fixture
async def client(make_client: MakeClient) -> AnyClient:
    """One client of the fleet at hand."""
    return make_client()


@pytest.fixture
def eventually(wait_until: WaitUntil) -> Eventually:
    """Wait beside the event loop until something is so."""

    async def wait(predicate: Callable[[], object], description: str) -> None:
        await asyncio.to_thread(wait_until, predicate, description=description)

    return wait
