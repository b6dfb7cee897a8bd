"""A linear model answers as scikit-learn would, wherever it is loaded."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from tests.support.mail_task import task_of

from smallfirst.answers import LabelAnswer, LabelsAnswer
from smallfirst.catalogue import Example, Model, Task
from smallfirst.errors import CatalogueError, ModelFilesError
from smallfirst.linear.features import BLOCKS, MAX_CHARS, folded
from smallfirst.linear.fitting import check_examples, fitted, folder_of, model_key, train
from smallfirst.linear.model import ABOUT_FILE, FEATURES_FILE, TENSORS_FILE, LinearModel
from smallfirst.linear.probabilities import softmax
from smallfirst.linear.skills import NOTHING_KNOWN, TOO_LONG, LinearSkill, load_skill

TEXTS = ("Where is my refund, my refund?", "the PARCEL", "please", "xx is", "naïve tracking 123")
OWN = Model.model_validate({"tier": "linear", "source": "bundled:words"})


def test_it_weighs_and_scores_as_scikit_learn_does(task: Task, model: LinearModel) -> None:
    """The same numbers as the library that trained it, to the last digits of a float."""
    texts = [folded(example.text) for example in task.examples]
    counted = [
        TfidfVectorizer(analyzer=of, sublinear_tf=True, min_df=least).fit(texts)
        for of, least in zip(BLOCKS, (1, 2), strict=True)
    ]
    asked = [folded(text) for text in TEXTS]
    weighed = hstack([each.transform(asked) for each in counted]).tocsr()
    wanted = softmax(np.asarray(weighed @ model.weights + model.bias, np.float32))
    found, _ = model.probabilities(TEXTS)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_it_learns_what_its_examples_say(task: Task, model: LinearModel) -> None:
    """Every example of so plain a task is answered as it was taught."""
    for example in task.examples:
        [answer] = LinearSkill(model).answers([example.text])
        assert isinstance(answer, LabelAnswer)
        assert answer.label == example.label
        assert sum(answer.distribution.values()) + answer.rest == pytest.approx(1.0, abs=1e-9)


def test_training_is_the_same_each_time(task: Task, model: LinearModel) -> None:
    """No chance has a part in it."""
    again = fitted(task).model
    assert again.key == model.key
    np.testing.assert_array_equal(again.weights, model.weights)


def test_a_row_counts_as_much_as_it_weighs(task: Task) -> None:
    """Of two that differ the heavier decides; rows that weigh alike make the model as without."""
    labels = ("billing", "delivery")
    for heavy, light in (labels, labels[::-1]):
        odd = [
            {"text": "the odd zebra", "label": heavy, "weight": 50.0},
            {"text": "the odd zebra", "label": light, "weight": 0.02},
        ]
        extra = tuple(Example.model_validate(each) for each in odd)
        weighed = task.model_copy(update={"examples": (*task.examples, *extra)})
        said = fitted(weighed).model.probabilities(["the odd zebra"]).probabilities[0]
        assert list(task.labels)[int(said.argmax())] == heavy
    alike = [each.model_copy(update={"weight": 3.0}) for each in task.examples]
    same = task.model_copy(update={"examples": tuple(alike)})
    assert model_key(same) == model_key(task) != model_key(weighed)


def test_labels_may_hold_together() -> None:
    """Where several labels may hold, each is judged for itself."""
    skill = LinearSkill(fitted(task_of("multilabel")).model)
    [answer] = skill.answers(["my refund and the parcel"])
    assert isinstance(answer, LabelsAnswer)
    assert set(answer.labels) == {"billing", "delivery"}


def test_what_it_cannot_read_is_no_answer(model: LinearModel) -> None:
    """Nothing known, and a text beyond the bound, are told and not guessed at."""
    skill = LinearSkill(model)
    texts = ("\u4f60\u597d", "refund " * (MAX_CHARS // 7 + 1), "refund ".ljust(MAX_CHARS))
    nothing, too_long, answer = skill.answers(texts)
    assert (nothing, too_long) == (NOTHING_KNOWN, TOO_LONG)
    assert isinstance(answer, LabelAnswer)


def test_a_mail_may_be_read_without_what_it_repeats(task: Task, model: LinearModel) -> None:
    """Where the task says so, a quoted thread has no say, and places stay the text's."""
    text = "Where is my refund?\n\n> the parcel\n> the courier, the parcel, the tracking\n"
    [whole], own = LinearSkill(model).answers([text]), LinearSkill(model, reads_message=True)
    [alone] = own.answers([text], explained={0})
    assert isinstance(whole, LabelAnswer)
    assert isinstance(alone, LabelAnswer)
    assert alone.label == "billing"
    assert alone.distribution["billing"] > whole.distribution["billing"]
    assert "refund" in {text[each.start : each.end] for each in alone.evidence}
    message = task.model_copy(update={"reads": "message"})
    assert model_key(message) != model_key(task)


