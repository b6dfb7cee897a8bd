"""The whole fleet at work: real processes, real models, real Celery."""

import json
import re
import subprocess
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.waiting import WaitUntil

from smallfirst import Client, Job
from smallfirst.answers import LabelAnswer, SpansAnswer, VectorAnswer
from smallfirst.jobs import Outcome, Priority, Result, Status, Tier
from smallfirst.ledger.keys import Keys
from smallfirst.local.fleet import LocalFleet
from smallfirst.local.redis_server import find_binary

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.timeout(600)

KEYS = Keys()
OWN = KEYS.of_producer("default")
NUM_JOBS = 6_000
SHORT = ("Where is my parcel?", "I was charged twice!", "How do I reset my password?", "Spam.")


def ask(client: Client, **job: Any) -> Result:
    """Submit one job and wait for its result."""
    return client.result(client.submit(Job.model_validate(job)), timeout=60)


def test_a_rule_answers_and_says_so(client: Client) -> None:
    """Cards are found in the router, at no model's cost."""
    result = ask(client, task="ids", text="My card is 4111 1111 1111 1111, charge it.")
    assert (result.status, result.tier, result.cost) == (Status.ANSWERED, Tier.RULE, 0.0)
    assert isinstance(result.answer, SpansAnswer)
    assert [(s.start, s.end, s.label) for s in result.answer.spans] == [(11, 30, "card")]


def test_a_model_answers_with_its_whole_distribution(client: Client) -> None:
    """The result names model, revision and pool, and books seconds, tokens and cost."""
    text = "I forgot my password and cannot log in."
    result = ask(client, task="topic", text=text, whole_distribution=True)
    assert (result.status, result.tier) == (Status.ANSWERED, Tier.SLM)
    assert isinstance(result.answer, LabelAnswer)
    assert result.answer.label == "account"
    assert sum(result.answer.distribution.values()) == pytest.approx(1.0, abs=1e-4)
    [attempt] = result.trail
    assert (attempt.model, attempt.pool, attempt.outcome) == (
        "minilm",
        "cpu-small",
        Outcome.ACCEPTED,
    )
    assert attempt.tokens > 5
    assert attempt.cost > 0
    assert attempt.threshold == 0.5


def test_a_rule_and_a_model_answer_together(client: Client) -> None:
    """The rule's spans stand, and the model adds names."""
    text = "My name is Maria Lindqvist. My card is 4111 1111 1111 1111."
    result = ask(client, task="pii", text=text)
    assert isinstance(result.answer, SpansAnswer)
    spans = {s.label: text[s.start : s.end] for s in result.answer.spans}
    assert spans["card"] == "4111 1111 1111 1111"
    assert spans["person"] in "Maria Lindqvist"
    assert [attempt.tier for attempt in result.trail] == [Tier.RULE, Tier.SLM]


def test_nobody_sure_is_an_abstention(client: Client) -> None:
    """Where the cascade runs out, the job says so and shows what was tried."""
    result = ask(client, task="topic", text="asdf qwer zxcv")
    assert result.status is Status.ABSTAINED
    assert result.answer is None
    assert result.problem is not None
    assert result.problem.code == "unsure"
    assert [attempt.outcome for attempt in result.trail] == [Outcome.ABSTAINED]
    assert result.trail[0].answer is not None


def test_a_vector_has_length_one(client: Client) -> None:
    """Embeddings are ready for a dot product."""
    result = ask(client, task="similar", text="a wooden spoon")
    assert isinstance(result.answer, VectorAnswer)
    assert len(result.answer.vector) == 384
    assert sum(x * x for x in result.answer.vector) == pytest.approx(1.0, abs=1e-3)


def test_an_explanation_names_words_of_the_text(client: Client) -> None:
    """On request the answer says which stretches drove it."""
    text = "I forgot my password and cannot log in."
    result = ask(client, task="topic", text=text, explain=True)
    assert isinstance(result.answer, LabelAnswer)
    words = [text[e.start : e.end] for e in result.answer.evidence if e.weight > 0]
    assert any("password" in word for word in words)
    assert result.answer.explanation is not None
    assert result.answer.explanation.label == result.answer.label


def test_metadata_and_trace_come_back(client: Client) -> None:
    """What a producer sends along is carried through."""
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    result = ask(client, task="ids", text="x", metadata={"team": "b"}, traceparent=trace)
    assert (result.metadata, result.traceparent) == ({"team": "b"}, trace)


def test_a_job_may_forbid_the_model(client: Client) -> None:
    """With `last_tier: rule` the model is not asked."""
    result = ask(client, task="topic", text="I forgot my password.", last_tier="rule")
    assert result.status is Status.ABSTAINED
    assert result.problem is not None
    assert result.problem.code == "no_step"


@pytest.mark.parametrize(
    "text",
    [
        "x" * 200_000,
        "word " * 40_000,
        "\x00\x01\x02",
        "🧂" * 3000,
        "مرحبا بالعالم",
        "e\u0301" * 500,
        "\u202e reversed \u202c",
        "\n\r\n\t.\n",
    ],
    ids=["unbroken", "long", "control", "emoji", "rtl", "combining", "bidi", "blank lines"],
)
@pytest.mark.parametrize("task", ["topic", "pii", "similar"])
def test_any_text_is_answered_and_hurts_nobody(client: Client, task: str, text: str) -> None:
    """Strange texts end like others, and their batch-mates are answered."""
    odd = Job(task=task, text=text)
    mates = [Job(task=task, text=mate) for mate in SHORT]
    results = list(client.map([odd, *mates]))
    assert all(r.status in (Status.ANSWERED, Status.ABSTAINED) for r in results[1:])
    # A text without a single character that the model's tokenizer knows cannot be answered.
    is_empty = (
        results[0].problem is not None and "nothing in the text" in results[0].problem.message
    )
    assert results[0].status in (Status.ANSWERED, Status.ABSTAINED) or is_empty


