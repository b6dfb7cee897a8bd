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
