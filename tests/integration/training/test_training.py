"""Laws of a training: what it leaves behind is served, known by its hashes, and the same again."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from smallfirst.answers import Answer, LabelAnswer, LabelsAnswer
from smallfirst.catalogue import Example
from smallfirst.catalogue.likeness import text_key
from smallfirst.catalogue.loading import load_catalogue
from smallfirst.errors import CatalogueError
from smallfirst.jobs import Problem
from smallfirst.kinds import KINDS
from smallfirst.kinds.scoring import Score
from smallfirst.process.training_plan import Method
from smallfirst.provenance.row_vectors import ROW_VECTORS, id_hash, read_rows
from smallfirst.step_options import StepOptions
from smallfirst_workers.engines import EngineRequest
from smallfirst_workers.errors import TaskError, TrainingError
from smallfirst_workers.models import Models
from smallfirst_workers.training.model_card import weights_sha256
from smallfirst_workers.training.trained import Trained
from smallfirst_workers.training.training import train
from smallfirst_workers.training.workspace import lay_out

from .conftest import Bench

#: Of an encoder from nothing.
SMALL: dict[str, Any] = {"hidden": 32, "layers": 1, "vocabulary": 220, "reading_epochs": 2}


def examples(bench: Bench, task: str) -> list[Example]:
    """The rows of a task, as examples."""
    lines = (bench.folder / f"{task}.jsonl").read_text().splitlines()
    return [Example.model_validate_json(line) for line in lines]


def serve(bench: Bench, trained: Trained, task: str, cache: Path) -> Models:
    """Put the lines that a training prints into its catalogue, and serve that as a worker does."""
    entry, step = trained.catalogue.splitlines()
    data = yaml.safe_load(bench.catalogue.read_text())
    data["models"] |= yaml.safe_load(entry)
    data["tasks"] = {task: data["tasks"][task] | {"cascade": yaml.safe_load(step)}}
    data["models"] = {trained.folder.name: data["models"][trained.folder.name]}
    path = bench.folder / "serving.yaml"
    path.write_text(json.dumps(data))
    models = Models("cpu", cache=cache, threads=1)
    models.serve(load_catalogue(path))
    return models


def ask(models: Models, trained: Trained, task: str, rows: list[Example]) -> list[Answer | Problem]:
    """What the served model answers."""
    engine = models.served(trained.folder.name).engine
    return [
        a for p in engine.answer([EngineRequest(row.text, task) for row in rows]) for a in p.answers
    ]


@pytest.mark.parametrize(
    ("task", "settings"),
    [
        ("mood", {}),
        ("mood", {"method": Method.HEAD}),
        ("mood", {"method": Method.SCRATCH, **SMALL}),
        ("mood", {"keep_case": True}),
        ("several", {}),
        ("names", {}),
        ("names", {"refit": True}),
    ],
    ids=["classify", "head", "scratch", "case", "multilabel", "tag", "refitted"],
)
def test_what_is_trained_is_served_by_the_lines_it_prints(
    bench: Bench, cache: Path, task: str, settings: dict[str, Any]
) -> None:
    """The catalogue with those two lines serves the folder, and most rows are answered rightly."""
    trained = train(lay_out(bench.plan(task, **settings), cache))
    rows = examples(bench, task)
    models = serve(bench, trained, task, cache)

    score = Score()
    for row, answer in zip(rows, ask(models, trained, task, rows), strict=True):
        assert not isinstance(answer, Problem)
        gold = KINDS[load_catalogue(bench.catalogue).tasks[task].kind].gold_of(row)
        assert gold is not None
        score.add(answer, gold)
    models.unload()

    assert score.value is not None
    assert score.value > 0.8
    metrics = trained.card["metrics"]
    assert (metrics.get("held_out") or metrics["cross_validated"])["num_rows"] > 0


def test_the_card_says_what_the_engine_says(bench: Bench, cache: Path) -> None:
    """The score on the card is what the served model gets on exactly the rows held out.

    Rows that chose the epoch are said to have done so, where people read it too.
    """
    trained = train(lay_out(bench.plan(), cache))
    held_out = trained.card["metrics"]["held_out"]
    assert held_out["chose_epoch"]
    about = " ".join((trained.folder / "README.md").read_text().split())
    assert "which also chose the epoch" in about
    every = {text_key(row.text): row for row in examples(bench, "mood")}

    models = serve(bench, trained, "mood", cache)
    answers = ask(models, trained, "mood", list(every.values()))
    models.unload()

    wrong = sum(
        getattr(a, "label", "") != e.label for a, e in zip(answers, every.values(), strict=True)
    )
    missed = round((1 - held_out["score"]) * held_out["num_rows"])
    assert missed <= wrong
    assert trained.card["rows"]["fit"] + held_out["num_rows"] == len(every)


def test_few_rows_judge_a_head_in_turn(bench: Bench, cache: Path) -> None:
    """Where few would be held out, each row is judged once by a head that has not seen it."""
    trained = train(lay_out(bench.plan(method=Method.HEAD), cache))
    found = trained.card["metrics"]["cross_validated"]
    num_rows = len(examples(bench, "mood"))
    assert (found["num_rows"], trained.card["rows"]["fit"]) == (num_rows, num_rows)
    assert sum(label["num_there"] for label in found["labels"]) == num_rows
    right = sum(label["num_right"] for label in found["labels"])
    assert found["score"] == pytest.approx(right / num_rows, abs=1e-6)
    assert found["interval"]["low"] < found["score"] <= found["interval"]["high"]
    assert f"on {num_rows} rows, each judged by a model that has not seen it" in trained.score
    card = (trained.folder / "README.md").read_text()
    assert max(map(len, card.splitlines())) <= 110
    assert "cross-validation" in card


def test_every_text_that_was_seen_is_named_by_its_hash(bench: Bench, cache: Path) -> None:
    """Rows that taught, rows that chose the epoch and texts without labels all stand there."""
    texts = bench.write("texts", [{"text": "a text without a label"}])
    plan = bench.plan(method=Method.SCRATCH, texts=texts, epochs=1, **SMALL)
    trained = train(lay_out(plan, cache))

    seen = (trained.folder / "trained_on.txt").read_text().split()

    wanted = {text_key(row.text) for row in examples(bench, "mood")}
    assert seen == sorted(wanted | {text_key("a text without a label")})


@pytest.mark.parametrize(
    ("task", "settings"),
    [
        ("mood", {}),
        ("mood", {"method": Method.HEAD}),
        ("mood", {"keep_case": True, "refit": True}),
        ("several", {"epochs": 2}),
    ],
    ids=["tune", "head", "case", "multilabel"],
)
def test_an_answer_names_the_rows_that_taught_it(
    bench: Bench, cache: Path, task: str, settings: dict[str, Any]
) -> None:
    """By their lines of the file; as the encoder that answers sees them, tuned or not."""
    path = bench.folder / f"{task}.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    bench.write(task, ["", *({**row, "id": f"job-{at}"} for at, row in enumerate(rows))])
    trained = train(lay_out(bench.plan(task, **settings), cache))
    kept = read_rows(trained.folder / ROW_VECTORS)
    by_line = dict(enumerate(rows, start=2))
    is_all = "refit" in settings or settings.get("method") is Method.HEAD
    assert len(kept) == (len(rows) if is_all else trained.card["rows"]["fit"])
    assert trained.card["rows"]["kept_as_vectors"] == len(kept)
    for row in kept:
        assert row.key == text_key(by_line[row.number]["text"])
        assert row.ids == (id_hash(f"job-{row.number - 2}"),)

    models = serve(bench, trained, task, cache)
    engine = models.served(trained.folder.name).engine
    asked = [EngineRequest(by_line[row.number]["text"], task, explain=True) for row in kept]
    answers = [a for part in engine.answer(asked) for a in part.answers]
    models.unload()

    for row, answer in zip(kept, answers, strict=True):
        assert isinstance(answer, LabelAnswer | LabelsAnswer)
        assert answer.explanation is not None
        first, *_ = answer.explanation.alike
        assert first.likeness == pytest.approx(1.0, abs=0.02)
        assert row.number in {each.number for each in answer.explanation.alike}


def test_the_rows_of_a_model_are_no_part_of_it(bench: Bench, cache: Path) -> None:
    """Taken out, they leave revision and answers as they were, and nothing is named instead."""
    trained = train(lay_out(bench.plan(epochs=1), cache))
    text = examples(bench, "mood")[0].text

    def told() -> tuple[str, Answer | Problem]:
        models = serve(bench, trained, "mood", cache)
        engine = models.served(trained.folder.name).engine
        [part] = engine.answer([EngineRequest(text, "mood", explain=True)])
        revision = engine.revision_of("mood")
        models.unload()
        return revision, part.answers[0]

    with_rows = told()
    (trained.folder / ROW_VECTORS).unlink()
    without = told()
    assert with_rows[0] == without[0]
    for one, is_told in ((with_rows[1], True), (without[1], False)):
        assert isinstance(one, LabelAnswer)
        assert one.explanation is not None
        assert bool(one.explanation.alike) is is_told


def test_words_that_are_tagged_are_like_no_rows(bench: Bench, cache: Path) -> None:
    """A span is the words that it is about."""
    trained = train(lay_out(bench.plan("names", method=Method.HEAD), cache))
    assert not (trained.folder / ROW_VECTORS).exists()
    assert trained.card["rows"]["kept_as_vectors"] == 0


def test_the_folder_is_what_its_card_says(bench: Bench, cache: Path) -> None:
    """Weights have the hash on the card, labels are in the task's order, and others may read."""
    trained = train(lay_out(bench.plan(epochs=1), cache))

    card = json.loads((trained.folder / "card.json").read_text())
    config = json.loads((trained.folder / "config.json").read_text())
    assert card == trained.card
    assert card["weights_sha256"] == weights_sha256(trained.folder)
    assert config["id2label"] == {"0": "good", "1": "bad"}
    assert all(path.stat().st_mode & 0o044 == 0o044 for path in trained.folder.iterdir())
    assert [path.name for path in trained.folder.parent.glob(".*training*")] == []


