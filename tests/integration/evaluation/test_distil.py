"""Distilling as a command: answers of a large model and of people, to a candidate for the gate."""

import json
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from smallfirst.catalogue.loading import load_catalogue

# A fleet is started, in which two models learn from six parts of the rows each.
pytestmark = pytest.mark.timeout(600)

CATALOGUE = """
version: 1
pools:
  far: {tier: llm, remote: true}
models:
  large: {tier: llm, source: a, endpoint: "http://127.0.0.1:9/v1", parameters: 8B}
tasks:
  topic:
    kind: classify
    labels: {delivery: parcels, refund: money}
    cascade: [{model: large}, {person: {}}]
"""
UNTOLD = "zanzibar"
WORDS = {
    "delivery": ("parcel", "courier", "package", "shipping", "postman", "driver"),
    "refund": ("money", "refund", "charged", "invoice", "payment", "card"),
}
OTHERS = ("please", "today", "still", "my", "the", "when", "again", "order", "was", "not", UNTOLD)
LLM = {"source": "llm", "tier": "llm", "model": "large", "revision": "1", "confidence": 0.95}


def rows_of(count: int, seed: int, **more: object) -> list[dict[str, object]]:
    """Short texts of two labels, each known by some of its words."""
    chance, rows = random.Random(seed), []
    for number in range(count):
        label = ("delivery", "refund")[number % 2]
        words = [*chance.sample(WORDS[label], 2), *chance.sample(OTHERS, 4)]
        chance.shuffle(words)
        rows.append({"text": " ".join(words), "label": label, **more})
    return rows


def write(path: Path, rows: Sequence[dict[str, object]]) -> Path:
    """Write a file of rows."""
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def distil(folder: Path, *arguments: object) -> Any:
    """Run the command beside the live catalogue."""
    return subprocess.run(
        [sys.executable, "-m", "smallfirst", "distil", "topic", *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A live catalogue whose large model answers all, and what it and people labelled."""
    (tmp_path / "catalogue.yaml").write_text(CATALOGUE)
    write(tmp_path / "labelled.jsonl", rows_of(60, seed=1, provenance=LLM))
    write(tmp_path / "people.jsonl", rows_of(70, seed=2))
    write(tmp_path / "test.jsonl", rows_of(30, seed=3))
    return tmp_path


def test_answers_become_a_candidate(place: Path) -> None:
    """It is served, keeps the person, says what it learned from whom, and knows no test row."""
    done = distil(
        place, "--labelled", "labelled.jsonl", "--people", "people.jsonl", "--test", "test.jsonl",
        "--target-error", "0.2", "--budget", "0", "--slm-processes", "1", "--drop-refused",
        "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["is_judged_by_people"] is True
    assert found["fit"]["promise"]["target"] == 0.2
    task = load_catalogue(place / "candidate" / "catalogue.yaml").tasks["topic"]
    assert task.person_step is not None
    assert {each.weight for each in task.examples} == {None, 0.5}
    card = (place / "candidate" / "fitted" / "topic.provenance.jsonl").read_text()
    used = [json.loads(line) for line in card.splitlines()]
    assert {(row["part"], by["source"]) for row in used for by in row["by"]} == {
        ("learning", "llm"), ("learning", "human"), ("promising", "human")
    }  # fmt: skip
    assert UNTOLD not in card + done.stderr + done.stdout
    for path in (place / "candidate" / "fitted").iterdir():
        assert UNTOLD not in path.read_text()
    assert "smallfirst promote topic --candidate" in done.stderr


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (rows_of(1, seed=3), "the test has leaked: labelled.jsonl:1"),
        (
            [{"tier": "linear", "model": "words", "source": "cascade", "confidence": 1.0}],
            "'words', which would be trained on its own answers: labelled.jsonl:1",
        ),
        ([{}], "labelled.jsonl:1: does not say who labelled the row"),
    ],
)
def test_rows_that_spoil_a_candidate_are_refused_by_name(
    place: Path, rows: list[dict[str, Any]], words: str
) -> None:
    """A row of the test, a model's own answer, and one of unknown origin; nothing is written."""
    [about] = rows
    row = about if "text" in about else {"text": "new words", "label": "refund"}
    who = LLM if "text" in about else about
    write(place / "labelled.jsonl", [{**row, **({"provenance": who} if who else {})}])
    done = distil(place, "--labelled", "labelled.jsonl", "--test", "test.jsonl")
    assert done.returncode == 1, done.stdout
    assert words in done.stderr
    assert not (place / "candidate" / "catalogue.yaml").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "name files with --labelled or --people"),
        (("--labelled", "none.jsonl"), "none.jsonl: no such file"),
        (("--people", "people.jsonl", "--out", "."), "has the live catalogue"),
        (("--people", "labelled.jsonl"), "was labelled by a machine (llm)"),
    ],
)
def test_what_cannot_be_distilled_is_told(
    place: Path, arguments: tuple[str, ...], words: str
) -> None:
    """What is wrong, and what to do."""
    done = distil(place, *arguments)
    assert done.returncode in {1, 2}
    assert words in done.stderr
