"""A large model at work in the fleet: real vLLM, real answers, nothing outside its bounds."""

import os
import re
import signal
import urllib.request
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis
from tests.support.holders import pid_of
from tests.support.waiting import WaitUntil

from smallfirst import Client, Job
from smallfirst.answers import LabelAnswer, RecordAnswer, TextAnswer
from smallfirst.jobs import Result, Status, Tier
from smallfirst.kinds.records import DATE_PATTERN
from smallfirst.ledger.keys import Keys
from smallfirst.local.fleet import LocalFleet

pytestmark = pytest.mark.timeout(600)


def ask(client: Client, *, timeout: float = 120, **job: Any) -> Result:
    """Submit one job and wait for its result."""
    return client.result(client.submit(Job.model_validate(job)), timeout=timeout)


def test_a_label_comes_with_the_probability_of_each(client: Client) -> None:
    """All labels are scored, and nothing but labels can be said."""
    result = ask(client, task="topic", text="I cannot log in, my password is not accepted.")
    assert (result.status, result.tier) == (Status.ANSWERED, Tier.LLM)
    assert isinstance(result.answer, LabelAnswer)
    assert set(result.answer.distribution) == {"billing", "delivery", "account"}
    assert sum(result.answer.distribution.values()) == pytest.approx(1.0, abs=1e-9)
    assert result.answer.label == max(
        result.answer.distribution, key=result.answer.distribution.__getitem__
    )


def test_the_same_question_has_the_same_answer(client: Client) -> None:
    """Scoring draws no lots, whatever else is in the engine."""
    text = "Where is my parcel?"
    results = client.map(Job(task="topic", text=text) for _ in range(20))
    labels = {r.answer.label for r in results if isinstance(r.answer, LabelAnswer)}
    assert len(labels) == 1


def test_every_record_fits_its_schema(client: Client) -> None:
    """A model that knows nothing still writes every field, each of its type."""
    jobs = [Job(task="invoice", text=f"Invoice {n}, payable by May.") for n in range(40)]
    for result in client.map(jobs):
        assert isinstance(result.answer, RecordAnswer), result
        record = result.answer.record
        assert list(record) == ["is_paid", "due"]
        assert isinstance(record["is_paid"], bool)
        assert re.fullmatch(DATE_PATTERN, str(record["due"]))


def test_a_verdict_without_its_quote_never_counts(client: Client) -> None:
    """Babble quotes nothing that stands in the text, so no verdict of it is sure at all."""
    jobs = [Job(task="tampering", text=f"The sum of {n} and 5 is 25.") for n in range(20)]
    for result in client.map(jobs):
        is_none = result.status is Status.ABSTAINED
        is_unsure = isinstance(result.answer, RecordAnswer) and result.answer.confidence == 0.0
        assert is_none or is_unsure


def test_free_text_is_bounded(client: Client) -> None:
    """A reply is written, and ends by its bound."""
    result = ask(client, task="reply", text="Do you ship to Norway?")
    assert isinstance(result.answer, TextAnswer)
    assert result.answer.text
    assert result.trail[0].cost > 0


def test_votes_and_thoughts_are_counted(client: Client) -> None:
    """More computing is booked: tokens of thoughts and of lost votes are tokens of the job."""
    text = "Invoice 7, payable by May."
    once, polled = (ask(client, task=task, text=text) for task in ("invoice", "polled"))
    plain, pondered = (ask(client, task=task, text=text) for task in ("topic", "pondered"))

    assert polled.trail[0].tokens > once.trail[0].tokens
    assert pondered.trail[0].tokens > plain.trail[0].tokens
    assert isinstance(pondered.answer, LabelAnswer)
    assert sum(pondered.answer.distribution.values()) == pytest.approx(1.0, abs=1e-4)
    assert isinstance(polled.answer, RecordAnswer)
    assert round(polled.answer.confidence * 3, 3) in {1.0, 2.0, 3.0}


def test_a_deadline_ends_a_job_in_the_engine(client: Client) -> None:
    """Nobody computes an answer that nobody waits for."""
    soon = timedelta(seconds=0.2)
    jobs = [Job(task="reply", text=f"Tell me about pan {n}.", deadline=soon) for n in range(100)]
    statuses = Counter(result.status for result in client.map(jobs))
    # Random weights write blanks alone now and then, which is no text.
    assert set(statuses) <= {Status.ANSWERED, Status.ABSTAINED, Status.EXPIRED}
    assert statuses[Status.EXPIRED] > 0