@pytest.mark.parametrize(
    "settings", [{}, {"method": Method.SCRATCH, **SMALL}], ids=["tune", "scratch"]
)
def test_one_seed_one_model(bench: Bench, cache: Path, settings: dict[str, Any]) -> None:
    """Two trainings of one seed have the same weights to the bit, and another seed has others."""
    models = bench.folder / "models"
    plans = [
        bench.plan(epochs=2, out=models / f"mood-{number}", seed=seed, **settings)
        for number, seed in enumerate((1, 1, 2))
    ]

    first, again, other = (train(lay_out(plan, cache)).card["weights_sha256"] for plan in plans)

    assert first == again != other


def test_a_wrong_row_is_named_with_its_rule(bench: Bench, cache: Path) -> None:
    """The error names the file, the line and what is wrong, and nothing is written."""
    data = bench.write(
        "bad", [{"text": "fine", "label": "good"}, {"text": "x", "label": "bda"}, "{"]
    )

    with pytest.raises(CatalogueError) as caught:
        train(lay_out(bench.plan(data=data), cache))

    first, second = str(caught.value).splitlines()
    assert first.startswith(f"{data}:2: ")
    assert "names 'bda', which is not one of the task's labels, did you mean 'bad'?" in first
    assert second.startswith(f"{data}:3: ")
    assert not (bench.folder / "models").exists()


