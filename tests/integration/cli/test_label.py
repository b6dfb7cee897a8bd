"""Rows without labels in, labelled rows out: who answered each, and nothing asked twice."""

import json
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

#: The fixtures' types, as far as they matter here; see conftest.
Smallfirst = Callable[..., Any]
WaitUntil = Callable[..., None]

CATALOGUE = """
version: 1
pools:
  far: {tier: llm, remote: true}
models:
  large: {tier: llm, source: a, endpoint: http://127.0.0.1:9/v1}
tasks:
  topic:
    kind: classify
    labels: {billing: money, delivery: parcels}
    cascade: [{model: large}]
  ids:
    kind: tag
    labels: {card: A card.}
    cascade: [{rule: {find: [card]}, accept: always}]
  reply: {kind: generate, cascade: [{model: large}]}
"""


@pytest.fixture
def label(smallfirst: Smallfirst, tmp_path: Path) -> Smallfirst:
    """Run the command for a task of the catalogue."""
    (tmp_path / "catalogue.yaml").write_text(CATALOGUE)

    def run(file: Path, *arguments: object, task: str = "topic", stdin: str = "") -> Any:
        common = ("--task", task, "--catalogue", tmp_path / "catalogue.yaml")
        return smallfirst("label", file, *common, *arguments, stdin=stdin)

    return run


def write_rows(path: Path, *rows: Mapping[str, object]) -> Path:
    """Write a file of rows."""
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Read a file of rows."""
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.usefixtures("fleet")
def test_each_row_says_who_labelled_it(label: Smallfirst, tmp_path: Path) -> None:
    """A large model's answer, its name, revision and confidence; columns stay the row's own."""
    rows = ({"id": "a", "text": "billing x", "shop": 7}, {"text": "delivery y"})
    done = label(write_rows(tmp_path / "in.jsonl", *rows), "-o", tmp_path / "out.jsonl", "--json")
    assert (done.code, done.json["labelled"]) == (0, 2)
    first, second = sorted(read_rows(tmp_path / "out.jsonl"), key=lambda row: row["label"])
    assert first == {
        "id": "a",
        "text": "billing x",
        "label": "billing",
        "provenance": {
            "source": "llm", "tier": "llm", "model": "words", "revision": "1", "confidence": 0.9
        },
        "row": {"shop": 7},
    }  # fmt: skip
    assert second["label"] == "delivery"
    assert "billing x" not in done.err


@pytest.mark.usefixtures("fleet")
def test_the_whole_cascade_may_be_asked(label: Smallfirst, tmp_path: Path) -> None:
    """Then the row says which tier it was, and the provenance is the cascade's."""
    file = write_rows(tmp_path / "in.jsonl", {"text": "billing x"})
    assert label(file, "--by", "cascade", "-o", tmp_path / "out.jsonl").code == 0
    [row] = read_rows(tmp_path / "out.jsonl")
    assert (row["provenance"]["source"], row["provenance"]["tier"]) == ("cascade", "rule")


@pytest.mark.usefixtures("fleet")
def test_an_answer_that_did_not_stand_says_so(label: Smallfirst, tmp_path: Path) -> None:
    """It is written with its confidence, for whoever filters by that."""
    file = write_rows(tmp_path / "in.jsonl", {"text": "doubt"})
    assert label(file, "-o", tmp_path / "out.jsonl").code == 0
    [row] = read_rows(tmp_path / "out.jsonl")
    assert (row["label"], row["provenance"]["confidence"]) == ("billing", 0.4)
    assert row["provenance"]["stood"] is False


@pytest.mark.usefixtures("fleet")
def test_rows_that_bring_a_label_or_get_none_are_counted(label: Smallfirst, tmp_path: Path) -> None:
    """The first are nobody's to answer, and the others stand in the file of errors."""
    rows = [{"text": "billing", "label": "delivery"}, {"text": "fail"}, {"text": "abstain"}, {}]
    done = label(write_rows(tmp_path / "in.jsonl", *rows), "-o", tmp_path / "out.jsonl", "--json")
    assert done.code == 1
    counts = ("labelled", "labelled_before", "already_answered", "without_answer", "bad_lines")
    assert [done.json[name] for name in counts] == [0, 1, 0, 2, 1]
    assert sorted(row["line"] for row in read_rows(tmp_path / "out.errors.jsonl")) == [2, 3, 4]


@pytest.mark.usefixtures("fleet")
def test_what_was_killed_goes_on_and_asks_nothing_twice(
    label: Smallfirst,
    command: list[str],
    environment: dict[str, str],
    tmp_path: Path,
    wait_until: WaitUntil,
) -> None:
    """SIGKILL in the middle, half a line at the end: each row is labelled once, asked once."""
    rows = [{"text": f"billing {number}"} for number in range(200)]
    file = write_rows(tmp_path / "in.jsonl", *rows, {"text": "hold"})
    out = tmp_path / "out.jsonl"
    label(write_rows(tmp_path / "none.jsonl"), "-o", out)
    asked = ("--task", "topic", "--catalogue", str(tmp_path / "catalogue.yaml"), "-o", str(out))
    with subprocess.Popen([*command, "label", str(file), *asked], env=environment) as process:
        wait_until(
            lambda: out.read_bytes().count(b"\n") == 200, description="all but one are there"
        )
        process.send_signal(signal.SIGKILL)
    kept = out.read_bytes().splitlines(keepends=True)[:15]
    out.write_bytes(b"".join(kept) + b'{"id": "line-16-x", "te')
    write_rows(file, *rows)
    done = label(file, "-o", out, "--resume", "--json")
    assert (done.code, done.json["already_answered"], done.json["labelled"]) == (0, 15, 185)
    assert sorted(row["text"] for row in read_rows(out)) == sorted(row["text"] for row in rows)
    # The ids are as before, so that each result is the one of the first time.
    assert done.json["from_earlier"] == 185


@pytest.mark.parametrize(
    ("task", "rule"),
    [("reply", "has no labels"), ("ids", "--by cascade"), ("topics", "did you mean 'topic'")],
)
def test_a_task_that_nobody_can_label_is_refused(
    label: Smallfirst, tmp_path: Path, task: str, rule: str
) -> None:
    """Before a fleet is looked for; the error says what to do."""
    done = label(write_rows(tmp_path / "in.jsonl", {"text": "x"}), task=task)
    assert done.code == 2
    assert rule in done.err


@pytest.mark.usefixtures("fleet")
def test_an_empty_file_is_labelled_at_once(label: Smallfirst) -> None:
    """Nothing in, nothing out, and no error; stdout is the rows' alone."""
    done = label(Path("-"), stdin="")
    assert (done.code, done.out) == (0, "")
