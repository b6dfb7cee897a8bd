"""User data may hold every word by which the fleet decides; none of them decides there."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import JsonValue
from tests.support.hand_fleets import HandFleet, ThreadedClient, job_of
from tests.support.waiting import WaitUntil

from smallfirst import Client, IdConflict, Outcome, RecordAnswer, State, Status, Tier
from smallfirst.jobs import Attempt, Job, Result, new_job_id
from smallfirst.ledger.routing_slips import DeadLetter, RoutingSlip

MODELS = (Job, Result, Attempt, RoutingSlip, DeadLetter)
FIELDS = {name for model in MODELS for name in model.model_fields}
#: Fields of the wire, columns of the job's hash, values, and their ways to stand in JSON or a list.
NAMES = sorted({*FIELDS, "origin", "reply", "at", "entry", "letter", "slip", "job", "cancel"})
VALUES = [str(value) for kind in (Status, Outcome, Tier, State) for value in kind]
words = st.one_of(
    st.sampled_from([*NAMES, *VALUES, "f1", "0-1", "{sf:0}:jobs", "id_conflict", "*", "NX"]),
    st.builds('"{}":"{}"'.format, st.sampled_from(NAMES), st.sampled_from(VALUES)),
    st.builds("{}\n{}\n".format, st.sampled_from(VALUES), st.sampled_from(NAMES)),
    st.builds('"}}, {{"{}": '.format, st.sampled_from(NAMES)),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40),
)
metadata = st.dictionaries(words, words, max_size=6)
records = st.dictionaries(
    words,
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | words,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
        max_leaves=6,
    ),
    max_size=4,
)


def producer(fleet: HandFleet) -> Client:
    """A client without an event loop."""
    made = fleet.client("threaded")
    assert isinstance(made, ThreadedClient)
    return made.client


@pytest.fixture
def producers(fleet: HandFleet) -> Iterator[list[Client]]:
    """Two clients of one fleet."""
    with producer(fleet) as one, producer(fleet) as other:
        yield [one, other]


@settings(
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(pairs=metadata, record=records, num_repeats=st.integers(1, 3))
def test_a_result_s_bytes_stay(
    fleet: HandFleet,
    producers: list[Client],
    wait_until: WaitUntil,
    pairs: dict[str, str],
    record: dict[str, JsonValue],
    num_repeats: int,
) -> None:
    """However often the job, another of its id, or a cancellation is submitted after it."""
    fleet.answer = lambda _: RecordAnswer(record=record, confidence=1.0)
    job = job_of("first", id=new_job_id(), metadata=pairs)
    one, other = producers
    result = one.result(one.submit(job), timeout=10)
    before = fleet.result_json(job.id)
    assert (result.metadata, read_record(result)) == (pairs, record)
    for _ in range(num_repeats):
        one.submit(job)
        other.submit(job.model_copy(update={"text": "second"}))
        one.cancel(job.id)
    wait_until(lambda: fleet.num_waiting == 0, description="all of it is read")
    assert fleet.result_json(job.id) == before
    assert one.result(job.id, timeout=10) == result
    with pytest.raises(IdConflict):
        other.result(job.id, timeout=10)
    assert fleet.answered[job.id] == 1


def read_record(result: Result) -> Any:
    """What a job was answered."""
    assert isinstance(result.answer, RecordAnswer)
    return result.answer.record
