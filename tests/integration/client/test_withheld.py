"""One id for two jobs, and results that cannot be read: told to whom it concerns, and no other."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from redis import Redis
from tests.support.hand_fleets import (
    OWN,
    AnyClient,
    Eventually,
    HandFleet,
    MakeClient,
    RedisFleet,
    capitals,
    collected,
    job_of,
    jobs_of,
    leave,
    text_of,
)

from smallfirst import IdConflict, Job, Result, ResultTimeout, ResultUnreadable, Status, results
from smallfirst.client import inbox

Ways = Callable[[AnyClient, Job], AsyncIterator[Result]]
EVERY_WAY: dict[str, Ways] = {
    "map": lambda client, job: client.map([job]),
    "map, unordered": lambda client, job: client.map([job], ordered=False),
    "as_completed": lambda client, job: client.as_completed([job.id], timeout=10),
}
MINE = job_of("second", id="a", metadata={"customer": "bob"})


def shown(result: Result) -> tuple[str, Status, str | None]:
    """What a caller sees of a job that failed."""
    return result.id, result.status, result.problem.code if result.problem else None


@pytest.mark.parametrize("way", EVERY_WAY)
async def test_another_s_answer_is_not_given_out(
    make_client: MakeClient, fleet: HandFleet, way: str
) -> None:
    """Who submits another job under a used id is told so, each time, and sees nothing of it."""
    alice, bob = make_client(), make_client()
    await alice.submit(job_of("first", id="a", metadata={"customer": "alice"}))
    answered = await alice.result("a", timeout=10)
    await bob.submit(MINE)
    for _ in range(2):
        with pytest.raises(IdConflict, match="the id a was submitted before") as caught:
            await bob.result("a", timeout=10)
        assert (caught.value.id, caught.value.is_retryable) == ("a", False)
        [result] = await collected(EVERY_WAY[way](bob, MINE))
        assert shown(result) == ("a", Status.FAILED, "id_conflict")
        assert "alice" not in result.to_json()
        assert (result.answer, result.trail) == (None, ())
    assert await alice.result("a", timeout=10) == answered
    assert fleet.answered == {"a": 1}


async def test_who_only_asks_by_id_gets_what_stands(make_client: MakeClient) -> None:
    """A client that did not submit the job has nothing to compare with."""
    await make_client().submit(job_of("first", id="a"))
    assert text_of(await make_client().result("a", timeout=10)) == "FIRST"


async def test_each_of_two_who_share_a_client_is_told_the_truth(
    client: AnyClient, fleet: HandFleet, eventually: Eventually
) -> None:
    """Who waits for the first job gets its answer, though another was submitted meanwhile."""
    fleet.hold()
    await client.submit(job_of("first", id="a"))
    first = asyncio.ensure_future(client.result("a", timeout=10))
    second = asyncio.ensure_future(collected(client.map([job_of("second", id="a")])))
    await eventually(lambda: fleet.num_waiting == 1, "one of the two is worked on")
    fleet.release()
    assert text_of(await first) == "FIRST"
    assert [shown(result)[2] for result in await second] == ["id_conflict"]


@pytest.mark.parametrize("ordered", [True, False])
async def test_two_jobs_of_one_id_in_a_map(
    client: AnyClient, fleet: HandFleet, eventually: Eventually, *, ordered: bool
) -> None:
    """The second is told so before it is submitted, in its place; all others are answered."""
    fleet.hold()
    jobs = [*jobs_of(3), job_of("other", id="job-1", metadata={"row": "4"}), *jobs_of(2)]
    mapping = asyncio.ensure_future(collected(client.map(jobs, ordered=ordered)))
    await eventually(lambda: fleet.num_waiting == 3, "the others are in hand")
    fleet.release()
    found = await mapping
    [conflict] = [result for result in found if not result.is_answered]
    assert (*shown(conflict), conflict.metadata) == (
        *("job-1", Status.FAILED, "id_conflict"),
        {"row": "4"},
    )
    assert fleet.answered == {"job-0": 1, "job-1": 1, "job-2": 1}
    if ordered:
        assert [result.id for result in found] == [job.id for job in jobs]
    assert sorted(result.id for result in found) == sorted(job.id for job in jobs)


async def test_a_conflict_waits_for_nobody(client: AnyClient, fleet: HandFleet) -> None:
    """Unordered, it is told while everything else is still worked on."""
    fleet.hold()
    results = client.map([*jobs_of(2), job_of("other", id="job-0")], ordered=False)
    assert shown(await anext(results))[2] == "id_conflict"
    fleet.release()
    assert [result.is_answered async for result in results] == [True, True]


async def test_what_a_client_remembers_is_bounded(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many submissions the last are compared by `result`; a map compares its own anyhow."""
    monkeypatch.setattr(inbox, "MAX_REMEMBERED", 3)
    alice, bob = make_client(), make_client()
    ids = await alice.submit_many(jobs_of(6))
    await collected(alice.as_completed(ids, timeout=10))
    others = [job_of(f"other {number}", id=job_id) for number, job_id in enumerate(ids)]
    await bob.submit_many(others)
    found = await collected(bob.as_completed(ids, timeout=10))
    assert sorted(result.id for result in found if not result.is_answered) == ids[3:]
    assert [shown(result)[2] for result in await collected(bob.map(others))] == 6 * ["id_conflict"]


