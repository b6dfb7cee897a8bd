"""Laws of `smallfirst fit`: from a file of rows to a cascade that is served, by one command."""

import json
import random
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from smallfirst.catalogue import Promise, promise_path
from smallfirst.catalogue.checking import check_catalogue
from smallfirst.catalogue.loading import load_catalogue

# One fleet is started, in which two models learn from six parts of the rows each.
pytestmark = pytest.mark.timeout(600)

UNTOLD = "zanzibar"
WORDS = {
    "delivery": ("parcel", "courier", "package", "shipping", "postman", "driver"),
    "refund": ("money", "refund", "charged", "invoice", "payment", "card"),
}
OTHERS = ("please", "today", "still", "my", "the", "when", "again", "order", "was", "not", UNTOLD)
OTHER_TASK = """\
# The team's own words.
version: 1
tasks:
  contact:   # found by rules
    kind: tag
    labels: {email: an address}
    cascade: [{rule: {find: [email]}, accept: always}]
"""

WITH_LARGE = """\
version: 1
pools:
  far: {tier: llm, remote: true}
models:
  near: {tier: llm, source: a, endpoint: http://127.0.0.1:9/v1, parameters: 8B}
  far: {tier: llm, source: b, endpoint: http://127.0.0.1:9/v1}
tasks:
  contact:
    kind: tag
    labels: {email: an address}
    cascade: [{rule: {find: [email]}, accept: always}]
"""


def rows_of(count: int) -> list[dict[str, str]]:
    """Short texts of two labels, each known by some of its words; seeded."""
    chance, rows = random.Random(11), []
    for number in range(count):
        label = ("delivery", "refund")[number % 2]
        words = [*chance.sample(WORDS[label], 2), *chance.sample(OTHERS, 4)]
        chance.shuffle(words)
        rows.append({"text": " ".join(words), "label": label})
    return rows


