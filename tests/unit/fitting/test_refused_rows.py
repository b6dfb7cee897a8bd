"""Laws of rows that nothing can be fitted to: each is told with what is wrong and what to do."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from smallfirst.cli.main import app

#: A command sets up logging, in the process of the tests.
pytestmark = pytest.mark.usefixtures("restored_logs")

ONE = [{"text": f"text number {n} about {word}", "label": "a"} for n, word in enumerate("xyzuvw")]
TWO = [*ONE, {"text": "quite another one", "label": "b"}]
CATALOGUE = """\
version: 1
models: {words: {tier: linear, source: "bundled:words"}}
pools: {cpu: {tier: slm, max_parameters: 50M}}
tasks:
  topic: {kind: classify, labels: {a: one, b: two}, cascade: [{model: words}]}
  mail: {kind: tag, labels: {email: where}, cascade: [{rule: {find: [email]}, accept: always}]}
"""


def fit(folder: Path, *arguments: str, task: str = "topic") -> Any:
    """Run the command in a folder."""
    rows = ["--data", str(folder / "rows.jsonl")]
    to = ["--catalogue", str(folder / "catalogue.yaml")]
    return CliRunner().invoke(app, ["fit", task, *rows, *to, *arguments])


def written(folder: Path, rows: Sequence[Any]) -> None:
    """Write rows, of JSON or as they stand."""
    lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    (folder / "rows.jsonl").write_text("".join(f"{line}\n" for line in lines))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"text": "x"}, {"text": "y"}], "no row has a `label`"),
        (ONE, "every row has the label 'a'"),
        ([*ONE, {"text": "y", "labels": ["b"]}], "have `label` and some `labels`"),
        ([*TWO, {"text": "z"}], "needs `label`"),
        ([*TWO, "not JSON"], "not JSON"),
        ([], "no row has a `label`"),
        (TWO, "too few"),
        ([*TWO, *TWO, *TWO], "(7 where those that are alike count once) are too few"),
        ([{"text": f"the same {n}", "label": "ab"[n % 2]} for n in range(200)], "(1 where"),
        (["[", *map(json.dumps, TWO), "]"], "one JSON array"),
        (["PK\x03\x04"], "spreadsheet"),
    ],
)
def test_rows_that_cannot_teach_are_refused(tmp_path: Path, rows: list[Any], said: str) -> None:
    """The error says what is wrong, and nothing is served; no fleet is started for it."""
    written(tmp_path, rows)
    done = fit(tmp_path)
    assert done.exit_code != 0
    assert said in done.stderr
    assert not (tmp_path / "catalogue.yaml").exists()


@pytest.mark.parametrize(
    ("task", "arguments", "said"),
    [
        ("topic", (), "has a task 'topic' already; --replace writes over it"),
        ("mail", ("--replace",), "is of kind tag"),
        ("Not a name", (), "is no name of a task"),
        ("topic", ("--budget", "soon"), "is no duration"),
        ("topic", ("--target-error", "2"), "2 % is 0.02"),
    ],
)
def test_a_wrong_request_is_refused(
    tmp_path: Path, task: str, arguments: tuple[str, ...], said: str
) -> None:
    """The catalogue that is there stays as it is, and the error names what to do."""
    (tmp_path / "catalogue.yaml").write_text(CATALOGUE)
    written(tmp_path, TWO)
    done = fit(tmp_path, *arguments, task=task)
    assert done.exit_code != 0
    assert said in done.stderr
    assert (tmp_path / "catalogue.yaml").read_text() == CATALOGUE


def test_the_rows_themselves_are_never_written_over(tmp_path: Path) -> None:
    """Rows that stand where the examples go are refused, even where a task may be replaced."""
    (tmp_path / "examples").mkdir()
    written(tmp_path, TWO)
    rows = (tmp_path / "rows.jsonl").rename(tmp_path / "examples" / "topic.jsonl")
    to = ["--catalogue", str(tmp_path / "catalogue.yaml")]
    done = CliRunner().invoke(app, ["fit", "topic", "--data", str(rows), *to, "--replace"])
    assert done.exit_code != 0
    assert "would be written over" in done.stderr
    assert len(rows.read_text().splitlines()) == len(TWO)


def test_labels_that_the_catalogue_does_not_know_are_named(tmp_path: Path) -> None:
    """A row with a label that is nearly one of the task's is told by its line, with that one."""
    (tmp_path / "catalogue.yaml").write_text(CATALOGUE.replace("b: two", "billing: two"))
    written(tmp_path, [*ONE, {"text": "another", "label": "biling"}])
    done = fit(tmp_path, "--replace")
    assert "rows.jsonl:7" in done.stderr
    assert "did you mean 'billing'?" in done.stderr
