"""How good a trained model is: who judges, and what is said of it."""

from collections import Counter
from string import ascii_lowercase
from typing import Any

import pytest

from smallfirst.answers import LabelAnswer, Span, SpansAnswer
from smallfirst.catalogue import Example, Task
from smallfirst_workers.training.cross_validation import folds_of
from smallfirst_workers.training.measuring import Answered, measured_of
from smallfirst_workers.training.model_card import score_in_words


def task(kind: str = "classify") -> Task:
    """A task with two labels."""
    labels = {"labels": {"good": "", "bad": ""}, "cascade": [{"model": "m"}]}
    return Task.model_validate({"kind": kind, **labels})


def word_of(label: str, letter: str, number: int) -> str:
    """A word of letters alone: digits make no other word."""
    return f"{label}{letter}{ascii_lowercase[number // 26]}{ascii_lowercase[number % 26]}"


def rows(*counts: tuple[str, int]) -> list[Example]:
    """So many rows of a label, unlike each other."""
    return [
        Example(
            text=" ".join(word_of(label, letter, at) for letter in "abcdefgh"),
            label=label,
        )
        for label, count in counts
        for at in range(count)
    ]


def test_folds_have_each_row_once_and_each_label_evenly() -> None:
    """The folds part the rows, and none has much more of a label than another."""
    found = rows(("good", 40), ("bad", 10))
    folds = list(folds_of(found, task()))
    assert sorted(at for fold in folds for at in fold) == list(range(50))
    labels = [Counter(found[at].label for at in fold) for fold in folds]
    assert labels == [{"good": 8, "bad": 2}] * 5


def test_rows_that_are_alike_are_left_out_together() -> None:
    """A template learned from says nothing of how well its like is judged."""
    words = " ".join(f"word{at}" for at in range(30))
    alike = [Example(text=f"{words} {number}", label="good") for number in range(10)]
    folds = list(folds_of([*alike, *rows(("good", 10), ("bad", 10))], task()))
    assert sum(bool(fold & set(range(10))) for fold in folds) == 1


def test_a_label_keeps_the_examples_it_needs() -> None:
    """A row without which too few of its label are left always teaches."""
    found = rows(("good", 20), ("bad", 2))
    judged = {at for fold in folds_of(found, task()) for at in fold}
    assert {found[at].label for at in judged} == {"good"}


def test_a_score_has_the_interval_that_its_rows_leave() -> None:
    """16 of 18 is 65 to 99 %, by Clopper and Pearson, and so it is said."""
    answered: list[Answered] = [
        (row, LabelAnswer(label="good", confidence=1.0)) for row in rows(("good", 16), ("bad", 2))
    ]
    found = measured_of(task(), answered)
    assert found.score == pytest.approx(16 / 18)
    assert (round(found.interval.low, 2), round(found.interval.high, 2)) == (0.65, 0.99)
    assert [(each.label, each.precision, each.recall) for each in found.labels] == [
        ("good", 16 / 18, 1.0),
        ("bad", None, 0.0),
    ]


def test_spans_have_an_interval_that_rows_drawn_anew_give() -> None:
    """The F1 of spans lies within it, and the same rows give the same one."""
    span = Span(start=0, end=2, label="good")
    row, found = Example(text="text", spans=(span,)), (span,)
    answered: list[Answered] = [
        (row, SpansAnswer(spans=found if at % 4 else (), confidence=1.0)) for at in range(40)
    ]
    one, other = (measured_of(task("tag"), answered) for _ in range(2))
    assert one == other
    assert one.score == pytest.approx(60 / 70)
    assert 0.7 < one.interval.low < one.score < one.interval.high < 0.96


def card(num_rows: int, **more: Any) -> dict[str, Any]:
    """What a card says of a score."""
    found = {
        "measure": "accuracy",
        "score": 0.8889,
        "interval": {"low": 0.653, "high": 0.986},
        "num_rows": num_rows,
        **more,
    }
    return {"metrics": {"held_out": found}, "rows": {"is_refitted_on_all": False}}


def test_a_score_has_no_more_digits_than_its_rows_bear() -> None:
    """Whole per cents of few rows, one digit more of a thousand."""
    assert score_in_words(card(18)) == (
        "accuracy 89 % (95 % interval 65 to 99 %) on 18 rows held out"
    )
    assert "88.9 % (95 % interval 65.3 to 98.6 %) on 1,000 rows" in score_in_words(card(1000))
    assert "which also chose the epoch" in score_in_words(card(18, chose_epoch=True))
    assert "epoch" not in score_in_words(card(18, chose_epoch=False))
    assert "nothing is known" in score_in_words({"metrics": {}})