def test_a_row_with_nothing_to_read_is_named(bench: Bench, cache: Path) -> None:
    """A text of control characters is somebody's mistake, and not passed over."""
    rows = [{"text": "fine", "label": "good"}, "", {"text": "\x01\x02", "label": "bad"}]

    with pytest.raises(CatalogueError) as caught:
        train(lay_out(bench.plan(data=bench.write("bad", rows)), cache))

    assert "bad.jsonl:3: tasks.mood.examples: has nothing in its text" in str(caught.value)


@pytest.mark.parametrize(
    ("task", "settings", "message"),
    [
        (
            "moods",
            {"data": "mood.jsonl"},
            "the catalogue has no task 'moods', did you mean 'mood'?",
        ),
        ("mood", {"model": "teeny"}, "the catalogue has no model 'teeny', did you mean 'tiny'?"),
        (
            "similar",
            {"data": "mood.jsonl"},
            "tasks.similar is of kind embed; trained are: classify, multilabel, tag",
        ),
        ("mood", {"out": "tiny"}, "is there already; name another with --out"),
        (
            "mood",
            {"texts": "mood.jsonl", "data": "few.jsonl"},
            "tasks.mood has 1 example of 'good'",
        ),
        (
            "mood",
            {"method": Method.SCRATCH, "texts": "bad.jsonl", **SMALL},
            "bad.jsonl:2: must be a JSON object with `text`",
        ),
    ],
)
def test_what_cannot_be_trained_is_refused_in_words(
    bench: Bench, cache: Path, task: str, settings: dict[str, Any], message: str
) -> None:
    """Whatever is wrong, the error names it, and no folder appears."""
    bench.write("few", [{"text": "fine", "label": "good"}, {"text": "poor", "label": "bad"}])
    bench.write("bad", [{"text": "fine"}, {"txt": "poor"}])
    asked: dict[str, Any] = {"held_out": 0.0, **settings}
    asked |= {key: bench.folder / asked[key] for key in ("data", "out", "texts") if key in asked}

    with pytest.raises((TrainingError, TaskError)) as caught:
        train(lay_out(bench.plan(task, **asked), cache))

    assert message in str(caught.value)
    assert not (bench.folder / "models" / "mood-1").exists()


def test_a_head_answers_as_one_that_a_worker_trains_itself(bench: Bench, cache: Path) -> None:
    """On the bundled encoder, `--method head` is what `models: [minilm]` trains of examples."""
    plan = bench.plan(method=Method.HEAD, model="minilm")
    trained = train(lay_out(plan, cache))
    data = yaml.safe_load(bench.catalogue.read_text())
    data["models"] = {"minilm": data["models"]["minilm"]}
    mood = {"examples": "mood.jsonl", "cascade": [{"models": ["minilm"]}]}
    data["tasks"] = {"mood": data["tasks"]["mood"] | mood}
    path = bench.folder / "examples.yaml"
    path.write_text(json.dumps(data))
    models = Models("cpu", cache=cache, threads=1)
    models.serve(load_catalogue(path))
    rows = examples(bench, "mood")
    exactly = StepOptions(models=("minilm",))
    asked = [EngineRequest(row.text, "mood", exactly) for row in rows]
    by_examples = [a for p in models.served("minilm").engine.answer(asked) for a in p.answers]
    models.unload()

    served = serve(bench, trained, "mood", cache)
    by_folder = ask(served, trained, "mood", rows)
    served.unload()

    assert by_folder == by_examples
