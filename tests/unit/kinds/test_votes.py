"""Votes: what several answers to one question say together, and how sure that is."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallfirst.answers import LabelAnswer, LabelsAnswer, RecordAnswer, TextAnswer
from smallfirst.catalogue import Kind
from smallfirst.kinds import prompting_of
from smallfirst.kinds.votes import likeness, mean_label


def texts(*said: str) -> list[TextAnswer]:
    """Make an answer of each text."""
    return [TextAnswer(text=text, confidence=0.5) for text in said]


def verdict(said: str, quote: str, confidence: float) -> RecordAnswer:
    """Make a verdict; one without its quote has no confidence."""
    return RecordAnswer(record={"verdict": said, "quote": quote}, confidence=confidence)


@pytest.mark.parametrize(
    ("said", "num_asked", "winner", "confidence"),
    [
        (("red fox", "grey wolf", "red fox"), 3, "red fox", 1 / 2),
        (("red fox", "red fox"), 2, "red fox", 1),
        (("a red fox", "the red fox ran", "red fox"), 3, "red fox", (4 / 5 + 4 / 6) / 2),
        (("red fox",), 3, "red fox", 0),
        (("red fox", "red fox"), 5, "red fox", 1 / 4),
    ],
)
def test_the_text_most_like_the_others_stands(
    said: Sequence[str], num_asked: int, winner: str, confidence: float
) -> None:
    """Free text is as sure as it is like the others; one that was no answer is like none."""
    answer = prompting_of(Kind.GENERATE).vote(texts(*said), num_asked)

    assert isinstance(answer, TextAnswer)
    assert answer.text == winner
    assert answer.confidence == pytest.approx(confidence, abs=1e-6)


@given(st.text(max_size=40), st.text(max_size=40))
def test_likeness_is_a_share_and_the_same_both_ways(one: str, other: str) -> None:
    """It lies between 0 and 1, is symmetric, and full for a text and itself."""
    assert 0.0 <= likeness(one, other) <= 1.0
    assert likeness(one, other) == likeness(other, one)
    assert likeness(one, one) == 1.0


def test_a_record_is_voted_on_field_by_field() -> None:
    """Each field takes its commonest value, and the one agreed on least decides how sure it is."""
    answers = [
        RecordAnswer(record={"total": total, "due": due}, confidence=0.9)
        for total, due in ((5, "x"), (7, None), (5, None))
    ]

    answer = prompting_of(Kind.EXTRACT).vote(answers, 4)

    assert isinstance(answer, RecordAnswer)
    assert answer.record == {"total": 5, "due": None}
    assert answer.confidence == 0.5


def test_a_verdict_counts_whatever_it_quotes() -> None:
    """The same verdict with other quotes is one vote more, and the surest quote is kept."""
    answers = [verdict("yes", "a", 0.6), verdict("no", "b", 0.9), verdict("yes", "c", 0.7)]

    answer = prompting_of(Kind.JUDGE).vote(answers, 3)

    assert isinstance(answer, RecordAnswer)
    assert answer.record == {"verdict": "yes", "quote": "c"}
    assert answer.confidence == pytest.approx(2 / 3, abs=1e-6)


def test_verdicts_without_their_quote_do_not_get_sure_by_numbers() -> None:
    """Three verdicts that rest on nothing are as sure as one."""
    answers = [verdict("yes", "made up", 0.0)] * 3

    assert prompting_of(Kind.JUDGE).vote(answers, 3).confidence == 0.0


def test_of_sets_of_labels_the_commonest_stands() -> None:
    """The first of equals wins, as sure as the share that gave it."""
    answers = [LabelsAnswer(labels=labels, confidence=0.2) for labels in (("a",), (), (), ("a",))]

    answer = prompting_of(Kind.MULTILABEL).vote(answers, 4)

    assert isinstance(answer, LabelsAnswer)
    assert (answer.labels, answer.confidence) == (("a",), 0.5)


def test_labels_of_several_thoughts_are_averaged() -> None:
    """Each thought gives a distribution, and their mean is the answer's."""
    answers = [
        LabelAnswer(label="up", confidence=up, distribution={"up": up, "down": 1 - up})
        for up in (0.9, 0.2, 0.1)
    ]

    answer = mean_label(answers)

    assert answer.label == "down"
    assert answer.distribution == {"up": 0.4, "down": 0.6}
    assert answer.confidence == 0.6


def test_the_mean_of_many_labels_sums_to_one() -> None:
    """Of 200 labels too, each of which is rounded."""
    even = {str(n): 1 / 199 for n in range(199)} | {"best": 0.0}
    sure = dict.fromkeys(even, 0.0) | {"best": 1.0}
    answers = [
        LabelAnswer(label="best", confidence=0.0, distribution=each) for each in (even, even, sure)
    ]

    answer = mean_label(answers)

    assert sum(answer.distribution.values()) == pytest.approx(1.0, abs=1e-9)
    assert answer.confidence == answer.distribution["best"] == pytest.approx(1 / 3, abs=1e-6)


def test_a_thought_that_led_to_nothing_leaves_the_mean_unsure() -> None:
    """A model that has broken down once is not to be averaged with itself."""
    sure = LabelAnswer(label="a", confidence=0.9, distribution={"a": 0.9, "b": 0.1})
    broken = LabelAnswer(label="a", confidence=0.0)
    assert mean_label([sure, broken]) == mean_label([broken, sure]) == broken
