"""A model elsewhere at work in the fleet: its answers, its price, and its outages."""

import os
import re
import signal
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from tests.support.holders import pid_of
from tests.support.waiting import WaitUntil

from smallfirst import Client, Job
from smallfirst.answers import LabelAnswer, LabelsAnswer, RecordAnswer, SpansAnswer, TextAnswer
from smallfirst.jobs import Result, Status, Tier
from smallfirst.kinds.records import DATE_PATTERN
from smallfirst.ledger.keys import Keys
from smallfirst.local.fleet import LocalFleet

pytestmark = pytest.mark.timeout(1500)

LABELS = {"billing", "delivery", "account"}


def ask(client: Client, num: int = 8, **job: Any) -> list[Result]:
    """Submit some jobs like this one and wait for their results."""
    text = job.pop("text", "Where is parcel")
    jobs = [Job.model_validate({"text": f"{text} {n}?", **job}) for n in range(num)]
    return list(client.map(jobs))


def calm(client: Client, proxy: Any) -> None:
    """See that the worker knows its endpoint to be well, whatever came before."""
    proxy.heal()
    assert [result.status for result in ask(client, num=1, task="stormy")] == [Status.ANSWERED]


def worker_log(fleet: LocalFleet) -> str:
    """What the worker has logged."""
    return (fleet.logs / "worker-far-1.log").read_text()


def test_a_label_comes_with_the_probability_of_each(client: Client) -> None:
    """The schema allows nothing but labels, and the tokens tell how likely each was."""
    for result in ask(client, task="topic"):
        assert (result.status, result.tier) == (Status.ANSWERED, Tier.LLM)
        assert isinstance(result.answer, LabelAnswer)
        assert set(result.answer.distribution) == LABELS
        assert sum(result.answer.distribution.values()) == pytest.approx(1.0, abs=1e-4)
        assert result.answer.confidence == result.answer.distribution[result.answer.label] > 0


def test_votes_make_a_confidence(client: Client) -> None:
    """Four answers come of one request, and the share of the winner is its confidence."""
    for result in ask(client, task="voted"):
        assert isinstance(result.answer, LabelAnswer)
        assert result.answer.label in LABELS
        assert result.answer.confidence in {0.25, 0.5, 0.75, 1.0}


def test_labels_are_the_tasks(client: Client) -> None:
    """Any number of them, each once; babble that repeats itself is no answer."""
    answers = [result.answer for result in ask(client, task="about") if result.answer]
    assert answers
    for answer in answers:
        assert isinstance(answer, LabelsAnswer)
        assert set(answer.labels) <= {"money", "time"}


def test_spans_stand_in_the_text_or_there_are_none(client: Client) -> None:
    """Words that the model made up are no answer."""
    for result in ask(client, task="found"):
        if isinstance(result.answer, SpansAnswer):
            assert all(span.label in {"person", "place"} for span in result.answer.spans)
        else:
            assert result.status is Status.ABSTAINED


def test_every_record_fits_its_schema(client: Client) -> None:
    """A model that knows nothing still writes every field, each of its type."""
    for result in ask(client, task="invoice"):
        assert isinstance(result.answer, RecordAnswer), result
        assert list(result.answer.record) == ["is_paid", "due"]
        assert isinstance(result.answer.record["is_paid"], bool)
        assert re.fullmatch(DATE_PATTERN, str(result.answer.record["due"]))


def test_a_verdict_without_its_quote_never_counts(client: Client) -> None:
    """Babble quotes nothing that stands in the text, so no verdict of it is sure at all."""
    for result in ask(client, task="tampering"):
        is_unsure = isinstance(result.answer, RecordAnswer) and result.answer.confidence == 0.0
        assert result.status is Status.ABSTAINED or is_unsure


def test_what_the_endpoint_charges_is_booked(client: Client) -> None:
    """Tokens read at their price, and tokens written at theirs."""
    for result in ask(client, task="reply"):
        assert isinstance(result.answer, TextAnswer)
        [attempt] = result.trail
        assert attempt.tokens > 20
        # Two answers of 20 tokens at most, at 3 in a million; all others were read, at 1.
        assert attempt.tokens <= attempt.cost * 1e6 <= attempt.tokens + 2 * 40 + 1e-3
        assert attempt.revision.startswith("babble+")


def test_a_text_beyond_the_context_fails_alone(client: Client) -> None:
    """The endpoint refuses it once, and its batch-mates are answered."""
    long, short = client.map(
        [Job(task="topic", text="where? " * 5000), Job(task="topic", text="x")]
    )
    assert long.status is Status.FAILED
    assert "HTTP 400" in str(long.trail[0].reason)
    assert short.status is Status.ANSWERED