def test_a_folder_keeps_all_of_it(model: LinearModel, tmp_path: Path) -> None:
    """What is read back says the same to every digit."""
    model.save(tmp_path, {"examples": 40})
    found = LinearModel.load(tmp_path)
    assert (found.key, found.kind, found.labels) == (model.key, model.kind, model.labels)
    for text in TEXTS:
        one, same = found.probabilities([text]), model.probabilities([text])
        np.testing.assert_array_equal(one.probabilities, same.probabilities)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        (ABOUT_FILE, "{}"),
        (ABOUT_FILE, "[1]"),
        (FEATURES_FILE, '[["a"],["b"]]'),
        (FEATURES_FILE, "[[]]"),
        (TENSORS_FILE, "no tensors"),
    ],
)
def test_a_broken_folder_is_told(
    model: LinearModel, tmp_path: Path, file: str, content: str
) -> None:
    """Whatever is wrong with a file, the folder is named with what to do."""
    model.save(tmp_path, {})
    (tmp_path / file).write_text(content, encoding="utf-8")
    with pytest.raises(ModelFilesError, match="train it again"):
        LinearModel.load(tmp_path)


def test_examples_make_a_model_once(task: Task, tmp_path: Path) -> None:
    """It lies under the hash of its examples, and is loaded from there."""
    train("topic", task, tmp_path)
    made = (folder_of(task, tmp_path) / TENSORS_FILE).stat().st_mtime_ns
    train("topic", task, tmp_path)
    assert (folder_of(task, tmp_path) / TENSORS_FILE).stat().st_mtime_ns == made
    skill = load_skill("topic", task, OWN, tmp_path)
    facts = json.loads((folder_of(task, tmp_path) / ABOUT_FILE).read_bytes())
    assert facts["examples"] == len(task.examples)
    assert skill.revision == facts["key"][:12]


def test_too_few_examples_are_told(task: Task) -> None:
    """A label without two examples cannot be learned, and is named."""
    few = task.model_copy(update={"examples": task.examples[:21]})
    with pytest.raises(CatalogueError, match="has 1 example of 'delivery'; its head"):
        check_examples("topic", few)


def test_a_folder_of_another_task_is_refused(
    task: Task, model: LinearModel, tmp_path: Path
) -> None:
    """Labels and kind are the task's; their order may be another."""
    model.save(tmp_path, {})
    said = Model.model_validate({"tier": "linear", "source": str(tmp_path)})
    turned = task.model_copy(update={"labels": dict(reversed(task.labels.items()))})
    [answer] = load_skill("topic", turned, said, tmp_path).answers(["my refund"], whole={0})
    assert isinstance(answer, LabelAnswer)
    assert list(answer.distribution) == ["delivery", "billing"]
    assert answer.label == "billing"
    other: Any = task.model_copy(update={"labels": {"a": "one", "b": "two"}})
    with pytest.raises(CatalogueError, match="which are: billing, delivery"):
        load_skill("topic", other, said, tmp_path)
