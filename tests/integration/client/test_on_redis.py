"""What is true on Redis alone: lost notices, lost connections, refusals, other fleets."""

import asyncio
from collections.abc import (
    Awaitable,
    Callable,
)
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from tests.support.hand_fleets import (
    OWN,
    AnyClient,
    Eventually,
    MakeClient,
    RedisFleet,
    capitals,
    collected,
    job_of,
    jobs_of,
    leave,
    text_of,
)

from smallfirst import (
    AsyncClient,
    ClientMoved,
    FleetRefused,
    FleetUnreachable,
    ResultTimeout,
    ResultUnreadable,
    State,
    Status,
    results,
)
from smallfirst.client.transports import RedisTransport
from smallfirst.local.redis_server import RedisServer, free_port
from smallfirst.testing import MemoryFleet


async def test_missed_notices_do_not_matter(
    client: AnyClient, redis_fleet: RedisFleet, redis: Redis, eventually: Eventually
) -> None:
    """Results are found by their ids when the link that tells of them is lost midway."""
    ids = await client.submit_many(jobs_of(40))
    assert len(await collected(client.as_completed(ids, timeout=10))) == 40
    redis_fleet.hold()
    mapping = asyncio.ensure_future(collected(client.map(jobs_of(100)[50:])))
    await eventually(lambda: redis_fleet.num_waiting == 50, "all are submitted")
    for listener in listeners(redis):
        redis.client_kill_filter(_id=listener)
    redis_fleet.answer_next(20)
    redis_fleet.release()
    assert [result.id for result in await mapping] == [f"job-{i}" for i in range(50, 100)]


async def test_untold_results_are_found(client: AnyClient, redis_fleet: RedisFleet) -> None:
    """Every result is found by its id when there are no notices at all."""
    redis_fleet.is_mute = True
    results = await collected(client.map(jobs_of(50), max_in_flight=20))
    assert [result.id for result in results] == [f"job-{i}" for i in range(50)]


async def test_who_waits_leaves_no_key(
    make_client: MakeClient, redis_fleet: RedisFleet, redis: Redis
) -> None:
    """Clients that submit, and clients that wait, leave nothing but jobs and results in Redis."""
    for number in range(20):
        client = make_client()
        job_id = await client.submit(job_of(id=f"job-{number}"))
        if number % 2:
            assert (await client.result(job_id, timeout=5)).is_answered
    redis_fleet.release()
    kinds = {key.decode().split(":")[2] for key in redis.scan_iter()}
    assert kinds <= {"jobs", "submissions", "job", "result", "backlog", "booked"}


async def test_a_lost_connection_is_made_again(
    client: AnyClient, redis_fleet: RedisFleet, redis: Redis, eventually: Eventually
) -> None:
    """A wait outlives its connections, and so does the next submission."""
    redis_fleet.hold()
    await client.submit(job_of(id="a"))
    waiting = asyncio.ensure_future(client.result("a", timeout=10))
    await eventually(lambda: len(connections(redis)) >= 2, "the client listens")
    for connection in connections(redis):
        redis.client_kill_filter(_id=connection)
    redis_fleet.release()
    assert (await waiting).is_answered
    for connection in connections(redis):
        redis.client_kill_filter(_id=connection)
    await client.submit(job_of(id="b"))
    assert (await client.result("b", timeout=10)).is_answered


async def test_a_plain_xadd_is_a_submission(
    client: AnyClient, redis_fleet: RedisFleet, redis: Redis
) -> None:
    """What a program in another language adds to the stream is found like any other job."""
    redis_fleet.freeze()
    redis.xadd(OWN.jobs, {"job": '{"id": "a", "task": "shout", "text": "hi"}'})
    assert (await client.status("a")).state is State.SUBMITTED
    redis_fleet.release()
    assert text_of(await client.result("a", timeout=5)) == "HI"


async def test_fleets_do_not_see_each_other(
    make_client: MakeClient, redis_fleet: RedisFleet, redis: Redis
) -> None:
    """A client of another namespace submits to another fleet."""
    stranger = make_client(namespace="other")
    await stranger.submit(job_of(id="a"))
    assert redis.xlen("{other:0}:jobs:default") == 1
    assert redis_fleet.num_waiting == 0
    assert (await make_client().status("a")).state is State.UNKNOWN


async def test_a_corrected_job_is_not_refused_by_the_past(
    client: AnyClient, redis_fleet: RedisFleet, redis: Redis
) -> None:
    """The refusal of an earlier submission is not taken for the answer of the corrected one."""
    redis_fleet.freeze()
    old = results.unanswered(
        job_of("wrong", id="a"),
        Status.REFUSED,
        results.CANCELLED,
        submitted_ms=1_000,
        now_ms=1_001,
    )
    leave(redis, old)
    assert (await client.result("a", timeout=5)).status is Status.REFUSED
    await client.submit(job_of("right", id="a"))
    with pytest.raises(ResultTimeout):
        await client.result("a", timeout=0.7)
    redis_fleet.release()
    assert text_of(await client.result("a", timeout=5)) == "RIGHT"


