"""A fleet over a Redis Cluster: its slot moves under load, and the node that has it dies."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from tests.support.clusters import Cluster
from tests.support.invariants import Stopwatch, assert_each_ended_once, lasting_keys
from tests.support.waiting import WaitUntil

from smallfirst import Client, Job
from smallfirst.ledger.celery_lists import CeleryLists
from smallfirst.ledger.keys import POOL_GROUP, ROUTER_GROUP, Keys
from smallfirst.local.fleet import LocalFleet
from smallfirst.local.redis_server import RedisServer

pytestmark = pytest.mark.timeout(300)

POOL, KEYS = "cpu-small", Keys()
OWN = KEYS.of_producer("default")
TEXT = "I forgot my password and cannot log in to my account. " * 10


class ClusterFleet(LocalFleet):
    """A local fleet whose ledger is on a cluster, and whose own Redis carries Celery's lists."""

    def __init__(self, catalogue_path: Path, folder: Path, cluster: Cluster) -> None:
        super().__init__(catalogue_path, folder, slm_processes=1, flower=False)
        self.cluster = cluster

    def environment_of(self, child: str) -> dict[str, str]:
        """Name both."""
        return super().environment_of(child) | {
            "SMALLFIRST_REDIS_URL": self.cluster.url,
            "SMALLFIRST_BROKER_URL": self.redis_url,
        }

    def _start_redis(self, opening: ExitStack) -> RedisServer:
        server = super()._start_redis(opening)
        # Heartbeats are in the ledger.
        self._redis = opening.enter_context(self.cluster.connect())
        return server

    def is_at_rest(self) -> bool:
        """Whether nothing is left over, in the ledger and in Celery's lists."""
        streams = {OWN.jobs: ROUTER_GROUP, KEYS.escalations: ROUTER_GROUP}
        streams |= dict.fromkeys(KEYS.backlogs(POOL).values(), POOL_GROUP)
        with Redis.from_url(self.redis_url) as broker, self.cluster.connect() as ledger:
            left = sum(_num_left(ledger, *each) for each in streams.items())
            return left + CeleryLists(broker, KEYS).count_batches([POOL])[POOL].num_batches == 0


def _num_left(redis: Any, stream: str, group: str) -> int:
    return int(redis.xlen(stream) + redis.xpending(stream, group)["pending"])


@pytest.fixture(scope="module")
def fleet(
    tmp_path_factory: pytest.TempPathFactory,
    small_catalogue: Path,
    cluster: Cluster,
) -> Iterator[ClusterFleet]:
    """A router and a worker over a cluster of three nodes, of which one has all keys."""
    cluster.empty()
    folder = tmp_path_factory.mktemp("fleet")
    with ClusterFleet(small_catalogue, folder, cluster) as fleet:
        fleet.wait_ready(timedelta(minutes=4))
        yield fleet


def jobs(count: int) -> list[Job]:
    """Make jobs that nobody has asked before."""
    return [Job(task="topic", text=f"{n}: {time.time_ns()}: {TEXT}") for n in range(count)]


def assert_at_rest(fleet: ClusterFleet, wait_until: WaitUntil) -> None:
    """Nothing is left over in the ledger, nor in Celery's lists, and nothing is kept for ever."""
    wait_until(fleet.is_at_rest, description="nothing is left", timeout=90)
    for node in fleet.cluster.nodes:
        with Redis(port=node.port) as redis:
            assert not lasting_keys(redis)


def test_each_job_ends_once_while_its_slot_moves(
    fleet: ClusterFleet, wait_until: WaitUntil
) -> None:
    """Jobs are under way while all that is known of them goes to another node and back."""
    cluster = fleet.cluster
    source = cluster.owner_of(KEYS.due)
    to = next(node for node in cluster.nodes if node is not source)
    with Client(cluster.url) as client:
        ids = client.submit_many(jobs(60))
        watch = Stopwatch("a slot goes to another node and back, under load")
        cluster.move(KEYS.due, to)
        ids += client.submit_many(jobs(60))
        cluster.move(KEYS.due, source)
        watch.report()
        ids += client.submit_many(jobs(60))
        assert_each_ended_once(client.as_completed(ids, timeout=120), ids)
    assert cluster.owner_of(KEYS.due) is source
    assert_at_rest(fleet, wait_until)


def test_a_node_that_dies_and_comes_back_loses_nothing(
    fleet: ClusterFleet, wait_until: WaitUntil
) -> None:
    """What was confirmed is answered when the node is back."""
    cluster, node = fleet.cluster, fleet.cluster.owner_of(KEYS.due)
    with Client(cluster.url) as client:
        ids = client.submit_many(jobs(120))
        node.kill()
        node.start()
        cluster.serves()
        watch = Stopwatch("all jobs are answered after the node is back")
        assert_each_ended_once(client.as_completed(ids, timeout=120), ids)
        watch.report()
    assert_at_rest(fleet, wait_until)
