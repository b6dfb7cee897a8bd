"""The gate as a command: a better candidate takes the place, a worse one stays, and back again."""

import json
import random
import subprocess
import sys
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from smallfirst.catalogue.likeness import text_key
from smallfirst.catalogue.loading import load_catalogue

pytestmark = pytest.mark.timeout(300)

CATALOGUE = """
version: 1
# A comment that stays.
pools:
  cpu: {tier: slm, max_parameters: 50M}
models:
  words: {tier: linear, source: "bundled:words"}
tasks:
  topic:
    kind: classify
    labels: {billing: money, delivery: parcels}
    examples: examples.jsonl
    cascade:
      - {model: words, accept: 0.5}
  other:
    kind: tag
    labels: {email: an e-mail address}
    cascade:
      - {rule: {find: [email]}, accept: always}
"""
#: Words of letters alone: texts that differ in numbers only are taken for one.
WORDS = ["".join(parts) for parts in product("bdkmprst", "aeiou", "lnrs", "eiou", "kmt")]
#: What tells one label from the other; the live cascade has learned the first of them.
TELLING = {"billing": WORDS[0:480:20], "delivery": WORDS[480:960:20]}
KNOWN = 6
FILLING = WORDS[960:1900]


def rows(number: int, words: int, seed: int, *, wrong: float = 0.0) -> list[dict[str, str]]:
    """Labelled rows whose telling word is one of the first so many; some labelled wrong."""
    draw = random.Random(seed)
    found = []
    for n in range(number):
        label, other = draw.sample(sorted(TELLING), 2)
        text = " ".join([TELLING[label][n % words], *draw.sample(FILLING, 9)])
        found.append({"text": text, "label": other if draw.random() < wrong else label})
    return found


def written(folder: Path, examples: Sequence[dict[str, str]]) -> Path:
    """Write a catalogue whose model learns from some rows."""
    folder.mkdir()
    (folder / "catalogue.yaml").write_text(CATALOGUE)
    (folder / "examples.jsonl").write_text(lines(examples))
    return folder / "catalogue.yaml"


def lines(found: Sequence[dict[str, str]]) -> str:
    """Rows as a file has them."""
    return "".join(f"{json.dumps(row)}\n" for row in found)