def test_a_text_beyond_the_context_fails_alone(client: Client) -> None:
    """It says why, and its batch-mates are answered."""
    jobs = [
        Job(task="topic", text="where is my parcel? " * 5000),
        Job(task="topic", text="where is my parcel?"),
    ]
    long, short = client.map(jobs)
    assert long.status is Status.FAILED
    assert long.problem is not None
    assert "context" in long.problem.message
    assert short.status is Status.ANSWERED


def test_a_task_that_fills_the_context_fails_alone(client: Client) -> None:
    """The worker serves its other tasks, and the jobs of this one are told why they fail."""
    crowded, served = client.map([Job(task="crowded", text="x"), Job(task="topic", text="x")])
    assert crowded.status is Status.FAILED
    assert crowded.problem is not None
    assert "tasks.crowded leaves no room for a text" in crowded.problem.message
    assert served.status is Status.ANSWERED


def test_prometheus_is_told_what_vllm_measures(llm_fleet: Any, client: Client) -> None:
    """Beside what the worker tells of itself, and of the process; and no text."""
    assert ask(client, task="reply", text="canary-1c7e").status is Status.ANSWERED
    url = f"http://127.0.0.1:{llm_fleet.metrics_port}/metrics"
    with urllib.request.urlopen(url, timeout=30) as page:
        said = page.read().decode()
    samples = {
        sample.name: sample.value
        for family in text_string_to_metric_families(said)
        for sample in family.samples
    }
    assert samples["vllm:generation_tokens_total"] > 0
    assert samples["vllm:num_requests_running"] >= 0
    assert samples["smallfirst_batch_jobs_count"] > 0
    assert samples["process_resident_memory_bytes"] > 0
    assert "canary" not in said


@pytest.mark.parametrize("victim", ["engine", "worker"])
def test_who_dies_with_200_requests_in_flight_loses_none(
    llm_fleet: LocalFleet, client: Client, victim: str, wait_until: WaitUntil
) -> None:
    """The process of vLLM dies under load, or the worker with it: each job has one answer."""

    def jobs() -> Iterator[Job]:
        for number in range(200):
            task = ("topic", "reply")[number % 2]
            yield Job(id=f"{victim}-{number}", task=task, text=f"Where is parcel {number}?")

    ids = client.submit_many(jobs())
    results = client.as_completed(ids, timeout=400)
    first = next(results)
    worker = worker_of(llm_fleet)
    [engine] = engines_of(worker)
    os.kill(engine if victim == "engine" else worker, signal.SIGKILL)
    seen = Counter(result.id for result in (first, *results))
    assert seen == Counter(ids)
    # One that outlived its worker would hold its memory, on a GPU most of it.
    wait_until(lambda: not Path(f"/proc/{engine}").exists(), description="its engine is gone")


def test_an_engine_that_is_killed_while_it_starts_is_started_again(
    llm_fleet: LocalFleet, client: Client, wait_until: WaitUntil
) -> None:
    """That is no fault of the model's, and passes: the worker is not given up for it."""
    [name] = [name for name in llm_fleet.children() if "llm" in name]
    killed = llm_fleet.children()[name].pid
    assert killed == worker_of(llm_fleet)
    os.kill(killed, signal.SIGKILL)
    starting: list[int] = []

    def found() -> bool:
        pid = llm_fleet.children()[name].pid
        starting.extend(engines_of(pid) if pid != killed and psutil.pid_exists(pid) else ())
        return bool(starting)

    wait_until(found, description="the next worker starts its engine", timeout=150)
    os.kill(starting[0], signal.SIGKILL)
    # A worker and its engine start once more: half a minute, or minutes among other tests.
    result = ask(client, timeout=300, task="topic", text="Where is my parcel?")
    assert result.status is Status.ANSWERED
    llm_fleet.check()
    said = (llm_fleet.logs / f"{name}.log").read_text(errors="replace")
    assert "the engine did not start" in said


def engines_of(worker: int) -> list[int]:
    """The processes of vLLM that a worker has."""
    below = psutil.Process(worker).children(recursive=True)
    return [each.pid for each in below if is_engine(each.pid)]


def worker_of(fleet: LocalFleet) -> int:
    """The process of the fleet's one LLM worker, as its heartbeat tells it."""
    with Redis.from_url(fleet.redis_url) as redis:
        beats: Any = redis.zrange(Keys().workers("llm"), 0, -1)
    [holder] = beats
    return pid_of(holder)


def is_engine(pid: int) -> bool:
    """Whether a process is the engine that vLLM started."""
    return "EngineCore" in Path(f"/proc/{pid}/cmdline").read_text()
