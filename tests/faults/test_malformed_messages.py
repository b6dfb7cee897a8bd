"""An administrator's hand slips: entries of Celery's lists that are no messages."""

import json
from typing import Any

import pytest

from smallfirst import Client, Job
from smallfirst.jobs import Priority, Status
from smallfirst.ledger.keys import Keys
from smallfirst.local.fleet import LocalFleet

pytestmark = pytest.mark.timeout(300)

KEYS = Keys()
#: Each of the first five ended a worker's process or its consuming, tried on Celery 5.7.
MALFORMED = (
    b"null",
    b"[1, 2]",
    b"[" * 100_000,
    b"\xff\xfe",
    json.dumps({"headers": {"task": "slm.minilm"}, "properties": {"delivery_tag": "1"}}).encode(),
    b"{}",
    b"no JSON at all",
)


def test_a_malformed_message_neither_stops_a_pool_nor_kills_it(
    fleet: LocalFleet, fleet_redis: Any
) -> None:
    """Three of each kind are dropped; the very same workers answer what comes behind them."""
    before = set(fleet_redis.zrange(KEYS.workers("cpu-small"), 0, -1))
    for entry in MALFORMED * 3:
        fleet_redis.lpush(KEYS.queue("cpu-small", Priority.BULK), entry)
    with Client(fleet.redis_url) as client:
        ids = client.submit_many(Job(task="topic", text=f"Where is parcel {n}?") for n in range(50))
        statuses = {result.status for result in client.as_completed(ids, timeout=60)}
    assert statuses <= {Status.ANSWERED, Status.ABSTAINED}
    assert fleet_redis.llen(KEYS.queue("cpu-small", Priority.BULK)) == 0
    assert set(fleet_redis.zrange(KEYS.workers("cpu-small"), 0, -1)) == before
    dropped = sum(
        line.count("message.malformed")
        for log in fleet.logs.glob("worker-*.log")
        for line in log.read_text().splitlines()
    )
    assert dropped == len(MALFORMED) * 3
