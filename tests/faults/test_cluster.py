"""A fleet of three slices over a Redis Cluster: a slot that moves under load, a node that dies."""

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from tests.support.cluster_fleets import ClusterFleet
from tests.support.clusters import Cluster
from tests.support.invariants import Stopwatch, assert_each_ended_once, lasting_keys
from tests.support.waiting import WaitUntil

from smallfirst import Client, FleetRefused, Job
from smallfirst.cli.doctor import Check, CheckState, check_spread
from smallfirst.cli.fleet_connection import linked
from smallfirst.ledger.celery_lists import CeleryLists
from smallfirst.ledger.keys import POOL_GROUP, ROUTER_GROUP, Keys
from smallfirst.ledger.slices import keys_of_slices, slice_of
from smallfirst.settings import Settings

pytestmark = pytest.mark.timeout(300)

POOL, NUM_SLICES = "cpu-small", 3
SLICES = keys_of_slices("sf", NUM_SLICES)
TEXT = "I forgot my password and cannot log in to my account. " * 10


def waits(fleet: ClusterFleet) -> dict[str, int]:
    """What is not at rest, by slice, and in Celery's lists."""
    with Redis.from_url(fleet.redis_url) as broker:
        published = CeleryLists(broker, Keys()).count_batches([POOL])[POOL]
        found = {"batches": published.num_batches}
    for keys in SLICES:
        with fleet.cluster.connect() as redis:
            streams = {keys.of_producer("default").jobs: ROUTER_GROUP}
            streams |= {keys.escalations: ROUTER_GROUP}
            streams |= dict.fromkeys(keys.backlogs(POOL).values(), POOL_GROUP)
            found[keys.tag] = sum(_num_left(redis, *each) for each in streams.items())
    return {what: count for what, count in found.items() if count}


def _num_left(redis: Any, stream: str, group: str) -> int:
    return int(redis.xlen(stream) + redis.xpending(stream, group)["pending"])


@pytest.fixture(scope="module")
def fleet(
    tmp_path_factory: pytest.TempPathFactory,
    small_catalogue: Path,
    cluster: Cluster,
) -> Iterator[ClusterFleet]:
    """A router and a worker over a cluster of three nodes, a slice on each."""
    cluster.empty()
    for keys, node in zip(SLICES, cluster.nodes, strict=True):
        if cluster.owner_of(keys.due) is not node:
            cluster.move(keys.due, node)
    folder = tmp_path_factory.mktemp("fleet")
    with ClusterFleet(small_catalogue, folder, cluster, NUM_SLICES, slm_processes=1) as fleet:
        fleet.wait_ready(timedelta(minutes=4))
        yield fleet


def jobs(count: int) -> list[Job]:
    """Make jobs that nobody has asked before, of every slice."""
    made = [Job(task="topic", text=f"{n}: {time.time_ns()}: {TEXT}") for n in range(count)]
    assert {slice_of(job.id, NUM_SLICES) for job in made} == set(range(NUM_SLICES))
    return made


def assert_at_rest(fleet: ClusterFleet, wait_until: WaitUntil) -> None:
    """Nothing is left over in any slice, nor in Celery's lists."""
    wait_until(lambda: not waits(fleet), description="nothing is left", timeout=30)
    for node in fleet.cluster.nodes:
        with Redis(port=node.port) as redis:
            assert not lasting_keys(redis)


def test_each_job_ends_once_while_a_slot_moves(fleet: ClusterFleet, wait_until: WaitUntil) -> None:
    """Jobs of all slices are under way while one slice goes to another node and back."""
    cluster, moved = fleet.cluster, SLICES[1].due
    with Client(cluster.url, slices=NUM_SLICES) as client:
        ids = client.submit_many(jobs(60))
        source, to = cluster.nodes[1], cluster.nodes[2]
        watch = Stopwatch("a slice goes to another node and back, under load")
        cluster.move(moved, to)
        ids += client.submit_many(jobs(60))
        cluster.move(moved, source)
        watch.report()
        ids += client.submit_many(jobs(60))
        assert_each_ended_once(client.as_completed(ids, timeout=120), ids)
    assert_at_rest(fleet, wait_until)


def test_a_node_that_dies_loses_nothing_and_stops_no_other_slice(
    fleet: ClusterFleet, wait_until: WaitUntil
) -> None:
    """Jobs of the other slices are answered meanwhile; its own when it is back."""
    cluster, node = fleet.cluster, fleet.cluster.nodes[2]
    with Client(cluster.url, slices=NUM_SLICES) as client:
        ids = client.submit_many(jobs(60))
        node.kill()
        others = [job_id for job_id in ids if slice_of(job_id, NUM_SLICES) != 2]
        watch = Stopwatch("the other slices' jobs are answered while a node is dead")
        assert_each_ended_once(client.as_completed(others, timeout=60), others)
        watch.report()
        node.start()
        cluster.serves()
        watch = Stopwatch("all jobs are answered after the node is back")
        assert_each_ended_once(client.as_completed(ids, timeout=60), ids)
        watch.report()
    assert_at_rest(fleet, wait_until)


def test_who_was_told_another_number_of_slices_is_refused(fleet: ClusterFleet) -> None:
    """Before it submits a job that no router would find."""
    job = Job(task="topic", text=TEXT)
    with (
        Client(fleet.cluster.url, slices=2) as client,
        pytest.raises(FleetRefused, match="has 3 slices, and SMALLFIRST_SLICES says 2"),
    ):
        client.submit(job)


def test_the_doctor_says_where_a_node_has_more_than_its_share(
    fleet: ClusterFleet, wait_until: WaitUntil
) -> None:
    """Of three slices on three nodes each has one; two on one node are told, with that node."""
    cluster, values = fleet.cluster, {"redis_url": fleet.cluster.url, "slices": NUM_SLICES}
    settings = Settings.model_validate({**values, "broker_url": fleet.redis_url})

    def spread() -> Check:
        with linked(settings) as link:
            link.reach()
            [check] = check_spread(link)
            return check

    assert (spread().state, spread().detail) == (CheckState.OK, "3, on 3 of 3 nodes")
    cluster.move(SLICES[1].due, cluster.nodes[2])
    try:
        found = spread()
        place = f"127.0.0.1:{cluster.nodes[2].port}"
        assert (found.state, found.detail) == (CheckState.WARN, f"3, on 2 of 3 nodes, 2 on {place}")
    finally:
        cluster.move(SLICES[1].due, cluster.nodes[1])
    wait_until(lambda: spread().state is CheckState.OK, description="each has its own again")
