"""Which examples a text is most like: the task's own, and no more memory than is said."""

from pathlib import Path

import numpy as np
import pytest
from tests.support.mail_task import task_of

from smallfirst.answers import MOST_ALIKE, LabelAnswer, LabelsAnswer, with_utf16
from smallfirst.catalogue import Model, Task
from smallfirst.catalogue.likeness import text_key
from smallfirst.linear import nearest
from smallfirst.linear.fitting import fitted, train
from smallfirst.linear.model import LinearModel
from smallfirst.linear.nearest import NearestExamples
from smallfirst.linear.skills import LinearSkill, load_skill

OWN = Model.model_validate({"tier": "linear", "source": "bundled:words"})


def alike_of(model: LinearModel, task: Task, text: str) -> list[tuple[int, float]]:
    """What the product says, by number."""
    texts = [example.text for example in task.examples]
    labels, keys = [("x",)] * len(texts), list(map(text_key, texts))
    found = NearestExamples.of(model, texts, labels, keys).most_alike(model, text)
    return [(each.number, each.likeness) for each in found]


@pytest.mark.parametrize("text", ["Where is the parcel?", "a double charge, since Monday", "van"])
def test_the_most_alike_are_named(task: Task, model: LinearModel, text: str) -> None:
    """Those with the largest cosine among all of them, each compared by itself."""

    def vector(of: str) -> np.ndarray:
        [weighed] = model.weigh([of])
        dense = np.zeros(len(model.idf))
        dense[weighed.columns] = weighed.values
        return dense

    own = vector(text)
    cosines = np.array([vector(example.text) @ own / 2 for example in task.examples])
    found = alike_of(model, task, text)
    assert [likeness for _, likeness in found] == pytest.approx(
        sorted(cosines, reverse=True)[:MOST_ALIKE], abs=1e-5
    )
    assert [cosines[number - 1] for number, _ in found] == pytest.approx(
        [likeness for _, likeness in found], abs=1e-5
    )


def test_an_example_is_most_like_itself(task: Task, model: LinearModel) -> None:
    """And wholly so; a text that shares nothing with any is like none."""
    for number, example in enumerate(task.examples, start=1):
        first, likeness = alike_of(model, task, example.text)[0]
        assert first == number
        assert likeness == pytest.approx(1.0, abs=1e-5)
    assert alike_of(model, task, "\u4f60") == []


def test_an_answer_names_its_models_examples(task: Task, tmp_path: Path) -> None:
    """Where it is asked why, and where the examples made the model; another model has its own."""
    train("topic", task, tmp_path)
    skill = load_skill("topic", task, OWN, tmp_path)
    text = task.examples[4].text
    plain, told = skill.answers([text, text], explained={1})
    assert isinstance(plain, LabelAnswer)
    assert isinstance(told, LabelAnswer)
    assert plain.explanation is None
    assert told.explanation is not None
    first, *_ = told.explanation.alike
    assert (first.number, first.labels) == (5, (task.examples[4].label,))
    assert first.key == text_key(text)
    assert len(told.explanation.alike) == MOST_ALIKE
    [other] = LinearSkill(skill.model).answers([text], explained={0})
    assert isinstance(other, LabelAnswer)
    assert other.explanation is not None
    assert other.explanation.alike == ()


def test_examples_may_have_several_labels() -> None:
    """Each is told with all of its labels."""
    task = task_of("multilabel")
    [answer] = LinearSkill(fitted(task).model, taught_by=task).answers(
        [task.examples[-1].text], explained={0}
    )
    assert isinstance(answer, LabelsAnswer)
    assert answer.explanation is not None
    assert answer.explanation.alike[0].labels == task.examples[-1].labels


def test_an_explanation_is_of_a_bounded_size() -> None:
    """However long the text, and however many and long the labels: 12 KB on the wire."""
    labels = [f"{number:02}".ljust(128, "\U0001f600") for number in range(12)]
    words = [f"word{number}" for number in range(12)]
    pairs = list(zip(words, labels, strict=True))
    examples = [{"text": f"{word} {word} again", "labels": [label]} for word, label in pairs]
    examples += [{"text": " ".join(words), "labels": labels}] * 3
    said = {"kind": "multilabel", "labels": dict.fromkeys(labels, ""), "examples": examples * 2}
    task = Task.model_validate({**said, "cascade": [{"model": "words"}]})
    skill = LinearSkill(fitted(task).model, taught_by=task)
    text = (" ".join(words) + " \U0001f600 ") * 100
    plain, told = skill.answers([text, text], explained={1})
    assert isinstance(plain, LabelsAnswer)
    assert isinstance(told, LabelsAnswer)
    assert told.explanation is not None
    assert [len(each.labels) for each in told.explanation.alike] == [5] * MOST_ALIKE
    size = len(with_utf16(told, text).to_json().encode()) - len(plain.to_json().encode())
    assert 0 < size < 12 * 1024


def test_examples_are_kept_within_a_bound(
    task: Task, model: LinearModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first ones that there is room for are compared, and nothing else is kept of them."""
    texts = [example.text for example in task.examples]
    labels, keys = [("x",)] * len(texts), list(map(text_key, texts))
    monkeypatch.setattr(nearest, "MAX_FEATURES", 500)
    kept = NearestExamples.of(model, texts, labels, keys)
    assert 400 < len(kept.rows) <= 500
    assert len(kept.labels) == kept.rows.max() + 1 < len(texts)
    monkeypatch.setattr(nearest, "MAX_FEATURES", 1)
    assert NearestExamples.of(model, texts, labels, keys).most_alike(model, texts[0]) == ()