@dataclass(frozen=True)
class Fitted:
    """A folder in which the command was run, and what it said."""

    folder: Path
    done: "subprocess.CompletedProcess[str]"

    @property
    def catalogue(self) -> Path:
        """The file that it wrote."""
        return self.folder / "catalogue.yaml"

    def again(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run it once more."""
        return fit(self.folder, *arguments)


def fit(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the command as a user would type it."""
    command = [sys.executable, "-m", "smallfirst", "fit", "topic", "--data", "rows.jsonl", "--json"]
    return subprocess.run(
        [*command, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    """Ninety rows, beside a catalogue with another task."""
    folder = tmp_path_factory.mktemp("fit")
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows_of(90)))
    (folder / "catalogue.yaml").write_text(OTHER_TASK)
    done = fit(folder, "--target-error", "0.2", "--slm-processes", "1")
    assert done.returncode == 0, done.stderr
    return Fitted(folder, done)


def test_what_it_wrote_is_served(fitted: Fitted) -> None:
    """The catalogue loads with its promise, nothing is wrong with it, and the promise is kept."""
    catalogue = load_catalogue(fitted.catalogue)
    assert check_catalogue(fitted.catalogue).fatal == ()
    content = promise_path(fitted.catalogue, "topic").read_bytes()
    promise = Promise.model_validate_json(content, strict=True)
    card = json.loads(fitted.done.stdout)
    assert card["promise"] == json.loads(promise.model_dump_json(exclude_none=True))
    assert promise.target == 0.2
    assert card["is_target_kept"]
    assert all(step.is_calibrated for step in catalogue.tasks["topic"].cascade)
    assert any("A tuned model is not tried" in sentence for sentence in card["said"])


def test_rows_that_promise_are_not_among_the_examples(fitted: Fitted) -> None:
    """What the models learn from and what the promise was made on are all rows, and share none."""
    card = json.loads(fitted.done.stdout)["rows"]
    examples = load_catalogue(fitted.catalogue).tasks["topic"].examples
    assert len(examples) == card["learning"]
    assert card["learning"] + card["promising"] == 90
    assert card["promising"] == json.loads(fitted.done.stdout)["promise"]["num_rows"]


def test_other_entries_stay_as_they_were(fitted: Fitted) -> None:
    """The team's comments and tasks are there, word for word."""
    assert OTHER_TASK in fitted.catalogue.read_text()


def test_no_text_of_a_row_is_in_the_page_or_the_card(fitted: Fitted) -> None:
    """They are passed around, and a row is somebody's letter."""
    for name in ("topic.html", "topic.json", "topic.measured.jsonl"):
        assert UNTOLD not in (fitted.folder / "fitted" / name).read_text()


def test_another_target_asks_nobody_twice(fitted: Fitted, tmp_path: Path) -> None:
    """What was measured is kept, so that no fleet is started; the old promise is replaced."""
    folder = shutil.copytree(fitted.folder, tmp_path / "copied")
    done = fit(folder, "--target-error", "0.3", "--replace")
    assert done.returncode == 0, done.stderr
    assert "redis" not in done.stderr
    assert json.loads(done.stdout)["promise"]["target"] == 0.3


def test_a_task_that_is_there_is_not_written_over(fitted: Fitted) -> None:
    """Without being told to, the command changes nothing."""
    before = fitted.catalogue.read_bytes()
    done = fitted.again()
    assert done.returncode != 0
    assert "--replace" in done.stderr
    assert fitted.catalogue.read_bytes() == before


def test_beside_rows_it_says_what_to_label_next(fitted: Fitted, tmp_path: Path) -> None:
    """Of texts without labels those are written that teach most; once labelled they teach."""
    folder = shutil.copytree(fitted.folder, tmp_path / "copied")
    texts = [{"text": row["text"]} for row in rows_of(150)]
    (folder / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in texts))
    asked = ("--unlabelled", "texts.jsonl", "--to-label", "7", "--slm-processes", "1")
    done = fit(folder, "--target-error", "0.2", "--replace", *asked)
    assert done.returncode == 0, done.stderr
    chosen = (folder / "fitted" / "topic.to-teach.jsonl").read_text().splitlines()
    assert len(chosen) == 7
    assert not {json.loads(line)["text"] for line in chosen} & {row["text"] for row in rows_of(90)}
    assert "the most telling first" in done.stderr
    assert UNTOLD not in done.stderr


def test_a_task_without_rows_is_told_what_is_missing(tmp_path: Path) -> None:
    """Nobody can answer it, and nothing is served: but what to label is written."""
    texts = [{"text": row["text"]} for row in rows_of(60)]
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in texts))
    asked = ("--unlabelled", "texts.jsonl", "--to-label", "9", "--slm-processes", "1")
    done = begin(tmp_path, *asked)
    assert done.returncode == 1
    assert "only a large model can answer" in done.stdout
    assert not (tmp_path / "catalogue.yaml").exists()
    for name in ("topic.to-judge.jsonl", "topic.to-teach.jsonl"):
        assert (tmp_path / "fitted" / name).is_file()
        assert name in done.stderr


def test_a_task_without_rows_is_answered_by_a_large_model(tmp_path: Path) -> None:
    """The largest of the catalogue gets it, without a promise; a second time nothing changes."""
    (tmp_path / "catalogue.yaml").write_text(WITH_LARGE)
    done = begin(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "far answers every text" in done.stdout
    catalogue = load_catalogue(tmp_path / "catalogue.yaml")
    assert [step.name for step in catalogue.tasks["topic"].cascade] == ["far"]
    assert catalogue.tasks["topic"].labels == {"delivery": "a parcel is late", "refund": ""}
    assert WITH_LARGE in (tmp_path / "catalogue.yaml").read_text()
    again = fit_without(tmp_path)
    assert again.returncode == 0, again.stderr
    assert "stays in the catalogue as it is" in again.stdout


def begin(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the command for a task of two labels that has no rows."""
    return fit_without(
        folder, "--label", "delivery=a parcel is late", "--label", "refund", *arguments
    )


def fit_without(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the command without rows."""
    command = [sys.executable, "-m", "smallfirst", "fit", "topic", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
