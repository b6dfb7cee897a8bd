"""Who is let through to an endpoint that does not answer, and when."""

import asyncio
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from smallfirst_workers.errors import EndpointDown
from smallfirst_workers.llm.endpoint.breaker import MAX_FAILURES
from smallfirst_workers.llm.endpoint.breaker_gate import BreakerGate
from smallfirst_workers.llm.endpoint.failures import GIBBERISH, Fault, RequestFailure

REFUSED = RequestFailure("no connection", Fault.ENDPOINT, opens_at_once=True)


async def opened() -> BreakerGate:
    """A gate whose endpoint has just gone."""
    gate = BreakerGate("far", "http://127.0.0.1:1/v1")
    gate.fail(await gate.enter(), REFUSED)
    return gate


async def test_failures_of_different_requests_add_up() -> None:
    """They were let in side by side, and all tell the same."""
    gate = BreakerGate("far", "http://127.0.0.1:1/v1")
    passages = [await gate.enter() for _ in range(MAX_FAILURES)]
    for passage in passages:
        assert not gate.is_open
        gate.fail(passage, GIBBERISH)
    assert gate.is_open


async def test_those_who_wait_go_on_when_the_probe_succeeds() -> None:
    """The first in the line is the probe; behind it everybody waits for its news."""
    gate = await opened()
    probe, *others = [asyncio.create_task(gate.enter()) for _ in range(4)]
    assert (await probe).is_probe
    assert not any(other.done() for other in others)
    gate.succeed()
    assert [passage.is_probe for passage in await asyncio.gather(*others)] == [False] * 3


async def test_a_probe_that_fails_lets_another_be_the_next() -> None:
    """Whose text brings the endpoint down must not be the only one who ever tries."""
    gate = await opened()
    first, other = [asyncio.create_task(gate.enter()) for _ in range(2)]
    gate.fail(await first, GIBBERISH)
    again = asyncio.create_task(gate.enter())
    assert (await other).is_probe
    assert not again.done()
    again.cancel()


async def test_a_probe_that_leaves_without_news_makes_room() -> None:
    """Its deadline may come first; the next in the line is the probe then."""
    gate = await opened()
    gate.abandon(await gate.enter())
    assert (await gate.enter()).is_probe


async def test_nobody_waits_in_a_worker_that_has_to_go() -> None:
    """Neither who waits already, nor who comes later; what is answered still counts."""
    gate = await opened()
    waiting = asyncio.create_task(gate.enter())
    await asyncio.sleep(0)
    gate.stop_waiting()
    with pytest.raises(EndpointDown, match=r"models\.far"):
        await waiting
    with pytest.raises(EndpointDown):
        await gate.enter()
    gate.succeed()
    assert not (await gate.enter()).is_probe


async def test_each_reason_is_logged_once() -> None:
    """An endpoint that is back with another fault needs another remedy."""
    with capture_logs() as logs:
        gate = await opened()
        for failure in (REFUSED, replace(REFUSED, what="HTTP 401"), REFUSED):
            gate._breaker = replace(gate._breaker, open_until=0.0)
            gate.fail(await gate.enter(), failure)
        gate.succeed()
        gate.fail(await gate.enter(), REFUSED)
    said = [entry.get("reason", entry["event"]) for entry in logs]
    refused = "no connection"
    assert said == [refused, "HTTP 401", refused, "endpoint.back", refused]
