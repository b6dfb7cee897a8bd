"""A candidate in shadow of a task of a whole fleet: live jobs are as without it, and it is seen."""

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from tests.support.waiting import WaitUntil

from smallfirst import Client, Job
from smallfirst.jobs import Result, Status
from smallfirst.ledger.keys import Keys
from smallfirst.local.fleet import LocalFleet
from smallfirst.shadow.copies import SHADOW, copy_id

pytestmark = pytest.mark.timeout(300)

KEYS = Keys()
COPIES = KEYS.of_producer(SHADOW)
CATALOGUE = """
version: 1
pools: {cpu: {tier: slm, max_parameters: 50M, price_per_hour: 1.0}}
models:
  words: {tier: linear, source: "bundled:words"}
  minilm: {source: "bundled:minilm"}
tasks:
  mood:
    kind: classify
    labels: {good: content, bad: cross}
    examples:
      - {text: thank you so much, label: good}
      - {text: this was lovely, label: good}
      - {text: I am furious, label: bad}
      - {text: this is terrible, label: bad}
    cascade: [{model: words}]
"""
TEXTS = ["thank you so much", "I am furious", "lovely", "terrible"]
CANARY = "wombatzibet"


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue whose task a linear model answers, and a candidate that asks an encoder."""
    folder = tmp_path_factory.mktemp("shadow")
    (folder / "candidate").mkdir()
    candidate = CATALOGUE.replace("[{model: words}]", "[{model: minilm}]")
    (folder / "candidate" / "catalogue.yaml").write_text(candidate)
    (folder / "catalogue.yaml").write_text(CATALOGUE)
    return folder / "catalogue.yaml"


@pytest.fixture(scope="module")
def fleet(live: Path) -> Iterator[LocalFleet]:
    """A fleet with one worker, which keeps a file."""
    with LocalFleet(live, live.parent / "fleet", slm_processes=1, flower=False) as fleet:
        fleet.wait_ready(timedelta(minutes=4))
        yield fleet


@pytest.fixture(scope="module")
def client(fleet: LocalFleet) -> Iterator[Client]:
    """A producer."""
    with Client(fleet.redis_url) as client:
        yield client


def smallfirst(fleet: LocalFleet, *arguments: object) -> Any:
    """Run a command as the fleet's administrator."""
    done = subprocess.run(
        [sys.executable, "-m", "smallfirst", "--redis-url", fleet.redis_url, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return done


def shown(fleet: LocalFleet, live: Path) -> dict[str, Any]:
    """What is known of the candidate."""
    done = smallfirst(fleet, "shadow", "show", "mood", "--catalogue", live, "--json")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def answers(client: Client, name: str, number: int) -> list[Result]:
    """Have jobs answered."""
    jobs = [Job(id=f"{name}{n}", task="mood", text=TEXTS[n % 4]) for n in range(number)]
    return list(client.map(jobs))


def test_a_candidate_is_started_seen_and_stopped_while_live_jobs_are_as_before(
    fleet: LocalFleet, client: Client, live: Path, wait_until: WaitUntil
) -> None:
    """Each has its one result, the same as without; the candidate has a share, and then none."""
    before = answers(client, "before", 80)
    began = ("--candidate", live.parent / "candidate", "--share", 0.5, "--catalogue", live)
    smallfirst(fleet, "shadow", "start", "mood", *began)

    rounds = count()

    def has_pairs() -> bool:
        answers(client, f"n{next(rounds)}-", 20)
        return bool(shown(fleet, live)["pairs"] > 5)

    wait_until(has_pairs, description="pairs are counted", timeout=100)
    after = answers(client, "after", 80)
    assert [told(each) for each in after] == [told(each) for each in before]
    assert {each.status for each in after} == {Status.ANSWERED}
    found = shown(fleet, live)
    assert found["shadow"]["answered"] == found["alike"] + found["unlike"] == found["pairs"], (
        json.dumps(found)
    )
    assert found["cost_per_thousand"]["shadow"] > 0
    said = smallfirst(fleet, "shadow", "show", "mood", "--catalogue", live).stdout
    assert said.startswith("mood: mood-candidate runs in shadow on 50.00% of its jobs.")
    with Redis.from_url(fleet.redis_url) as redis:
        wait_until(
            lambda: not redis.keys(KEYS.shadowing("mood-candidate", "*")),
            description="all copies have ended and are counted",
        )
        letters = [fields[b"letter"] for _, fields in redis.xrange(KEYS.dead)]
        assert not [each for each in letters if SHADOW.encode() in each]
    report = smallfirst(fleet, "report", "--catalogue", live, "--json").stdout
    assert "it runs in shadow of mood, and nobody gets its answers" in report
    smallfirst(fleet, "shadow", "stop", "mood", "--catalogue", live)
    assert live.read_text() == CATALOGUE


def told(result: Result) -> tuple[object, ...]:
    """What a producer reads in a result, but for times."""
    trail = [(each.model, each.revision, each.outcome, each.confidence) for each in result.trail]
    return result.task, result.answer, result.tier, result.metadata, trail


def test_forgotten_jobs_have_no_copies(
    fleet: LocalFleet, client: Client, live: Path, wait_until: WaitUntil
) -> None:
    """Of a job that was copied and compared nothing is left in Redis, nor in its file."""
    began = ("--candidate", live.parent / "candidate", "--share", 0.5, "--catalogue", live)
    smallfirst(fleet, "shadow", "start", "mood", *began)
    with Redis.from_url(fleet.redis_url) as redis:
        jobs: list[str] = []

        def is_copied() -> bool:
            name = f"forget{len(jobs)}"
            jobs.append(name)
            job = Job(id=name, task="mood", text=f"{CANARY} thank you", metadata={"who": "ann"})
            client.result(client.submit(job), timeout=60)
            return bool(redis.exists(COPIES.job(copy_id("default", name))))

        wait_until(is_copied, description="some have copies", timeout=100)
        said = smallfirst(fleet, "forget", "--where", "metadata.who=ann", "--json").stdout
        # Beside an entry that waits bytes of deleted ones may stand; here nothing else waits.
        assert json.loads(said)["lingering"] == []
        copies = [copy_id("default", each) for each in jobs]
        assert not redis.exists(*map(COPIES.job, copies), *map(COPIES.result, copies))
    kept = [path for path in (live.parent / "fleet").rglob("*") if path.is_file()]
    assert not [path for path in kept if CANARY.encode() in path.read_bytes()]
    smallfirst(fleet, "shadow", "stop", "mood", "--catalogue", live)


BROKEN = """
  next:
    kind: classify
    labels: {good: content, bad: cross}
    cascade: [{model: gone}]
    shadow: {of: mood, share: 0.5}
  numbers:
    kind: tag
    labels: {email: an e-mail address}
    cascade: [{rule: {find: [email]}, accept: always}]
"""


def test_a_candidate_whose_model_is_not_there_keeps_nobody_waiting(
    fleet: LocalFleet, client: Client, live: Path, wait_until: WaitUntil
) -> None:
    """A catalogue with it is taken up without it: live jobs are answered, and a new task too."""
    before = live.read_text()
    gone = CATALOGUE.replace("models:\n", "models:\n  gone: {source: ./gone, parameters: 1M}\n")
    live.write_text(gone + BROKEN)
    ids = count()

    def is_served() -> bool:
        job = Job(id=f"mail{next(ids)}", task="numbers", text="to ann@example.com")
        return client.result(client.submit(job), timeout=60).status is Status.ANSWERED

    try:
        wait_until(is_served, description="the new task is served", timeout=60)
        assert {each.status for each in answers(client, "broken", 40)} == {Status.ANSWERED}
        with Redis.from_url(fleet.redis_url) as redis:
            counted = [redis.hkeys(key) for key in redis.keys(KEYS.shadow("next", "*"))]
            assert counted
            assert {name for names in counted for name in names} <= {b"copied", b"left_out"}
    finally:
        live.write_text(before)
    # Their copies, which no worker has read, are found and ended before they expire.
    theirs = [word for number in range(40) for word in ("--id", f"broken{number}")]
    told = json.loads(smallfirst(fleet, "forget", *theirs, "--json").stdout)
    assert told["lingering"] == []
    assert told["removed"]["copies in shadow"] > 0
