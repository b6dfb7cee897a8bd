"""`smallfirst slices`: where they are, and another number of them for a fleet at rest."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis
from redis.crc import key_slot
from tests.support.clusters import Cluster
from tests.support.invariants import lasting_keys

from smallfirst import Client, Job
from smallfirst.ledger.keys import POOL_GROUP, ROUTER_GROUP, ROUTERS, Keys
from smallfirst.ledger.ledger import Ledger
from smallfirst.ledger.producers import Producer, ProducerRegistry
from smallfirst.ledger.slices import keys_of_slices

Smallfirst = Callable[..., Any]


def found_by(redis: Redis, num_slices: int) -> None:
    """Leave what the routers of a fleet at rest leave: streams, a producer, the number."""
    for keys in keys_of_slices("sf", num_slices):
        redis.set(keys.num_slices, num_slices)
        redis.sadd(keys.pools, "cpu")
        ProducerRegistry(redis, keys).write("shop", Producer(weight=3))
        ledger = Ledger(redis, keys, "router-test")
        ledger.open([keys.of_producer("default").jobs, keys.escalations], ROUTER_GROUP)
        ledger.open(keys.backlogs("cpu").values(), POOL_GROUP)


def slices_there(redis: Any) -> dict[bytes, bytes]:
    """Every slice that has keys, and the number that is written down there."""
    there: Any = redis.keys()
    tags = {key.partition(b"}")[0] + b"}" for key in there}
    found: dict[bytes, bytes] = {tag: redis.get(tag + b":slices") for tag in tags}
    return found


def test_each_slice_is_listed_with_its_slot(
    smallfirst: Smallfirst, redis: Redis, redis_url: str
) -> None:
    """Whoever moves one to another node of a cluster needs to know."""
    found_by(redis, 2)
    with Client(redis_url, slices=2) as client:
        client.submit_many([Job(task="topic", text=str(number)) for number in range(10)])
    listed = smallfirst("slices", "list", "--json", SMALLFIRST_SLICES="2").json
    assert [(each["keys"], each["slot"]) for each in listed] == [
        (f"{{sf:{number}}}", key_slot(f"sf:{number}".encode())) for number in range(2)
    ]
    assert sum(each["submitted"] for each in listed) == 10


@pytest.mark.parametrize(("before", "after"), [(1, 3), (3, 1), (2, 3), (3, 2)])
def test_a_fleet_at_rest_has_another_number(
    smallfirst: Smallfirst, redis: Redis, redis_url: str, before: int, after: int
) -> None:
    """Its producers are in every slice, and nothing is left of a slice that goes."""
    found_by(redis, before)
    done = smallfirst("slices", "change", after, "--json", SMALLFIRST_SLICES=str(before))
    assert (done.code, done.json) == (0, {"slices": after})
    tags = [keys.tag.encode() for keys in keys_of_slices("sf", after)]
    assert slices_there(redis) == dict.fromkeys(tags, str(after).encode())
    assert not lasting_keys(redis)
    for keys in keys_of_slices("sf", after):
        assert ProducerRegistry(redis, keys).read()["shop"].weight == 3
    with Client(redis_url, slices=after, producer="shop") as client:
        client.submit_many([Job(task="topic", text=str(number)) for number in range(30)])


def test_the_number_changes_on_a_cluster(
    smallfirst: Smallfirst, cluster: Cluster, redis_url: str
) -> None:
    """As the page on deploying prints it; the new slices lie on more than one node."""
    cluster.empty()
    with cluster.connect() as redis:
        found_by(redis, 1)
    fleet = {"SMALLFIRST_REDIS_URL": cluster.url, "SMALLFIRST_BROKER_URL": redis_url}
    one, four = ({**fleet, "SMALLFIRST_SLICES": number} for number in "14")
    assert len(smallfirst("slices", "list", "--json", **one).json) == 1
    done = smallfirst("slices", "change", "4", "--json", **one)
    assert (done.code, done.json) == (0, {"slices": 4})
    with Client(cluster.url, slices=4, producer="shop") as client:
        client.submit_many([Job(task="topic", text=str(number)) for number in range(30)])
    listed = smallfirst("slices", "list", "--json", **four).json
    assert len(listed) == 4
    assert sum(each["submitted"] for each in listed) == 30
    assert len({cluster.owner_of(each["keys"]).port for each in listed}) > 1


def test_no_number_changes_while_anything_hangs_on_it(smallfirst: Smallfirst, redis: Redis) -> None:
    """A router or worker that lives, a job that has not ended, a dead letter: all are told."""
    found_by(redis, 2)
    first, second = keys_of_slices("sf", 2)
    soon_ms = (time.time() + 60) * 1000
    for key in (second.workers("cpu"), first.workers(ROUTERS)):
        redis.zadd(key, {"w1": soon_ms})
        redis.expire(key, 60)
    redis.xadd(second.of_producer("shop").jobs, {"job": "{}"})
    redis.xadd(first.escalations, {"job": "{}"})
    redis.xadd(second.dead, {"letter": "{}"})
    before = sorted(redis.keys())
    done = smallfirst("slices", "change", "3", SMALLFIRST_SLICES="2")
    assert done.code == 1
    assert done.err == (
        "smallfirst: not now: 1 router lives, 1 worker lives, 2 jobs have not ended,"
        " 1 dead letter is kept\n"
    )
    assert sorted(redis.keys()) == before
    assert redis.get(Keys().num_slices) == b"2"


def test_the_present_number_must_be_told(smallfirst: Smallfirst, redis: Redis) -> None:
    """Who does not know how many slices there are cannot look into all of them."""
    found_by(redis, 2)
    done = smallfirst("slices", "change", "3")
    assert (done.code, "its fleet has 2 slices" in done.err) == (1, True)


def test_the_doctor_says_so(smallfirst: Smallfirst, redis: Redis) -> None:
    """As a failure, with both numbers and the remedy."""
    found_by(redis, 3)
    done = smallfirst("doctor", "--json", SMALLFIRST_SLICES="2")
    [check] = [each for each in done.json if each["name"] == "slices"]
    assert (done.code, check["state"]) == (1, "fail")
    assert check["detail"] == "its fleet has 3 slices, and SMALLFIRST_SLICES says 2"
    assert check["remedy"] == "set SMALLFIRST_SLICES=3 here"