def test_a_plain_xadd_is_a_submission(fleet: LocalFleet, client: Client) -> None:
    """Any language with a Redis client can be a producer."""
    job = json.dumps({"id": "plain-1", "task": "topic", "text": "I forgot my password."})
    server = Path(find_binary())
    cli = server.with_name(server.name.replace("server", "cli"))
    command = [str(cli), "-u", fleet.redis_url, "XADD", "{sf:0}:jobs:default", "*", "job", job]
    subprocess.run(command, check=True, capture_output=True)
    assert client.result("plain-1", timeout=60).status is Status.ANSWERED


def test_thousands_of_jobs_have_one_result_each(client: Client, fleet_redis: Any) -> None:
    """Two routers, a worker for each core: every id answered once, and nothing left behind."""

    def jobs() -> Iterator[Job]:
        for number in range(NUM_JOBS):
            task = ("topic", "urgency", "ids", "topic")[number % 4]
            priority = Priority.INTERACTIVE if number % 50 == 0 else Priority.BULK
            text = f"{SHORT[number % 3]} ({number})"
            yield Job(id=f"many-{number}", task=task, text=text, priority=priority)

    results = client.map(jobs(), max_in_flight=4000, ordered=False)
    seen = Counter((result.id, result.status) for result in results)
    assert len(seen) == NUM_JOBS
    assert set(seen.values()) == {1}
    assert {status for _, status in seen} <= {Status.ANSWERED, Status.ABSTAINED}
    streams = [OWN.jobs, KEYS.escalations, *KEYS.backlogs("cpu-small").values()]
    assert {stream: fleet_redis.xlen(stream) for stream in streams} == dict.fromkeys(streams, 0)
    assert fleet_redis.llen(KEYS.queue("cpu-small", Priority.BULK)) == 0


def test_flower_shows_each_batch_and_no_text(
    fleet: LocalFleet, client: Client, wait_until: WaitUntil
) -> None:
    """Its model's name, its size, its runtime and its state; never what a job says."""
    ask(client, task="topic", text="canary-5d1c is my password")
    assert fleet.addresses is not None
    url = f"{fleet.addresses.flower_url}/api/tasks?limit=1000"

    def shown() -> str:
        with urllib.request.urlopen(url) as reply:  # noqa: S310 - the fleet's own http address
            return str(reply.read().decode())

    def done() -> list[dict[str, Any]]:
        return [task for task in json.loads(shown()).values() if task["state"] == "SUCCESS"]

    # A result is there before the event that tells of its batch's end.
    wait_until(done, description="Flower shows a batch that ended")
    raw, batches = shown(), done()
    assert {task["name"] for task in batches} == {"slm.minilm"}
    assert all(task["runtime"] > 0 for task in batches)
    assert all("job" in task["args"] and "B" in task["args"] for task in batches)
    assert any("topic" in task["kwargs"] for task in batches)
    assert "canary-5d1c" not in raw


def test_flower_shows_the_queues_of_the_pools(fleet: LocalFleet) -> None:
    """By their names, with what waits in them; no other queue."""
    assert fleet.addresses is not None
    with urllib.request.urlopen(f"{fleet.addresses.flower_url}/broker") as reply:  # noqa: S310
        rows = re.findall(
            r'<tr id="([^"]*)">\s*<td>([^<]*)</td>\s*<td[^>]*>(\d+)<', reply.read().decode()
        )
    assert rows == [("cpu-small", "cpu-small", "0")]


def test_flower_s_first_screen_has_what_people_look_for(
    fleet: LocalFleet, client: Client, browser: "Browser"
) -> None:
    """At 1400 pixels, without scrolling to the side: how a batch ended, when, where, how fast."""
    ask(client, task="topic", text="Where is my parcel?")
    assert fleet.addresses is not None
    page = browser.new_page(viewport={"width": 1400, "height": 700})
    page.goto(f"{fleet.addresses.flower_url}/tasks")
    page.locator("#tasks-table tbody .badge").first.wait_for()
    for column in ("state", "name", "runtime", "worker", "received", "result"):
        head = page.locator(f"#tasks-table th[data-column={column}]").bounding_box()
        assert head is not None, column
        assert head["x"] + head["width"] <= 1400, column
    cells = page.locator("#tasks-table tbody tr").first.locator("td").all_inner_texts()
    assert re.fullmatch(r"'\d+ (results|escalated).*'", cells[5]), cells
    page.close()


def test_no_log_holds_a_text(fleet: LocalFleet, client: Client) -> None:
    """A job's text is in no process's log, whether it was answered or refused."""
    ask(client, task="topic", text="canary-91ab is my password")
    ask(client, task="nope", text="canary-91ab")
    logs = [path.read_text() for path in fleet.logs.iterdir()]
    assert any("batch.settled" in log for log in logs)
    assert any("job.refused" in log for log in logs)
    assert not any("canary-91ab" in log for log in logs)
