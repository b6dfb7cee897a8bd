"""The ledger's two kinds of Redis, and what producers are told."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.notices import Notices, listening

from smallfirst.ledger.keys import Keys
from smallfirst.redis_access.address import RedisAddress


@pytest.fixture(params=["server", "cluster"])
def redis(request: pytest.FixtureRequest) -> Iterator[Any]:
    """An empty Redis: one server, or the slot of one slice in a cluster."""
    if request.param == "server":
        yield request.getfixturevalue("plain_redis")
        return
    cluster = request.getfixturevalue("cluster")
    cluster.empty()
    with RedisAddress.parse(cluster.url).connect() as found:
        # From here on it is known where the slice is: what is heard there has an order.
        found.exists(Keys().escalations)
        yield found


@pytest.fixture
def notices(redis: Any) -> Iterator[Notices]:
    """What producers are told from here on."""
    with listening(redis) as heard:
        yield heard
