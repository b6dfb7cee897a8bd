"""The laws of the fleet in memory that are not the clients'."""

import pickle
from typing import Any

import pytest

from smallfirst import (
    BacklogFull,
    ClientMoved,
    FleetUnreachable,
    Job,
    LabelAnswer,
    Problem,
    Result,
    Status,
    TextAnswer,
    Tier,
    results,
)
from smallfirst.testing import MemoryFleet


def refund(job: Job) -> LabelAnswer:
    """Answer any job."""
    return LabelAnswer(label="refund", confidence=0.98 if job.text else 0.0)


def abstained(job: Job) -> Result:
    """Play a fleet that is never sure."""
    problem = Problem(code="unsure", message="nobody was sure")
    return results.unanswered(job, Status.ABSTAINED, problem, submitted_ms=1, now_ms=2)


def test_an_answer_becomes_a_result() -> None:
    """The function's answer comes as the fleet's would, with a trail of one attempt."""
    job = Job(task="topic", text="money back, please", metadata={"order": "7"})
    with MemoryFleet(refund).client() as client:
        result = client.result(client.submit(job), timeout=5)
    assert (result.status, result.tier, result.fingerprint) == (
        Status.ANSWERED,
        Tier.RULE,
        job.fingerprint,
    )
    assert result.answer == refund(job)
    assert [attempt.confidence for attempt in result.trail] == [0.98]
    assert result.metadata == job.metadata


def test_a_whole_result_may_be_played() -> None:
    """The function may return a result of any status; it gets the job's id."""
    with MemoryFleet(abstained).client() as client:
        result = client.result(client.submit(Job(id="a", task="topic", text="hm")), timeout=5)
    assert (result.id, result.status) == ("a", Status.ABSTAINED)


@pytest.mark.parametrize("status", [each for each in Status if each is not Status.ANSWERED])
def test_a_status_alone_may_be_played(status: Status) -> None:
    """A fleet that abstains, or lets jobs expire, is one word."""
    with MemoryFleet(lambda _: status).client() as client:
        result = client.result(client.submit(Job(id="a", task="topic", text="hm")), timeout=5)
    assert (result.id, result.status, result.answer) == ("a", status, None)
    assert result.problem is not None


@pytest.mark.parametrize("nonsense", [None, "refund", Status.ANSWERED, 1.0])
def test_what_no_fleet_returns_is_told(nonsense: Any) -> None:
    """A function that returns no ending makes a failed job that says so."""
    with MemoryFleet(lambda _: nonsense).client() as client:
        result = client.result(client.submit(Job(task="topic", text="hm")), timeout=5)
    assert result.status is Status.FAILED
    assert result.problem is not None
    assert "return an answer" in result.problem.message


def test_outages_may_be_played() -> None:
    """A fleet that cannot be reached, and one that is behind, raise what a real one does."""
    fleet, job = MemoryFleet(refund), Job(task="topic", text="hm")
    with fleet.client(max_backlog=1, when_full="error") as client:
        fleet.is_reachable = False
        with pytest.raises(FleetUnreachable):
            client.submit(job)
        fleet.is_reachable = True
        fleet.hold()
        client.submit(job)
        with pytest.raises(BacklogFull):
            client.submit(Job(task="topic", text="hm"))
        fleet.release()
        assert client.result(job.id, timeout=5).is_answered


def test_a_result_shows_itself_in_short() -> None:
    """A notebook gets a table and a shell one line, escaped, however long an answer is."""
    answer = TextAnswer(text="<b>" + 5000 * "x", confidence=0.5)
    with MemoryFleet(lambda _: answer).client() as client:
        result = client.result(client.submit(Job(id="a", task="topic", text="hm")), timeout=5)
    assert repr(result).startswith("Result(id=a, task=topic, status=answered, tier=rule, answer=")
    assert len(repr(result)) < 300
    assert "<td>a</td>" in result._repr_html_()
    assert "<b>" not in result._repr_html_()


def test_what_the_function_raises_is_a_failed_job() -> None:
    """A job whose answer raises fails, and its neighbours do not."""

    def answer(job: Job) -> LabelAnswer:
        if job.id == "b":
            raise ValueError("bad batch-mate")
        return refund(job)

    jobs = [Job(id=name, task="topic", text="hm") for name in "abc"]
    with MemoryFleet(answer).client() as client:
        results = list(client.map(jobs))
    assert [result.is_answered for result in results] == [True, False, True]
    assert results[1].problem == Problem(code="model_error", message="ValueError: bad batch-mate")


def test_a_refused_id_may_be_submitted_again() -> None:
    """A refusal takes no id: the corrected job is answered."""

    def answer(job: Job) -> LabelAnswer | Result:
        if job.task == "topic":
            return refund(job)
        problem = Problem(code="unknown_task", message="no such task")
        return results.unanswered(job, Status.REFUSED, problem, submitted_ms=1, now_ms=2)

    with MemoryFleet(answer).client() as client:
        client.submit(Job(id="a", task="topc", text="hm"))
        assert client.result("a", timeout=5).status is Status.REFUSED
        client.submit(Job(id="a", task="topic", text="hm"))
        assert client.result("a", timeout=5).is_answered


def test_clients_share_a_fleet() -> None:
    """What one client submits another finds; both are told when both asked."""
    fleet = MemoryFleet(refund)
    with fleet.client() as one, fleet.client() as other:
        job_id = one.submit(Job(task="topic", text="hm"))
        assert other.result(job_id, timeout=5) == one.result(job_id, timeout=5)


def test_a_client_cannot_wait_for_itself() -> None:
    """An answer that asks its own client fails at once, instead of hanging."""
    fleet = MemoryFleet(lambda job: client.result(job.id))
    with fleet.client() as client:
        result = client.result(client.submit(Job(task="topic", text="hm")), timeout=5)
    assert result.problem is not None
    assert "cannot wait for itself" in result.problem.message


@pytest.mark.parametrize("max_in_flight", [0, -1])
def test_a_window_holds_something(max_in_flight: int) -> None:
    """A map with no room is refused."""
    with MemoryFleet(refund).client() as client, pytest.raises(ValueError, match="at least 1"):
        list(client.map([], max_in_flight=max_in_flight))


def test_errors_survive_pickling() -> None:
    """An error can cross to another process."""
    error = pickle.loads(pickle.dumps(ClientMoved("process")))  # noqa: S301 - our own
    assert str(error) == str(ClientMoved("process"))
