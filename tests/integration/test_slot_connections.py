"""Connections that follow a slice's slot through a real cluster of three nodes."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from tests.support.clusters import Cluster
from tests.support.ledgers import BACKLOG, KEYS, OWN, dispatched, finish_of, ledger_of, stored

from smallfirst import Client, Job
from smallfirst.ledger.keys import POOL_GROUP, ROUTER_GROUP
from smallfirst.ledger.ledger import Ledger
from smallfirst.ledger.settlements import Settled
from smallfirst.redis_access.address import RedisAddress

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def slot(cluster: Cluster) -> Iterator[Any]:
    """Connect to the slot of a slice that holds nothing."""
    cluster.empty()
    with RedisAddress.parse(cluster.url).connect(socket_timeout=5) as redis:
        yield redis


def elsewhere(cluster: Cluster) -> Any:
    """A node that has not the slot of the slice."""
    owner = cluster.owner_of(OWN.jobs)
    return next(node for node in cluster.nodes if node is not owner)


def test_commands_pipelines_and_scripts_follow_a_slot(cluster: Cluster, slot: Any) -> None:
    """Whichever node has it; scripts are loaded there anew."""
    entries = dispatched(slot, "a1", "a2")
    worker = Ledger(slot, KEYS, "worker-a")
    _, held = worker.claim(BACKLOG, entries)
    cluster.move(OWN.jobs, elsewhere(cluster))
    assert worker.keep(BACKLOG, {each.entry: each.starts for each in held}) == set(entries)
    pipeline = slot.pipeline(transaction=True)
    pipeline.xlen(BACKLOG)
    pipeline.exists(KEYS.due)
    assert pipeline.execute() == [2, 0]
    cluster.move(OWN.jobs, elsewhere(cluster))
    settled = worker.settle(BACKLOG, POOL_GROUP, [finish_of(entries[0]), finish_of(entries[1])])
    assert settled == Settled(results=1, fenced=1)


def test_a_read_that_waits_follows_a_slot(cluster: Cluster, slot: Any) -> None:
    """What comes on the new node ends the wait that began on the old one."""
    router, found = ledger_of(slot), list[Any]()
    wait = timedelta(seconds=4)

    def read() -> None:
        while not found:
            with suppress(RedisConnectionError):  # While the slot is on its way.
                found.extend(router.read([OWN.jobs], ROUTER_GROUP, count=1, block=wait))

    reading = threading.Thread(target=read)
    reading.start()
    cluster.move(OWN.jobs, elsewhere(cluster))
    slot.xadd(OWN.jobs, {"job": "{}"})
    reading.join(60)
    assert len(found) == 1


def test_what_is_on_its_way_counts_as_an_outage(cluster: Cluster, slot: Any) -> None:
    """No answer is written in halves; when the slot has come, the job ends once."""
    entries = dispatched(slot, "a1")
    worker = Ledger(slot, KEYS, "worker-a")
    worker.claim(BACKLOG, entries)
    to = elsewhere(cluster)
    source = cluster.begin_move(OWN.jobs, to)
    with pytest.raises(RedisConnectionError, match="on its way"):
        worker.settle(BACKLOG, POOL_GROUP, [finish_of(entries[0])])
    cluster.end_move(OWN.jobs, source, to)
    worker.settle(BACKLOG, POOL_GROUP, [finish_of(entries[0])])
    assert stored(slot) is not None
    assert slot.xlen(BACKLOG) == 0


def test_a_client_submits_through_a_move(cluster: Cluster, slot: Any) -> None:
    """Its submissions wait for the slot, and are confirmed by the node that it came to."""
    with Client(cluster.url) as client:
        client.submit(Job(id="a", task="topic", text="before"))
        to = elsewhere(cluster)
        source = cluster.begin_move(OWN.jobs, to)
        moving = threading.Timer(0.3, cluster.end_move, (OWN.jobs, source, to))
        moving.start()
        client.submit(Job(id="b", task="topic", text="meanwhile"))
        moving.join()
        client.submit(Job(id="c", task="topic", text="after"))
    assert slot.xlen(OWN.jobs) == 3


def test_a_node_that_is_gone_is_not_asked_for_ever(cluster: Cluster, slot: Any) -> None:
    """The search goes on over the others, and ends when the node is back with all it confirmed."""
    slot.xadd(OWN.jobs, {"job": "{}"})
    owner = cluster.owner_of(OWN.jobs)
    owner.kill()
    with pytest.raises(RedisConnectionError):
        slot.xlen(OWN.jobs)
    owner.start()
    cluster.serves()
    assert slot.xlen(OWN.jobs) == 1