async def test_a_conflict_is_told_when_the_fleet_has_judged(
    client: AnyClient, redis_fleet: RedisFleet, redis: Redis
) -> None:
    """Until a router has read the submission, what stands may run out, and the job be answered."""
    redis_fleet.freeze()
    first = job_of("first", id="a")
    other = results.unanswered(
        first, Status.FAILED, results.EXPIRED, submitted_ms=1_000, now_ms=1_001
    )
    redis.set(OWN.result("a"), other.to_json(), ex=60)
    await client.submit(MINE)
    with pytest.raises(ResultTimeout):
        await client.result("a", timeout=0.7)
    redis.delete(OWN.result("a"))
    redis_fleet.release()
    assert text_of(await client.result("a", timeout=10)) == "SECOND"


@pytest.mark.parametrize("ordered", [True, False])
async def test_what_stood_before_is_not_taken_for_the_answer_of_what_is_unsent(
    make_client: MakeClient,
    redis_fleet: RedisFleet,
    redis: Redis,
    eventually: Eventually,
    *,
    ordered: bool,
) -> None:
    """A map that waits for room believes nothing of the ids that it has not submitted yet."""
    redis_fleet.freeze()
    wrong = job_of("wrong", id="job-1")
    old = results.unanswered(
        wrong, Status.REFUSED, results.EXPIRED, submitted_ms=1_000, now_ms=1_001
    )
    leave(redis, old)
    client = make_client(max_backlog=1)
    mapping = client.map(jobs_of(2), ordered=ordered)
    first = asyncio.ensure_future(anext(mapping))
    await eventually(lambda: redis_fleet.num_waiting == 1, "there is no room for the second")
    await asyncio.wait([first], timeout=0.7)
    assert not first.done()
    redis_fleet.release()
    assert text_of(await first) == "TEXT 0"
    assert [text_of(result) async for result in mapping] == ["TEXT 1"]


async def test_an_ending_by_id_alone_is_anybody_s(
    client: AnyClient, redis_fleet: RedisFleet, redis: Redis
) -> None:
    """A result without a fingerprint, as of a job that could not be read, is given out."""
    assert redis_fleet.num_waiting == 0
    ended = results.without_job(
        "a", Status.FAILED, results.EXPIRED, submitted_ms=1_000, now_ms=1_001
    )
    redis.set(OWN.result("a"), ended.to_json(), ex=60)
    await client.submit(MINE)
    assert await client.result("a", timeout=10) == ended


@pytest.mark.parametrize("way", ["map", "map, unordered", "as_completed"])
async def test_one_unreadable_result_stops_no_other(
    client: AnyClient, redis_fleet: RedisFleet, redis: Redis, way: str
) -> None:
    """It is told for its own id; all the others are yielded, in their places."""
    assert redis_fleet.num_waiting == 0
    redis.set(OWN.result("job-2"), '{"v":2,"id":"job-2"}', ex=60)
    jobs = jobs_of(6)
    if way == "as_completed":
        found = client.as_completed(await client.submit_many(jobs), timeout=10)
    else:
        found = client.map(jobs, ordered=way == "map")
    by_id = {result.id: result async for result in found}
    assert sorted(by_id) == [job.id for job in jobs]
    assert way != "map" or list(by_id) == sorted(by_id)
    assert shown(by_id.pop("job-2")) == ("job-2", Status.FAILED, "result_unreadable")
    assert all(result.is_answered for result in by_id.values())
    assert (await client.status("job-2")).status is None
    with pytest.raises(ResultUnreadable, match="job job-2 is not of this version"):
        await client.result("job-2", timeout=10)


async def test_what_a_newer_fleet_adds_is_no_trouble(
    client: AnyClient, redis_fleet: RedisFleet, redis: Redis
) -> None:
    """A result with a field, a status and an answer of a newer version is a result."""
    assert redis_fleet.num_waiting == 0
    result = results.without_job(
        "a", Status.FAILED, results.EXPIRED, submitted_ms=1_000, now_ms=1_001
    ).model_copy(update={"answer": capitals(MINE)})
    newer = result.to_json().replace('"failed"', '"postponed"').replace('"text"', '"table"')
    redis.set(OWN.result("a"), newer.replace("{", '{"zz_added":{},', 1), ex=60)
    found = await client.result("a", timeout=10)
    assert (found.status, found.status.is_known) == ("postponed", False)
    assert found.answer is not None
    assert found.answer.kind == "table"
    assert (await client.status("a")).status == "postponed"
