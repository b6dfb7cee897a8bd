"""Evaluation of a real task through a real fleet, by the command that a user would type."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from smallfirst import Client
from smallfirst.answers import LabelAnswer
from smallfirst.jobs import Job
from smallfirst.local.fleet import LocalFleet

EXAMPLE = Path(__file__).parents[3] / "examples" / "support_mail"
CATALOGUE = """\
version: 1
pools:
  cpu: {tier: slm, max_parameters: 50M, price_per_hour: 0.05}
models:
  minilm: {source: bundled:minilm}
  minilm-fine: {source: bundled:minilm, precision: float32}
tasks:
  topic:
    kind: classify
    labels:
      billing: invoices, payments, refunds that did not arrive
      delivery: where a parcel is, late or lost, how it is sent
      return: sending something back, damaged or faulty goods, exchanges
      product_question: what a product is, does, fits or contains
      account: signing in, passwords, addresses, newsletters, data protection
      complaint: how somebody was treated, quality of service
      other: not for support at all
    examples: topic.jsonl
    cascade:
      - rule: {patterns: [{label: billing, pattern: "(?i)invoice"}]}
      - model: minilm
        accept: 0.7
      - model: minilm-fine
        accept: ACCEPT
"""
NUM_ROWS = 80

# Two fleets are started, one after the other.
pytestmark = pytest.mark.timeout(600)


@dataclass(frozen=True)
class Evaluated:
    """What the command was given, and what it said."""

    catalogue: Path
    rows: list[dict[str, Any]]
    found: dict[str, Any]
    page: str
    rows_out: list[dict[str, Any]]


def written(folder: Path, accept: object) -> Path:
    """Write the catalogue with its examples."""
    catalogue = folder / "catalogue.yaml"
    catalogue.write_text(CATALOGUE.replace("ACCEPT", str(accept)))
    shutil.copy(EXAMPLE / "examples" / "topic.jsonl", folder)
    return catalogue


def evaluate(catalogue: Path, rows: Path, *more: object) -> "subprocess.CompletedProcess[str]":
    """Run the command."""
    command = [sys.executable, "-m", "smallfirst", "evaluate", "topic", "--data", str(rows)]
    command += ["--catalogue", str(catalogue), "--json", *map(str, more)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Evaluated:
    """The support mail's topics, on some of its mails."""
    folder = tmp_path_factory.mktemp("evaluate")
    catalogue, rows, page = written(folder, 0.5), folder / "rows.jsonl", folder / "report.html"
    lines = (EXAMPLE / "mails.jsonl").read_text().splitlines()[: NUM_ROWS - 1]
    lines.append(json.dumps({"id": "blank", "text": "\u200b", "gold": {"topic": "other"}}))
    rows.write_text("\n".join(lines))
    done = evaluate(catalogue, rows, "--html", page, "--rows-out", folder / "out.jsonl")
    assert done.returncode == 0, done.stderr
    out = [*map(json.loads, (folder / "out.jsonl").read_text().splitlines())]
    found = json.loads(done.stdout)
    return Evaluated(catalogue, [*map(json.loads, lines)], found, page.read_text(), out)


def test_the_cascade_of_the_report_is_the_cascade_of_the_fleet(
    evaluated: Evaluated, tmp_path: Path
) -> None:
    """What was added up from single steps is what a fleet answers when it walks the cascade."""
    jobs = [Job(id=row["id"], task="topic", text=row["text"]) for row in evaluated.rows]
    with LocalFleet(evaluated.catalogue, tmp_path, flower=False, persistent=False) as fleet:
        fleet.wait_ready(timedelta(minutes=4))
        with Client(fleet.redis_url) as client:
            answers = [result.answer for result in client.map(jobs)]
    right = [
        isinstance(answer, LabelAnswer) and answer.label == row["gold"]["topic"]
        for answer, row in zip(answers, evaluated.rows, strict=True)
    ]
    cascade = evaluated.found["cascade"]
    # Rows batched with others are rounded otherwise; one may fall to the other side of a threshold.
    answered = sum(answer is not None for answer in answers)
    assert abs(cascade["coverage"] * NUM_ROWS - answered) <= 1
    assert abs(cascade["accuracy"] * NUM_ROWS - sum(right)) <= 1


def test_every_alternative_is_there_and_is_priced(evaluated: Evaluated) -> None:
    """Each step alone, lots, and the rival; whoever asks a model pays for it."""
    found = evaluated.found
    assert [step["model"] for step in found["steps"]] == ["rules", "minilm", "minilm-fine"]
    ways = [each["way"] for each in found["alternatives"]]
    assert ways.count("alone") == 3
    assert "random" in ways
    free = {tuple(a["steps"]) for a in found["alternatives"] if not a["cost_per_million"]}
    assert free == {(0,)}
    assert found["comparison"]["rival"] in {a["name"] for a in found["alternatives"]}
    assert sum(found["cascade"]["answered_by"]) == pytest.approx(found["cascade"]["coverage"])


