"""Names of holders: whatever is made is taken apart again, and nothing else is."""

import os
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallfirst.ledger.holders import Holder, process_here, process_of
from smallfirst.ledger.keys import QUEUE_CONSUMER, ROUTERS

POOLS = st.one_of(st.just(ROUTERS), st.from_regex(r"\A[a-z][a-z0-9_\-]{0,63}\Z"))
HOSTS = st.text(min_size=1, max_size=64)


@given(POOLS, HOSTS, st.integers(min_value=1), st.from_regex(r"\A[0-9a-f]{6}\Z"))
def test_a_name_is_taken_apart_as_it_was_made(pool: str, host: str, pid: int, token: str) -> None:
    """Whatever the pool and the host are called, a slash in a host's name included."""
    holder = Holder(pool, host, pid, token)
    assert Holder.parse(str(holder)) == holder
    assert process_of(str(holder)) == holder.process


@pytest.mark.parametrize("pool", ["router", "router-gpu", "queue", "cpu"])
def test_a_worker_is_no_router_whatever_its_pool_is_called(pool: str) -> None:
    """Who is a router is told by what no pool can be called."""
    found = Holder.parse(str(Holder.here(pool)))
    assert found is not None
    assert (found.pool, found.is_router) == (pool, False)
    assert Holder.here(ROUTERS).is_router


@pytest.mark.parametrize(
    "name", [QUEUE_CONSUMER, "", "cli", "a/b/c", "a/b/x/c", "a/b/1/", "/b/1/c"]
)
def test_what_no_process_is_called_is_no_holder(name: str) -> None:
    """Neither the queue nor a stranger's consumer."""
    assert Holder.parse(name) is None
    assert process_of(name) is None


def test_a_process_names_itself_as_others_name_it() -> None:
    """Whoever sees a process end knows its host and its id, and no more."""
    holder = Holder.here("cpu")
    assert (holder.host, holder.pid) == (socket.gethostname(), os.getpid())
    assert holder.process == process_here(os.getpid())
    assert Holder.here("cpu") != holder