async def test_a_repeated_refusal_is_believed(
    client: AnyClient, redis_fleet: RedisFleet, redis: Redis, eventually: Eventually
) -> None:
    """Once the router has read the new submission, a refusal that still stands is the answer."""
    redis_fleet.freeze()
    old = results.unanswered(
        job_of("wrong", id="a"),
        Status.REFUSED,
        results.CANCELLED,
        submitted_ms=1_000,
        now_ms=1_001,
    )
    leave(redis, old)
    await client.submit(job_of("wrong", id="a"))
    waiting = asyncio.ensure_future(client.result("a", timeout=10))
    await eventually(lambda: len(connections(redis)) >= 2, "the client listens")
    assert not waiting.done()
    redis.xtrim(OWN.jobs, maxlen=0)
    assert (await waiting).status is Status.REFUSED


async def test_a_newer_result_is_not_misread(
    client: AnyClient, redis_fleet: RedisFleet, redis: Redis
) -> None:
    """A result of another version of the wire raises, and names the job."""
    assert redis_fleet.num_waiting == 0
    redis.set(OWN.result("a"), '{"v":2,"id":"a"}', ex=60)
    with pytest.raises(ResultUnreadable, match="job a"):
        await client.result("a", timeout=5)


async def test_what_redis_refuses_is_told(
    client: AnyClient, redis_fleet: RedisFleet, redis: Redis
) -> None:
    """An error of Redis's own is raised at once, with the reason."""
    redis_fleet.freeze()
    redis.delete(OWN.jobs)
    redis.set(OWN.jobs, "not a stream")
    with pytest.raises(FleetRefused, match="WRONGTYPE"):
        await client.submit(job_of())
    redis.delete(OWN.jobs)


@pytest.mark.parametrize("use", ["submit", "result", "map", "status", "cancel"])
async def test_no_redis_is_told_without_the_password(use: str) -> None:
    """When Redis cannot be reached every call says where it should be, and keeps its secret."""
    url = f"redis://me:hunter2@127.0.0.1:{free_port()}/3"
    transport = RedisTransport(url, patience=timedelta(milliseconds=100))
    async with AsyncClient(transport=transport) as client:
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "submit": lambda: client.submit(job_of()),
            "result": lambda: client.result("a"),
            "map": lambda: collected(client.map([job_of()])),
            "status": lambda: client.status("a"),
            "cancel": lambda: client.cancel("a"),
        }
        with pytest.raises(FleetUnreachable) as caught:
            await calls[use]()
    assert caught.value.address == url.replace("me:hunter2@", "")
    assert "hunter2" not in str(caught.value)
    assert caught.value.is_retryable


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
async def test_who_starts_without_a_fleet_is_told_at_once(host: str) -> None:
    """Where nobody listens on this machine, the error has both remedies, and no patience."""
    transport = RedisTransport(f"redis://{host}:{free_port()}", patience=timedelta(days=1))
    async with AsyncClient(transport=transport) as client:
        with pytest.raises(FleetUnreachable) as caught:
            await client.submit(job_of())
    assert "`smallfirst up`" in str(caught.value)
    assert "SMALLFIRST_REDIS_URL" in str(caught.value)


async def test_a_fleet_that_was_here_is_waited_for(tmp_path: Path) -> None:
    """A client that has reached its Redis on this machine outlives that one's restart."""
    with RedisServer(tmp_path, persistent=False) as server:
        async with AsyncClient(server.url) as client:
            await client.submit(job_of(id="a"))
            await asyncio.to_thread(server.stop)
            submitting = asyncio.ensure_future(client.submit(job_of(id="b")))
            with RedisServer(tmp_path, port=server.port, persistent=False):
                assert await submitting == "b"


async def test_losing_redis_in_mid_wait_is_told(tmp_path: Path) -> None:
    """Who waits while Redis goes away for good is told, and not left waiting."""
    with RedisServer(tmp_path, persistent=False) as server:
        transport = RedisTransport(server.url, patience=timedelta(milliseconds=300))
        async with AsyncClient(transport=transport) as client:
            await client.submit(job_of(id="a"))
            waiting = asyncio.create_task(client.result("a"))
            await asyncio.to_thread(server.stop)
            with pytest.raises(FleetUnreachable):
                await asyncio.wait_for(waiting, 10)


def test_an_async_client_stays_in_its_loop() -> None:
    """Used from a second event loop it says so, instead of hanging."""
    client = MemoryFleet(capitals).async_client()
    asyncio.run(client.submit(job_of()))
    with pytest.raises(ClientMoved, match="event loop"):
        asyncio.run(client.submit(job_of()))


def listeners(redis: Redis) -> list[str]:
    """The ids of the connections that listen for notices."""
    listed: Any = redis.client_list()
    return [row["id"] for row in listed if int(row["sub"]) > 0]


def connections(redis: Redis) -> list[str]:
    """The ids of the connections that clients have."""
    listed: Any = redis.client_list()
    return [row["id"] for row in listed if row["name"] == "smallfirst-client"]
