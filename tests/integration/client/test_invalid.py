"""What is no job: told where it is handed over, and it ends nobody else's."""

from typing import Any

import pytest
from tests.support.hand_fleets import AnyClient, HandFleet, collected, job_of, text_of

from smallfirst import InvalidJob, Status

GOOD: dict[str, Any] = {"task": "shout", "text": "hi", "id": "a", "priority": "interactive"}
BAD: dict[str, Any] = {"task": "shout", "text": "", "id": "b", "metadata": {"line": "2"}}


async def test_the_fields_of_a_job_are_one(client: AnyClient) -> None:
    """A row of a file is submitted as it is, alone and among jobs."""
    assert await client.submit(GOOD) == "a"
    assert text_of(await client.result("a", timeout=5)) == "HI"
    assert await client.submit_many([job_of(id="c"), {**GOOD, "id": "d"}]) == ["c", "d"]


@pytest.mark.parametrize("offer", [BAD, {}, "hi", None, 7, ["shout", "hi"], {1: 2}])
async def test_nonsense_is_told(client: AnyClient, fleet: HandFleet, offer: Any) -> None:
    """Whatever is handed over as a job and is none raises one error, and nothing is submitted."""
    with pytest.raises(InvalidJob):
        await client.submit(offer)
    with pytest.raises(InvalidJob):
        await client.submit_many([GOOD, offer])
    with pytest.raises(InvalidJob):
        await collected(client.map([offer]))
    assert not fleet.answered


@pytest.mark.parametrize("ordered", [True, False])
async def test_one_bad_text_ends_no_map(client: AnyClient, *, ordered: bool) -> None:
    """Told to, `map` yields a refusal in the place of what is no job, and goes on."""
    offers = [GOOD, BAD, {**GOOD, "id": "c"}, None]
    mapped = client.map(offers, ordered=ordered, on_invalid="yield")  # type: ignore[arg-type]
    results = await collected(mapped)
    statuses = [result.status for result in results]
    if ordered:
        assert statuses == [Status.ANSWERED, Status.REFUSED] * 2
    assert sorted(statuses) == [Status.ANSWERED] * 2 + [Status.REFUSED] * 2
    [bad] = [result for result in results if result.id == "b"]
    assert (bad.task, bad.metadata) == ("shout", {"line": "2"})
    assert bad.problem is not None
    assert (bad.problem.code, bad.problem.message[:10]) == ("invalid", "text: must")
