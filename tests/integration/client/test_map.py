"""A stream of jobs through a window: bounded, ordered or not, left early."""

import asyncio
import itertools
from collections import Counter
from collections.abc import (
    AsyncIterator,
    Iterator,
)
from contextlib import aclosing

import pytest
from tests.support.hand_fleets import (
    AnyClient,
    Eventually,
    HandFleet,
    collected,
    job_of,
    jobs_of,
    text_of,
)

from smallfirst import (
    AsyncClient,
    Job,
    Status,
)


@pytest.mark.parametrize("ordered", [True, False])
async def test_map_yields_a_result_for_each_job(client: AnyClient, *, ordered: bool) -> None:
    """However many jobs there are, each has its result, in order where that is asked."""
    results = await collected(client.map(iter(jobs_of(700)), max_in_flight=64, ordered=ordered))
    texts = [text_of(result) for result in results]
    expected = [f"TEXT {i}" for i in range(700)]
    assert texts == expected if ordered else sorted(texts) == sorted(expected)


@pytest.mark.parametrize("ordered", [True, False])
async def test_map_yields_once_per_repeated_job(client: AnyClient, *, ordered: bool) -> None:
    """A job that stands twice among the jobs has its result twice."""
    [one, other] = jobs_of(2)
    results = await collected(client.map([one, one, other, one], ordered=ordered))
    ids = [result.id for result in results]
    expected = ["job-0", "job-0", "job-1", "job-0"]
    assert ids == expected if ordered else Counter(ids) == Counter(expected)


async def test_map_of_nothing_yields_nothing(client: AnyClient) -> None:
    """No jobs, no results, no waiting."""
    assert await collected(client.map([])) == []


async def test_map_never_has_more_in_flight(
    client: AnyClient, fleet: HandFleet, eventually: Eventually
) -> None:
    """Jobs are pulled one by one as results are given out; the window is filled and kept."""
    fleet.hold()
    pulled = yielded = 0

    def source() -> Iterator[Job]:
        nonlocal pulled
        for job in jobs_of(60):
            pulled += 1
            assert pulled - yielded <= 10
            yield job

    async def consume() -> None:
        nonlocal yielded
        async for _ in client.map(source(), max_in_flight=10):
            yielded += 1

    consuming = asyncio.create_task(consume())
    for num_answered in range(0, 60, 3):
        expected = (min(60, num_answered + 10), min(10, 60 - num_answered))
        await eventually(lambda: (pulled, fleet.num_waiting) == expected, f"{expected} in flight")  # noqa: B023
        fleet.answer_next(3)
    await asyncio.wait_for(consuming, 10)
    assert yielded == 60


async def test_results_held_for_the_order_count(
    client: AnyClient, fleet: HandFleet, eventually: Eventually
) -> None:
    """Answered jobs that wait for an earlier one keep their place in the window."""
    fleet.hold()
    jobs = jobs_of(8)
    pulled: list[str] = []
    source = (pulled.append(job.id) or job for job in jobs)  # type: ignore[func-returns-value]
    async with aclosing(client.map(source, max_in_flight=4)) as results:
        first = asyncio.ensure_future(anext(results))
        await eventually(lambda: fleet.num_waiting == 4, "the window is full")
        for job in jobs[1:4]:
            await client.cancel(job.id)
            assert (await client.result(job.id, timeout=5)).status is Status.CANCELLED
        assert (len(pulled), first.done()) == (4, False)
        fleet.release()
        assert (await first).id == "job-0"


async def test_without_order_a_late_job_holds_up_nobody(
    client: AnyClient, fleet: HandFleet, eventually: Eventually
) -> None:
    """Unordered results are given out as they come."""
    fleet.hold()
    async with aclosing(client.map(jobs_of(3), ordered=False)) as results:
        first = asyncio.ensure_future(anext(results))
        await eventually(lambda: fleet.num_waiting == 3, "all are submitted")
        await client.cancel("job-2")
        assert (await first).id == "job-2"


async def test_a_map_left_early_pulls_no_more(
    client: AnyClient, fleet: HandFleet, eventually: Eventually
) -> None:
    """Of endless jobs only the window is pulled; what was submitted is still answered."""
    numbers = itertools.count()
    source = (job_of(f"text {i}", id=f"job-{i}") for i in numbers)
    async with aclosing(client.map(source, max_in_flight=20)) as results:
        taken = [await anext(results) for _ in range(30)]
    assert [result.id for result in taken] == [f"job-{i}" for i in range(30)]
    num_pulled = next(numbers)
    assert num_pulled <= 50
    await eventually(lambda: fleet.num_waiting == 0, "what was submitted is answered")
    assert (await client.result("job-31", timeout=5)).is_answered


async def test_a_map_left_early_can_cancel_the_rest(
    client: AnyClient, fleet: HandFleet, eventually: Eventually
) -> None:
    """With `cancel_on_close` what is unanswered is cancelled, and what is answered stands."""
    fleet.hold()
    jobs = jobs_of(6)
    async with aclosing(client.map(jobs, max_in_flight=4, cancel_on_close=True)) as results:
        first = asyncio.ensure_future(anext(results))
        await eventually(lambda: fleet.num_waiting == 4, "the window is full")
        fleet.answer_next(1)
        assert (await first).id == "job-0"
    statuses = [(await client.result(job.id, timeout=5)).status for job in jobs[:4]]
    assert statuses == [Status.ANSWERED] + 3 * [Status.CANCELLED]


async def test_an_error_among_the_jobs_reaches_the_caller(client: AnyClient) -> None:
    """What the jobs' iterator raises ends the map, and nothing but the map."""

    def source() -> Iterator[Job]:
        yield job_of(id="a")
        raise LookupError("the file ends here")

    with pytest.raises(LookupError, match="the file ends here"):
        await collected(client.map(source()))
    await client.submit(job_of(id="b"))
    assert (await client.result("b", timeout=5)).is_answered


@pytest.mark.parametrize("kind", ["async"], indirect=True)
async def test_jobs_may_come_asynchronously(client: AsyncClient) -> None:
    """An asynchronous source may even wait for the results of its own jobs."""
    seen = asyncio.Queue[str]()

    async def source() -> AsyncIterator[Job]:
        yield job_of("a")
        for _ in range(5):
            yield job_of((await seen.get()).lower() + "a")

    texts = []
    async for result in client.map(source()):
        texts.append(text_of(result))
        seen.put_nowait(texts[-1])
    assert texts == ["A", "AA", "AAA", "AAAA", "AAAAA", "AAAAAA"]