def smallfirst(folder: Path, *arguments: object) -> Any:
    """Run a command beside the live catalogue."""
    return subprocess.run(
        [sys.executable, "-m", "smallfirst", *map(str, arguments)],
        cwd=folder / "live",
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A live catalogue that knows few words, and rows that people labelled."""
    written(tmp_path / "live", rows(60, KNOWN, seed=1))
    (tmp_path / "human.jsonl").write_text(lines(rows(240, 24, seed=2)))
    return tmp_path


def test_a_better_candidate_is_promoted_and_brought_back(place: Path) -> None:
    """Its examples and entry are live, all else as it was; rollback has the first ones again.

    Blind checks go on.
    """
    written(place / "better", rows(240, 24, seed=3))
    audited = CATALOGUE.replace("    examples:", "    audit: 0.01\n    examples:")
    (place / "live" / "catalogue.yaml").write_text(audited)
    before = (place / "live" / "examples.jsonl").read_text()
    gate = ("promote", "topic", "--candidate", place / "better", "--data", place / "human.jsonl")
    done = smallfirst(place, *gate, "--json")
    assert done.returncode == 0, done.stderr
    verdict = json.loads(done.stdout)
    assert (verdict["is_passed"], verdict["rows"], verdict["look"]) == (True, 240, 1)
    assert verdict["candidate_alone_right"] > 60
    text = (place / "live" / "catalogue.yaml").read_text()
    assert "# A comment that stays." in text
    live = load_catalogue(place / "live" / "catalogue.yaml")
    assert len(live.tasks["topic"].examples) == 240
    assert live.tasks["topic"].audit is not None
    assert len(live.tasks["other"].cascade) == 1
    back = smallfirst(place, "rollback", "topic")
    assert back.returncode == 0, back.stderr
    read = yaml.safe_load((place / "live" / "catalogue.yaml").read_text())
    assert read == yaml.safe_load(audited)
    assert (place / "live" / "examples.jsonl").read_text() == before
    assert smallfirst(place, "rollback", "topic").returncode == 1


def test_one_that_learned_from_corrupted_labels_stays_outside(place: Path) -> None:
    """Its rows are wrong in a fifth; nothing is written, and it is said what is missing."""
    (place / "live" / "examples.jsonl").write_text(lines(rows(240, 24, seed=3)))
    written(place / "corrupted", rows(240, 24, seed=4, wrong=0.2))
    before = (place / "live" / "catalogue.yaml").read_text()
    done = smallfirst(
        place, "promote", "topic", "--candidate", place / "corrupted", "--data",
        place / "human.jsonl",
    )  # fmt: skip
    assert done.returncode == 1, done.stdout
    assert "stays where it is" in done.stdout
    assert "labels would show" in done.stdout
    [look] = (place / "live" / "versions" / "topic" / "looks.jsonl").read_text().splitlines()
    assert json.loads(look)["is_passed"] is False
    assert (place / "live" / "catalogue.yaml").read_text() == before


def test_rows_that_either_has_learned_from_are_refused(place: Path) -> None:
    """By their lines, whichever of the two it is that knows them."""
    leaked = rows(240, 24, seed=2)[7:9]
    written(place / "leaky", [*rows(100, 24, seed=3), *leaked])
    done = smallfirst(
        place, "promote", "topic", "--candidate", place / "leaky", "--data", place / "human.jsonl"
    )
    assert done.returncode == 1
    assert "seen in training" in done.stderr
    assert "lines 8, 9" in done.stderr


def card_of(candidate: Path, *used: dict[str, object]) -> None:
    """Write the card of what a candidate learned from."""
    folder = candidate.parent / "fitted"
    folder.mkdir()
    (folder / "topic.provenance.jsonl").write_text("".join(f"{json.dumps(u)}\n" for u in used))


def test_one_that_was_trained_on_its_own_answers_is_refused_by_name(place: Path) -> None:
    """However good it looks: it would be sure of its mistakes; nothing is asked or written."""
    better = written(place / "better", rows(240, 24, seed=3))
    own = {"source": "cascade", "tier": "linear", "model": "words", "confidence": 0.99}
    card_of(better, {"key": "00", "part": "learning", "by": [own]})
    done = smallfirst(
        place, "promote", "topic", "--candidate", better, "--data", place / "human.jsonl"
    )
    assert done.returncode == 1
    assert "models.words: trained on its own answers: 1 row was labelled by 'words'" in done.stderr
    assert not (place / "live" / "versions").exists()


def test_rows_that_chose_its_thresholds_are_refused(place: Path) -> None:
    """They are no test of it, and stand in its card with those that it learned from."""
    better = written(place / "better", rows(240, 24, seed=3))
    third = json.loads((place / "human.jsonl").read_text().splitlines()[2])["text"]
    card_of(better, {"key": text_key(third), "part": "promising", "by": []})
    done = smallfirst(
        place, "promote", "topic", "--candidate", better, "--data", place / "human.jsonl"
    )
    assert done.returncode == 1
    assert "topic.provenance.jsonl" in done.stderr
    assert "lines 3;" in done.stderr


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("delivery: parcels", "delivery: parcels, other: rest", "'other' stand in one"),
        ("kind: classify", "kind: embed", "embed"),
        ('"bundled:words"', '"bundled:words", parameters: 1M', "models.words"),
    ],
)
def test_what_cannot_be_compared_is_named(place: Path, old: str, new: str, reason: str) -> None:
    """Another question, or a model of the same name that is another."""
    path = written(place / "other", rows(240, 24, seed=3))
    path.write_text(CATALOGUE.replace(old, new))
    done = smallfirst(
        place, "promote", "topic", "--candidate", path, "--data", place / "human.jsonl"
    )
    assert done.returncode != 0
    assert reason in done.stderr


def test_newer_labels_bear_a_promise_out_or_refute_it(place: Path) -> None:
    """What was calibrated is kept on rows like those it was made from, and on others it is not."""
    live = place / "live"
    (live / "examples.jsonl").write_text(lines(rows(240, 24, seed=3)))
    promising = CATALOGUE.replace("accept: 0.5", "accept: calibrated")
    (live / "catalogue.yaml").write_text(promising)
    (place / "chosen.jsonl").write_text(lines(rows(300, 24, seed=5)))
    made = smallfirst(
        place, "calibrate", "topic", "--data", place / "chosen.jsonl", "--target-error", "0.4"
    )
    assert made.returncode == 0, made.stderr
    kept = smallfirst(place, "promise", "topic", "--data", place / "human.jsonl", "--json")
    assert kept.returncode == 0, kept.stderr
    assert json.loads(kept.stdout)["is_refuted"] is False
    (place / "other.jsonl").write_text(lines(rows(240, 24, seed=6, wrong=0.8)))
    broken = smallfirst(place, "promise", "topic", "--data", place / "other.jsonl")
    assert (broken.returncode, "refute it" in broken.stdout) == (1, True), broken.stderr
