"""Names of backlogs, made and taken apart."""

import pytest

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
    assert KEYS.pool_of("team-a:backlog:cpu:soon") == "cpu"


@pytest.mark.parametrize(
    "stream", [OWN.jobs, KEYS.escalations, "other:backlog:cpu:bulk", "team-a:backlog:cpu", ""]
)
def test_no_other_stream_is_a_backlog(stream: str) -> None:
    """Neither those that routers read, nor another fleet's."""
    assert KEYS.pool_of(stream) is None
    with pytest.raises(ValueError, match="Priority"):
        KEYS.priority_of(stream)
