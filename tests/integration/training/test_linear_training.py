"""Laws of `smallfirst train --method linear`: what it leaves is served, and says how good it is."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.support.mail_task import task_of

from smallfirst.answers import LabelAnswer
from smallfirst.catalogue.loading import load_catalogue
from smallfirst.catalogue.model_tasks import linear_problem
from smallfirst.errors import CatalogueError
from smallfirst.linear.skills import load_skill
from smallfirst.process.training_plan import Method, TrainingPlan
from smallfirst.provenance.card import MODEL_CARD, read_card
from smallfirst_workers.errors import TrainingError
from smallfirst_workers.training.linear_models import train_linear
from smallfirst_workers.training.trained import Trained

CATALOGUE = """
version: 1
pools: {cpu: {tier: slm, max_parameters: 50M}}
models:
  own: {tier: linear, source: ./models/topic-1}
tasks:
  topic:
    kind: classify
    labels: {delivery: parcels, billing: money}
    cascade: [{model: own}]
"""


def lines_of(times: int = 1) -> Sequence[str]:
    """Labelled rows: every mail so often, each time another."""
    return [
        json.dumps({"text": f"{each.text} {'again ' * number}", "label": each.label})
        for number in range(times)
        for each in task_of().examples
    ]


def trained(folder: Path, rows: Sequence[str], **settings: float) -> Trained:
    """Train on rows of this folder's."""
    (folder / "catalogue.yaml").write_text(CATALOGUE)
    (folder / "rows.jsonl").write_text("\n".join(rows))
    plan = TrainingPlan(
        catalogue=folder / "catalogue.yaml",
        task="topic",
        data=folder / "rows.jsonl",
        out=folder / "models" / "topic-1",
        method=Method.LINEAR,
        **settings,
    )
    return train_linear(plan)


def test_what_it_leaves_is_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder answers by the lines that were printed, its labels in the task's order."""
    found = trained(tmp_path, lines_of())
    assert '"tier": "linear"' in found.catalogue
    monkeypatch.chdir(tmp_path)
    catalogue = load_catalogue(tmp_path / "catalogue.yaml")
    task, model = catalogue.tasks["topic"], catalogue.models["own"]
    assert linear_problem(task, model, "own") is None
    [answer] = load_skill("topic", task, model, tmp_path).answers(["my refund"], whole={0})
    assert isinstance(answer, LabelAnswer)
    assert (answer.label, list(answer.distribution)) == ("billing", ["delivery", "billing"])
    files = {path.name for path in found.folder.iterdir()}
    assert {"README.md", "card.json", "trained_on.txt", "linear.json"} <= files


def test_it_says_who_labelled_what_it_has_seen(tmp_path: Path) -> None:
    """Where the rows say so; without a text, and not at all where they do not."""
    by = {"source": "llm", "tier": "llm", "model": "large"}
    rows = [json.dumps({**json.loads(line), "provenance": by}) for line in lines_of()]
    used = list(read_card(trained(tmp_path, rows).folder / MODEL_CARD))
    seen = (tmp_path / "models" / "topic-1" / "trained_on.txt").read_text().split()
    assert [row.key for row in used] == seen
    assert {who.model for row in used for who in row.by} == {"large"}
    (tmp_path / "other").mkdir()
    assert not (trained(tmp_path / "other", lines_of()).folder / MODEL_CARD).exists()


def test_few_rows_judge_in_turn(tmp_path: Path) -> None:
    """All of them, each by a model that has not seen it, and the interval is wide."""
    metrics = trained(tmp_path, lines_of()).card["metrics"]
    assert "held_out" not in metrics
    crossed = metrics["cross_validated"]
    assert crossed["num_rows"] == 40
    assert crossed["interval"]["low"] < crossed["score"] <= crossed["interval"]["high"]


def test_many_rows_hold_some_out(tmp_path: Path) -> None:
    """Enough of them judge, and the model that is kept has learned from those, too."""
    card = trained(tmp_path, lines_of(6), held_out=0.5).card
    assert card["metrics"]["held_out"]["num_rows"] >= 100
    assert card["rows"]["is_refitted_on_all"]


def test_rows_that_teach_nothing_are_told(tmp_path: Path) -> None:
    """A label of one row, a wrong row, a folder that is there: nothing is written."""
    with pytest.raises(TrainingError, match="has 1 example of 'delivery'"):
        trained(tmp_path, lines_of()[:21])
    with pytest.raises(CatalogueError, match="not one of the task's labels"):
        trained(tmp_path, ['{"text": "x", "label": "rain"}'])
    assert not (tmp_path / "models" / "topic-1").exists()
    trained(tmp_path, lines_of())
    with pytest.raises(TrainingError, match="is there already"):
        trained(tmp_path, lines_of())