def test_a_row_that_no_model_can_read_is_counted_and_named(evaluated: Evaluated) -> None:
    """It ends nothing: both models failed on it, and the report says on which line."""
    failures = evaluated.found["failures"]
    assert [(each["step"], each["lines"]) for each in failures] == [(1, [80]), (2, [80])]
    assert "line 80 (There is nothing in the text" in " ".join(evaluated.found["sentences"])
    last = evaluated.rows_out[-1]
    assert (last["id"], last["outcome"], last["gold"]) == ("blank", "abstained", "other")


def test_the_rows_written_are_those_of_the_figures(evaluated: Evaluated) -> None:
    """Each row of the file is there with its outcome; the labels' figures count the same."""
    right = [row["outcome"] == "right" for row in evaluated.rows_out]
    assert [row["id"] for row in evaluated.rows_out] == [row["id"] for row in evaluated.rows]
    assert sum(right) == round(evaluated.found["cascade"]["accuracy"] * NUM_ROWS)
    assert sum(label["num_right"] for label in evaluated.found["labels"]) == sum(right)


def test_no_text_stands_in_the_report(evaluated: Evaluated) -> None:
    """Neither the page nor the figures hold what somebody wrote."""
    told = json.dumps(evaluated.found) + evaluated.page + json.dumps(evaluated.rows_out)
    for row in evaluated.rows:
        longest = max(row["text"].splitlines(), key=len)
        assert longest not in told
        assert json.dumps(longest)[1:-1] not in told


def test_rows_that_were_learned_from_are_refused(tmp_path: Path) -> None:
    """A model is not judged by its own examples, and no fleet is started for it."""
    catalogue = written(tmp_path, 0.5)
    done = evaluate(catalogue, tmp_path / "topic.jsonl")
    assert done.returncode == 1
    assert "were seen in training" in done.stderr
    assert "Traceback" not in done.stderr
    done = evaluate(catalogue, tmp_path / "topic.jsonl", "--drop-seen")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no row is left" in done.stderr


def test_a_missing_promise_is_told_with_its_remedy(tmp_path: Path) -> None:
    """A cascade that waits for its promise cannot be judged by it."""
    done = evaluate(written(tmp_path, "calibrated"), EXAMPLE / "mails.jsonl")
    assert done.returncode == 2
    assert "smallfirst calibrate topic" in done.stderr
    assert "cascade[2].accept" in done.stderr


def test_the_page_shades_what_drove_wrong_answers(tmp_path: Path) -> None:
    """Of a rule, a linear model and an encoder; with the rows that taught them, and escaped."""
    mails = map(json.loads, (EXAMPLE / "mails.jsonl").read_text().splitlines()[:40])
    rows, page = tmp_path / "rows.jsonl", tmp_path / "report.html"
    texts = [each["text"] for each in mails if each["gold"]["topic"] != "other"]
    texts += [f"<b>Invoice</b> for nobody {number}" for number in range(3)]
    # Of each nearly every answer is wrong, whoever gives it.
    rows.write_text("\n".join(json.dumps({"text": text, "label": "other"}) for text in texts))
    catalogue = written(tmp_path, 0.0)
    text = catalogue.read_text().replace("model: minilm\n", "model: words\n")
    text = text.replace("model: minilm-fine", "model: minilm").replace("0.7", "0.8")
    text = text.replace(
        "minilm: {source: bundled:minilm}", "minilm: {source: bundled:minilm, runtime: torch}"
    )
    fine = "minilm-fine: {source: bundled:minilm, precision: float32}"
    catalogue.write_text(text.replace(fine, "words: {tier: linear, source: bundled:words}"))
    done = evaluate(catalogue, rows, "--html", page, "--texts")
    assert done.returncode == 0, done.stderr
    written_page = page.read_text()
    table = written_page.partition('<table class="wrong">')[2].partition("</table>")[0]
    assert table.count('&lt;b&gt;<mark class="for4">Invoice</mark>&lt;/b&gt; for nobody') == 3
    told = [each.partition("</small>")[0] for each in table.split("<small>")[1:]]
    by = [cells.split("</td>")[3].partition("<td>")[2] for cells in table.split("<tr><td>")[1:]]
    assert {"rules", "minilm", "words"} <= {name.split()[0] for name in by}, by
    for name, why in zip(by, told, strict=True):
        assert why.startswith("shaded for "), why
        assert ("like these rows that it learned from: " in why) is not name.startswith("rules")
