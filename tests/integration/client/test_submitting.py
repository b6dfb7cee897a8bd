"""Submitting and waiting: one result for each id, in time or not."""

import asyncio
from collections import Counter
from contextlib import aclosing
from datetime import timedelta

import pytest
from tests.support.hand_fleets import (
    AnyClient,
    Eventually,
    HandFleet,
    MakeClient,
    collected,
    job_of,
    jobs_of,
    text_of,
)

from smallfirst import (
    Priority,
    ResultTimeout,
    State,
    Status,
)


async def test_a_job_gets_its_result(client: AnyClient) -> None:
    """What is submitted is answered under the same id."""
    job = job_of("hello", metadata={"order": "7"})
    assert await client.submit(job) == job.id
    result = await client.result(job.id, timeout=5)
    assert (result.id, result.status, text_of(result)) == (job.id, Status.ANSWERED, "HELLO")
    assert result.metadata == {"order": "7"}


async def test_every_id_is_answered_once(client: AnyClient, fleet: HandFleet) -> None:
    """A thousand jobs have a thousand results, one each."""
    ids = await client.submit_many(job_of(f"text {i}") for i in range(1200))
    results = Counter([result.id async for result in client.as_completed(ids, timeout=30)])
    assert results == Counter(ids) == fleet.answered
    assert len(ids) == 1200


async def test_a_repeated_id_gets_the_first_result(client: AnyClient, fleet: HandFleet) -> None:
    """The same job again is not worked on again, whatever else it says of itself."""
    await client.submit(job_of("first", id="a"))
    first = await client.result("a", timeout=5)
    for more in ({}, {"metadata": {"try": "2"}}, {"priority": Priority.INTERACTIVE}):
        await client.submit(job_of("first", id="a", **more))
        assert await client.result("a", timeout=5) == first
        assert await collected(client.map([job_of("first", id="a", **more)])) == [first]
    assert fleet.answered == {"a": 1}


async def test_a_repeat_in_flight_gets_the_first_result(
    make_client: MakeClient, fleet: HandFleet
) -> None:
    """Two clients that submit one id while it is worked on get the same result."""
    fleet.hold()
    clients = [make_client(), make_client()]
    for one in clients:
        await one.submit(job_of("first", id="a"))
    fleet.release()
    results = [await one.result("a", timeout=5) for one in clients]
    assert [text_of(result) for result in results] == ["FIRST", "FIRST"]
    assert fleet.answered == {"a": 1}


async def test_anybodys_result_can_be_awaited(make_client: MakeClient, fleet: HandFleet) -> None:
    """A client finds the results of jobs that another one submitted."""
    fleet.hold()
    ids = await make_client().submit_many(jobs_of(20))
    stranger = make_client()
    results = asyncio.ensure_future(collected(stranger.as_completed(ids, timeout=10)))
    fleet.release()
    assert {result.id for result in await results} == set(ids)


async def test_an_id_named_twice_completes_once(client: AnyClient) -> None:
    """`as_completed` yields one result per job."""
    await client.submit(job_of(id="a"))
    assert len(await collected(client.as_completed(["a", "a"], timeout=5))) == 1


async def test_results_come_as_they_are_there(client: AnyClient, fleet: HandFleet) -> None:
    """`as_completed` does not wait for those that take longer."""
    fleet.hold()
    ids = await client.submit_many(jobs_of(3))
    await client.cancel(ids[2])
    async with aclosing(client.as_completed(ids, timeout=10)) as results:
        assert (await anext(results)).id == ids[2]


@pytest.mark.parametrize("timeout", [0, 0.05, timedelta(milliseconds=50)])
async def test_a_result_that_takes_longer_times_out(
    client: AnyClient, fleet: HandFleet, timeout: float | timedelta
) -> None:
    """Waiting ends with an error that names the job; the job goes on."""
    fleet.hold()
    await client.submit(job_of(id="a"))
    with pytest.raises(ResultTimeout, match="job a within") as caught:
        await client.result("a", timeout=timeout)
    assert caught.value.ids == ("a",)
    fleet.release()
    assert (await client.result("a", timeout=5)).is_answered


async def test_a_result_that_is_there_needs_no_time(client: AnyClient, fleet: HandFleet) -> None:
    """A timeout of nothing returns what stands."""
    await client.submit(job_of(id="a"))
    await client.result("a", timeout=5)
    assert (await client.result("a", timeout=0)).id == "a"
    assert fleet.answered == {"a": 1}


async def test_a_timeout_names_what_is_missing(
    client: AnyClient, fleet: HandFleet, eventually: Eventually
) -> None:
    """After a timeout a caller knows which jobs to wait for again."""
    fleet.hold()
    ids = await client.submit_many(jobs_of(5))
    fleet.answer_next(2)
    await eventually(lambda: fleet.num_waiting == 3, "two are answered")
    with pytest.raises(ResultTimeout, match="and 2 more") as caught:
        await collected(client.as_completed(ids, timeout=0.1))
    assert set(caught.value.ids) == set(ids[2:])


async def test_an_id_is_its_producers_own(make_client: MakeClient) -> None:
    """Two producers may use one id for different jobs; each gets the result of its own."""
    one, other = make_client(), make_client(producer="shop")
    await one.submit(job_of("mine", id="a", metadata={"team": "one"}))
    await other.submit(job_of("theirs", id="a", metadata={"team": "other"}))
    results = [await each.result("a", timeout=5) for each in (one, other)]
    assert [text_of(result) for result in results] == ["MINE", "THEIRS"]
    assert [result.metadata["team"] for result in results] == ["one", "other"]


async def test_a_cancellation_reaches_nobody_elses_job(
    make_client: MakeClient, fleet: HandFleet
) -> None:
    """What one producer asks of an id leaves the job of another under that id alone."""
    fleet.hold()
    one, other = make_client(), make_client(producer="shop")
    await one.submit(job_of("mine", id="a"))
    await other.cancel("a")
    assert (await other.status("a")).state is State.UNKNOWN
    fleet.release()
    assert (await one.result("a", timeout=5)).status is Status.ANSWERED
