"""What a model is asked for, what is taken of its answers, and what is new of that."""

import numpy as np
from numpy.typing import NDArray

from smallfirst.answers import RecordAnswer, TextAnswer
from smallfirst.catalogue import Catalogue, Example, Kind, ModelStep, Task
from smallfirst.generating.dropping import New, unlike
from smallfirst.generating.prompts import (
    TEXTS_OF_ANSWER,
    WRITE,
    question,
    right_answer,
    shares,
    texts_in,
    writing_catalogue,
)

TASK = Task(
    kind=Kind.CLASSIFY,
    description="What a mail is about.",
    labels={"delivery": "parcels", "refund": ""},
    cascade=(ModelStep(model="large"),),
)
EXAMPLES = [Example(text=f"Where is parcel {word}?", label="delivery") for word in "abcdefgh"]


def test_a_question_says_what_is_wanted_and_shows_other_examples_each_time() -> None:
    """The label with its description, the labels that must not fit, and some texts."""
    first = question(TASK, "delivery", EXAMPLES, 1)
    assert "Label: delivery: parcels" in first
    assert "must not fit:\n- refund" in first
    assert first.count("Where is parcel") == 4
    assert first == question(TASK, "delivery", EXAMPLES, 1)
    assert len({question(TASK, "delivery", EXAMPLES, n) for n in range(9)}) == 9
    assert "Texts that have" not in question(TASK, "refund", [], 1)


def test_a_long_example_is_cut() -> None:
    """A question stays one that a small context holds."""
    long = [Example(text="x" * 50_000, label="refund")]
    assert len(question(TASK, "refund", long, 1)) < 1_500


def test_the_fleet_that_writes_has_that_task_alone() -> None:
    """Its answers are records of so many texts, and no other model is loaded."""
    catalogue = Catalogue.model_validate(
        {
            "version": 1,
            "pools": {"far": {"tier": "llm", "remote": True}},
            "models": {
                name: {"tier": "llm", "source": "a", "endpoint": "http://127.0.0.1:9/v1"}
                for name in ("large", "larger")
            },
            "tasks": {"topic": TASK.model_dump(mode="json", exclude_unset=True)},
        }
    )
    found = Catalogue.model_validate(writing_catalogue(catalogue, "larger"), strict=False)
    assert (list(found.models), list(found.tasks)) == (["larger"], [WRITE])
    assert len(found.tasks[WRITE].fields) == TEXTS_OF_ANSWER


def test_what_is_no_text_is_passed_over() -> None:
    """Blank ones, too long ones, and an answer of another kind."""
    record = RecordAnswer(
        record={"text_1": " a ", "text_2": " ", "text_3": "x" * 10**7}, confidence=1
    )
    assert list(texts_in(record)) == ["a"]
    assert list(texts_in(TextAnswer(text="a", confidence=1))) == []
    assert list(texts_in(None)) == []
    half = RecordAnswer(record={"text_1": "half \ud83c"}, confidence=1)
    assert list(texts_in(half)) == ["half ?"]


def test_rows_are_dealt_to_labels_evenly() -> None:
    """And to one that has several labels the label stands in a list."""
    assert shares(5, ["a", "b"]) == {"a": 3, "b": 2}
    assert right_answer(TASK, "refund") == {"label": "refund"}
    several = TASK.model_copy(update={"kind": Kind.MULTILABEL})
    assert right_answer(several, "refund") == {"labels": ["refund"]}


def test_repeats_are_never_new() -> None:
    """Of an example, or of what was written before; case and signs make no other text."""
    new = New(["Where is it?"])
    assert [new.is_new(text) for text in ("where is it", "Here.", "here!")] == [False, True, False]
    assert new.num_repeated == 2


def test_what_is_near_another_is_dropped() -> None:
    """The first of two stays; what is near a known one goes."""
    places = {"k": (1, 0, 0), "near k": (0.99, 0.14, 0), "a": (0, 1, 0), "b": (0, 0.99, 0.14)}

    def vectors_of(texts: object) -> NDArray[np.float32]:
        return np.array([places[text] for text in texts], np.float32)  # type: ignore[attr-defined]

    assert unlike(["near k", "a", "b"], ["k"], vectors_of) == [1]
    assert unlike([], ["k"], vectors_of) == []