@pytest.mark.parametrize(("status", "headers"), [(503, {}), (429, {"retry-after": "1"})])
def test_a_storm_is_ridden_out(
    client: Client, proxy: Any, status: int, headers: dict[str, str]
) -> None:
    """The first dozens of requests are refused; no job is the worse for it."""
    calm(client, proxy)
    proxy.headers = headers
    proxy.refuse = lambda _: status if proxy.num_refused < 40 else None
    results = ask(client, num=30, task="stormy")
    assert Counter(result.status for result in results) == {Status.ANSWERED: 30}
    assert {len(result.trail) for result in results} == {1}
    assert proxy.num_refused >= 40


def test_a_deadline_ends_a_job_that_waits_for_an_endpoint(client: Client, proxy: Any) -> None:
    """What waits in the worker expires as everything else does."""
    proxy.refuse = lambda _: 503
    results = ask(client, num=20, task="stormy", deadline=timedelta(seconds=3))
    assert {result.status for result in results} == {Status.EXPIRED}


def test_a_wrong_key_is_the_operators_to_mend(
    client: Client, proxy: Any, remote_fleet: LocalFleet, wait_until: WaitUntil
) -> None:
    """Nothing fails; the log says what to do, and the jobs wait until it is done."""
    calm(client, proxy)
    proxy.refuse = lambda _: 401
    ids = client.submit_many(Job(task="stormy", text=f"Where is {n}?") for n in range(10))
    remedy = "see that the key in the model's `api_key_variable`"
    wait_until(
        lambda: remedy in worker_log(remote_fleet), description="the remedy is logged", timeout=60
    )
    proxy.heal()
    results = list(client.as_completed(ids, timeout=300))
    assert Counter(result.status for result in results) == {Status.ANSWERED: 10}


def test_a_worker_that_goes_gives_back_what_waits(
    client: Client, proxy: Any, remote_fleet: LocalFleet, redis_of: Redis, wait_until: WaitUntil
) -> None:
    """It leaves at once, its jobs have no start counted, and the next worker ends them."""
    calm(client, proxy)
    log_before = len(worker_log(remote_fleet))
    proxy.refuse = lambda _: 503
    ids = client.submit_many(Job(task="stormy", text=f"Where is {n}?") for n in range(40))
    new_log: Callable[[], str] = lambda: worker_log(remote_fleet)[log_before:]  # noqa: E731
    wait_until(lambda: "endpoint.down" in new_log(), description="it is down", timeout=60)
    [worker] = live_workers(redis_of)
    os.kill(pid_of(worker), signal.SIGTERM)
    wait_until(lambda: "worker.stopped" in new_log(), description="it has left", timeout=20)
    assert "batch.given_back" in new_log()
    proxy.heal()
    results = list(client.as_completed(ids, timeout=300))
    assert Counter(result.id for result in results) == Counter(ids)
    assert {result.status for result in results} == {Status.ANSWERED}


def test_a_killed_endpoint_costs_no_job_anything(
    client: Client, server: Any, remote_fleet: LocalFleet, wait_until: WaitUntil
) -> None:
    """It dies under load and comes back: one answer each, at the first start of each."""
    log_before = len(worker_log(remote_fleet))
    tasks = ("topic", "reply")
    ids = client.submit_many(
        Job(id=f"killed-{n}", task=tasks[n % 2], text=f"Where is parcel {n}?") for n in range(200)
    )
    results = client.as_completed(ids, timeout=1200)
    first = next(results)
    server.kill()
    wait_until(
        lambda: "endpoint.down" in worker_log(remote_fleet)[log_before:],
        description="its loss is noticed",
        timeout=60,
    )
    server.start()
    wait_until(server.is_ready, description="it is back", timeout=900)
    ended = [first, *results]
    assert Counter(result.id for result in ended) == Counter(ids)
    # A reply of blanks alone is none, and random weights write some.
    by_task = {task: {r.status for r in ended if r.task == task} for task in tasks}
    assert by_task["topic"] == {Status.ANSWERED}
    assert by_task["reply"] <= {Status.ANSWERED, Status.ABSTAINED}
    assert {len(result.trail) for result in ended} == {1}


def test_nothing_secret_is_logged(client: Client, remote_fleet: LocalFleet) -> None:
    """Neither a text nor the key, whatever went wrong before."""
    ask(client, task="topic", text="a most private matter")
    for log in Path(remote_fleet.logs).glob("*.log"):
        assert "private matter" not in log.read_text()
        assert "sesame" not in log.read_text()


def live_workers(redis: Redis) -> list[str]:
    """Names of the pool's workers that beat."""
    found: Any = redis.zrange(Keys().workers("far"), 0, -1)
    return [name.decode() for name in found]


@pytest.fixture
def redis_of(remote_fleet: LocalFleet) -> Any:
    """The fleet's own Redis."""
    with Redis.from_url(remote_fleet.redis_url) as redis:
        yield redis
