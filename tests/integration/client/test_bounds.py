"""A full backlog, what can be followed and cancelled, and the end of a client."""

import asyncio
from collections.abc import (
    Awaitable,
    Callable,
)
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing

import pytest
from tests.support.hand_fleets import (
    AnyClient,
    Eventually,
    HandFleet,
    MakeClient,
    ThreadedClient,
    collected,
    job_of,
    jobs_of,
    text_of,
)

from smallfirst import (
    BacklogFull,
    ClientClosed,
    JobLocation,
    State,
    Status,
)


async def test_a_full_backlog_blocks(
    make_client: MakeClient, fleet: HandFleet, eventually: Eventually
) -> None:
    """No more than `max_backlog` jobs wait; the rest is submitted as there is room."""
    fleet.freeze()
    client = make_client(max_backlog=5)
    submitting = asyncio.ensure_future(client.submit_many(jobs_of(8)))
    await eventually(lambda: fleet.num_waiting == 5, "the backlog is full")
    assert not submitting.done()
    fleet.release()
    ids = await asyncio.wait_for(submitting, 10)
    assert len(await collected(client.as_completed(ids, timeout=10))) == 8


async def test_a_full_backlog_raises_where_asked(make_client: MakeClient, fleet: HandFleet) -> None:
    """With `error` a submission beyond the bound raises, and is in the fleet no more than said."""
    fleet.freeze()
    client = make_client(max_backlog=5, when_full="error")
    with pytest.raises(BacklogFull) as caught:
        await client.submit_many(jobs_of(8))
    assert (caught.value.limit, caught.value.is_retryable, fleet.num_waiting) == (5, True, 5)
    with pytest.raises(BacklogFull):
        await client.submit(job_of())


async def test_a_full_backlog_does_not_keep_results_back(
    make_client: MakeClient, fleet: HandFleet, eventually: Eventually
) -> None:
    """While a map cannot submit it still yields what is answered."""
    fleet.freeze()
    client = make_client(max_backlog=3)
    async with aclosing(client.map(jobs_of(9), ordered=False)) as results:
        first = asyncio.ensure_future(anext(results))
        await eventually(lambda: fleet.num_waiting == 3, "the backlog is full")
        fleet.release()
        assert (await asyncio.wait_for(first, 10)).id == "job-0"
        assert len([result async for result in results]) == 8


async def test_a_job_can_be_followed(
    client: AnyClient, fleet: HandFleet, eventually: Eventually
) -> None:
    """A job is unknown, submitted, queued, done."""
    assert (await client.status("a")).state is State.UNKNOWN
    fleet.freeze()
    await client.submit(job_of(id="a"))
    assert (await client.status("a")).state is fleet.frozen_state
    fleet.hold()
    await eventually(lambda: fleet.num_waiting == 1, "one job is held")
    while (queued := await client.status("a")).state is State.SUBMITTED:
        pass
    assert (queued.state, bool(queued.where)) == (State.QUEUED, True)
    fleet.release()
    await client.result("a", timeout=5)
    done = JobLocation(id="a", state=State.DONE, status=Status.ANSWERED)
    assert await client.status("a") == done


async def test_a_job_in_flight_can_be_cancelled(client: AnyClient, fleet: HandFleet) -> None:
    """A cancelled job's result says so, whatever the fleet does afterwards."""
    fleet.hold()
    await client.submit(job_of(id="a"))
    await client.cancel("a")
    assert (await client.result("a", timeout=5)).status is Status.CANCELLED
    fleet.release()
    assert (await client.result("a", timeout=5)).status is Status.CANCELLED


async def test_an_answer_cannot_be_cancelled(client: AnyClient) -> None:
    """A result never changes; cancelling what is answered, or unknown, does nothing."""
    await client.submit(job_of(id="a"))
    first = await client.result("a", timeout=5)
    await client.cancel("a")
    await client.cancel("nobody")
    await client.submit(job_of(id="b"))
    await client.result("b", timeout=5)
    assert await client.result("a", timeout=5) == first
    assert (await client.status("nobody")).state is State.UNKNOWN


async def test_a_closed_client_says_so(client: AnyClient) -> None:
    """Every use after `close` raises; closing again does nothing."""
    await client.submit(job_of(id="a"))
    await client.close()
    await client.close()
    uses: list[Callable[[], Awaitable[object]]] = [
        lambda: client.submit(job_of()),
        lambda: client.submit_many([job_of()]),
        lambda: client.result("a", timeout=5),
        lambda: collected(client.as_completed(["a"])),
        lambda: collected(client.map([job_of()])),
        lambda: client.status("a"),
        lambda: client.cancel("a"),
    ]
    for use in uses:
        with pytest.raises(ClientClosed):
            await use()


async def test_closing_frees_those_who_wait(
    client: AnyClient, fleet: HandFleet, eventually: Eventually
) -> None:
    """Nobody waits for ever on a closed client."""
    fleet.hold()
    await client.submit(job_of(id="a"))
    waiting = asyncio.ensure_future(client.result("a"))
    mapping = asyncio.ensure_future(collected(client.map(jobs_of(3))))
    await eventually(lambda: fleet.num_waiting == 4, "all are submitted")
    await client.close()
    for waiter in (waiting, mapping):
        with pytest.raises(ClientClosed):
            await asyncio.wait_for(waiter, 5)


def test_threads_may_share_a_client(fleet: HandFleet) -> None:
    """Each of many threads gets the results of its own jobs."""
    shared = fleet.client("threaded")
    assert isinstance(shared, ThreadedClient)

    def work(thread: int) -> list[str]:
        jobs = [job_of(f"{thread} {i}", id=f"{thread}-{i}") for i in range(40)]
        texts = [text_of(result) for result in shared.client.map(jobs[:20], max_in_flight=5)]
        ids = shared.client.submit_many(jobs[20:])
        return texts + [text_of(shared.client.result(job_id, timeout=20)) for job_id in ids]

    with shared.client, ThreadPoolExecutor(8) as threads:
        for thread, texts in enumerate(threads.map(work, range(8))):
            assert texts == [f"{thread} {i}" for i in range(40)]
