"""Names of keys: one slot of a cluster for each slice, and backlogs made and taken apart."""

import pytest
from redis.crc import key_slot

from smallfirst.jobs import Priority
from smallfirst.ledger.keys import Keys

KEYS = Keys("team-a")
OWN = KEYS.of_producer("default")


@pytest.mark.parametrize("priority", Priority)
@pytest.mark.parametrize("pool", ["cpu", "router-gpu", "backlog", "bulk"])
def test_a_backlog_tells_its_pool_and_its_priority(pool: str, priority: Priority) -> None:
    """Whatever the pool is called."""
    stream = KEYS.backlog(pool, priority)
    assert (KEYS.pool_of(stream), KEYS.priority_of(stream)) == (pool, priority)


def test_a_priority_of_a_newer_version_hides_no_pool() -> None:
    """Readers are lenient: the pool is told all the same."""
    assert KEYS.pool_of("{team-a:0}:backlog:cpu:soon") == "cpu"


@pytest.mark.parametrize(
    "stream",
    [OWN.jobs, KEYS.escalations, "{other:0}:backlog:cpu:bulk", "{team-a:0}:backlog:cpu", ""],
)
def test_no_other_stream_is_a_backlog(stream: str) -> None:
    """Neither those that routers read, nor another fleet's."""
    assert KEYS.pool_of(stream) is None
    with pytest.raises(ValueError, match="Priority"):
        KEYS.priority_of(stream)


@pytest.mark.parametrize("number", [0, 3, 12])
def test_all_keys_of_a_slice_are_in_one_slot(number: int) -> None:
    """Whatever stands behind the tag, and whatever a job's id holds."""
    keys = Keys("team-a", number)
    own = keys.of_producer("shop")
    some = [keys.escalations, keys.pools, keys.dead_raw("1-1"), keys.backlog("cpu", Priority.BULK)]
    some += [own.jobs, own.result("a:b.c-d"), own.job("x"), keys.booked("2026-01-01"), keys.due]
    slots = {key_slot(key.encode()) for key in some}
    assert slots == {key_slot(f"team-a:{number}".encode())}
