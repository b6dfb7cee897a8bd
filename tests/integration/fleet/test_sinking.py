"""Work sinks in a fleet that runs: a large model answers, teaches a small one, and rests."""

import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.odd_endpoints import OddEndpoint, Said, chat, said
from tests.support.waiting import WaitUntil

from smallfirst import Client, Job
from smallfirst.answers import LabelAnswer
from smallfirst.jobs import Tier
from smallfirst.local.fleet import LocalFleet

# A fleet runs, two more are started at the gate, and models learn from six parts of the rows.
pytestmark = pytest.mark.timeout(600)

CATALOGUE = """
version: 1
pools:
  far: {{tier: llm, remote: true}}
models:
  large: {{tier: llm, source: a, endpoint: "http://127.0.0.1:{port}/v1", parameters: 8B}}
tasks:
  topic:
    kind: classify
    labels: {{delivery: parcels, refund: money}}
    cascade: [{{model: large}}]
"""
WORDS = {
    "delivery": ("parcel", "courier", "package", "shipping", "postman", "driver"),
    "refund": ("money", "refund", "charged", "invoice", "payment", "card"),
}
OTHERS = ("please", "today", "still", "my", "the", "when", "again", "order", "was", "not")
#: The large model is wrong about texts with this word; one in eight has it.
CONFUSING = "alas"


def rows_of(count: int, seed: int) -> list[dict[str, str]]:
    """Short texts of two labels, each known by some of its words, no two alike."""
    chance, rows = random.Random(seed), []
    for number in range(count):
        label = ("delivery", "refund")[number % 2]
        words = [*chance.sample(WORDS[label], 2), *chance.sample(OTHERS, 4), f"n{seed}x{number}"]
        words += [CONFUSING] * (number % 16 in {4, 9})
        chance.shuffle(words)
        rows.append({"text": " ".join(words), "label": label})
    return rows


def large_model(asked: Mapping[str, Any]) -> Said:
    """An oracle of a known error."""
    words = set(asked["messages"][-1]["content"].split())
    is_delivery = bool(words & set(WORDS["delivery"])) != (CONFUSING in words)
    return said(chat(json.dumps({"label": "delivery" if is_delivery else "refund"})))


def write(path: Path, rows: Sequence[Mapping[str, object]], *keys: str) -> Path:
    """Write some keys of each row."""
    path.write_text("".join(f"{json.dumps({key: row[key] for key in keys})}\n" for row in rows))
    return path


@pytest.fixture
def large() -> Iterator[OddEndpoint]:
    """The large model."""
    with OddEndpoint(large_model) as endpoint:
        yield endpoint


@pytest.fixture
def fleet_of_large(large: OddEndpoint, tmp_path: Path) -> Iterator[LocalFleet]:
    """A fleet in which it answers all."""
    catalogue = tmp_path / "catalogue.yaml"
    catalogue.write_text(CATALOGUE.format(port=large.port))
    with LocalFleet(catalogue, tmp_path / "fleet", flower=False, persistent=False) as fleet:
        fleet.wait_ready(timedelta(minutes=2))
        yield fleet


def smallfirst(fleet: LocalFleet, folder: Path, *arguments: object) -> str:
    """Run a command beside the catalogue; what it printed."""
    command = [sys.executable, "-m", "smallfirst", "--redis-url", fleet.redis_url]
    done = subprocess.run(
        [*command, *map(str, arguments)],
        cwd=folder, capture_output=True, text=True, check=False, timeout=400,
    )  # fmt: skip
    assert done.returncode == 0, f"{arguments[0]}: {done.stdout}\n{done.stderr}"
    return done.stdout


def share_right(fleet: LocalFleet, rows: Sequence[Mapping[str, str]]) -> tuple[Counter[Any], float]:
    """Ask the fleet about rows: who answered, and what share is right."""
    with Client(fleet.redis_url) as client:
        ids = client.submit_many(Job(task="topic", text=row["text"]) for row in rows)
        found = {result.id: result for result in client.as_completed(ids, timeout=120)}
    answers = [found[each].answer for each in ids]
    assert all(isinstance(each, LabelAnswer) for each in answers)
    right = [each.label == row["label"] for each, row in zip(answers, rows, strict=True)]  # type: ignore[union-attr]
    return Counter(result.tier for result in found.values()), sum(right) / len(rows)


def test_a_large_model_teaches_a_small_one_and_is_asked_no_more(
    fleet_of_large: LocalFleet, large: OddEndpoint, tmp_path: Path, wait_until: WaitUntil
) -> None:
    """Label, distil, promote, as the page has it; fewer answers are wrong; and back again."""
    fleet, stream = fleet_of_large, rows_of(96, seed=3)
    tiers, right_before = share_right(fleet, stream)
    assert tiers == {Tier.LLM: 96}
    write(tmp_path / "texts.jsonl", rows_of(96, seed=4), "text")
    write(tmp_path / "people.jsonl", rows_of(128, seed=5), "text", "label")
    write(tmp_path / "test.jsonl", rows_of(240, seed=6), "text", "label")
    smallfirst(fleet, tmp_path, "label", "texts.jsonl", "--task", "topic", "-o", "labelled.jsonl")
    smallfirst(
        fleet, tmp_path, "distil", "topic", "--labelled", "labelled.jsonl", "--people",
        "people.jsonl", "--test", "test.jsonl", "--target-error", "0.1", "--budget", "0",
        "--min-confidence", "0",
    )  # fmt: skip
    gate = ("promote", "topic", "--candidate", "candidate", "--data", "test.jsonl")
    assert "may take the live cascade's place" in smallfirst(fleet, tmp_path, *gate)
    wait_until(
        lambda: share_right(fleet, stream[:1])[0] == {Tier.LINEAR: 1},
        description="the fleet goes by the new catalogue",
        timeout=60,
        every=0.5,
    )
    asked = len(large.asked)
    tiers, right_after = share_right(fleet, rows_of(96, seed=7))
    assert tiers[Tier.LLM] == len(large.asked) - asked < 10
    assert right_after > right_before == pytest.approx(1 - 2 / 16)
    smallfirst(fleet, tmp_path, "rollback", "topic")
    wait_until(
        lambda: share_right(fleet, stream[:1])[0] == {Tier.LLM: 1},
        description="the fleet goes by the old catalogue",
        timeout=60,
        every=0.5,
    )
