"""A large model writes rows: asked by a schema, its repeats dropped, its origin written down."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import pytest
from tests.support.odd_endpoints import OddEndpoint, Said, chat, said

pytestmark = pytest.mark.timeout(200)

CATALOGUE = """
version: 1
pools:
  far: {{tier: llm, remote: true}}
models:
  large: {{tier: llm, source: a, endpoint: "http://127.0.0.1:{port}/v1"}}
tasks:
  topic:
    kind: classify
    labels: {{delivery: parcels, refund: money}}
    examples: [{{text: Where is my parcel, label: delivery}}]
    cascade: [{{model: large}}]
  contact: {{kind: tag, labels: {{email: mail}}, cascade: [{{rule: {{find: [email]}}}}]}}
"""
UNTOLD = "zanzibar"


def writer() -> Callable[[Mapping[str, Any]], Said]:
    """Write five texts an answer: three new ones, one twice, and an example."""
    number = count()

    def speech(_asked: Mapping[str, Any]) -> Said:
        new = [f"{UNTOLD} of {ascii_lowercase[next(number)] * 5}" for _ in range(3)]
        texts = [*new, new[0].upper(), "where is my PARCEL"]
        return said(chat(json.dumps({f"text_{n}": text for n, text in enumerate(texts, 1)})))

    return speech


def generate(folder: Path, *arguments: object) -> Any:
    """Run the command beside the catalogue."""
    return subprocess.run(
        [sys.executable, "-m", "smallfirst", "generate-rows", *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )


def test_rows_are_written_until_there_are_enough(tmp_path: Path) -> None:
    """Each label has its share, nothing stands there twice, and what was dropped is counted."""
    with OddEndpoint(writer()) as endpoint:
        (tmp_path / "catalogue.yaml").write_text(CATALOGUE.format(port=endpoint.port))
        done = generate(
            tmp_path, "topic", "--number", "14", "-o", "rows.jsonl", "--by-words", "--json"
        )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["asked"], told["rows"], told["labels"]) == (14, 14, {"delivery": 7, "refund": 7})
    assert told["repeated"] >= 4
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert len({row["text"].casefold() for row in rows}) == 14
    provenance = rows[0]["provenance"]
    assert (provenance["source"], provenance["model"]) == ("synthetic", "large")
    assert UNTOLD not in done.stderr
    asked = json.dumps(endpoint.asked[0])
    assert "response_format" in asked
    assert "text_5" in asked


def test_a_model_that_answers_nothing_is_told(tmp_path: Path) -> None:
    """Its own words for why, and no file."""
    with OddEndpoint(lambda _: said({"error": {"message": "no"}}, status=400)) as endpoint:
        (tmp_path / "catalogue.yaml").write_text(CATALOGUE.format(port=endpoint.port))
        done = generate(tmp_path, "topic", "--number", "4", "-o", "rows.jsonl", "--by-words")
    assert done.returncode == 1
    assert "models.large: " in done.stderr
    assert not (tmp_path / "rows.jsonl").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("contact", "-o", "rows.jsonl"), "is tag; rows are written for classify"),
        (("topic", "-o", "rows.jsonl", "--model", "larger"), "'larger' is no large model"),
        (("topic", "-o", "no/rows.jsonl"), "must be a file in a folder that exists"),
    ],
)
def test_what_cannot_be_written_is_told(
    tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    """Before a fleet is started."""
    (tmp_path / "catalogue.yaml").write_text(CATALOGUE.format(port=9))
    done = generate(tmp_path, *arguments)
    assert done.returncode in {1, 2}
    assert words in done.stderr
