"""The deletion test: the words that an explanation names are those that the model goes by."""

import random
from collections.abc import Sequence

import numpy as np
import pytest
from tests.conftest import SUPPORT_MAIL

from smallfirst.catalogue.loading import load_catalogue
from smallfirst.linear.explaining import explain
from smallfirst.linear.fitting import fitted
from smallfirst.linear.model import LinearModel

#: Words that are taken out, and how often as many are drawn at random.
NUM_WORDS, NUM_DRAWS = 2, 20


@pytest.fixture(scope="module")
def halves() -> tuple[LinearModel, list[str]]:
    """A model of half of the example's mails, and the texts of the other half."""
    task = load_catalogue(SUPPORT_MAIL / "catalogue.yaml").tasks["topic"]
    model = fitted(task.model_copy(update={"examples": task.examples[::2]})).model
    texts = [example.text for example in task.examples[1::2]]
    return model, [text for text in texts if len(text.split()) >= 3 * NUM_WORDS]


def without(text: str, places: Sequence[tuple[int, int]]) -> str:
    """A text without some stretches."""
    for start, end in sorted(places, reverse=True):
        text = text[:start] + text[end:]
    return text


def words_of(text: str) -> list[tuple[int, int]]:
    """Where the words stand that white space parts."""
    places, at = [], 0
    for word in text.split():
        at = text.index(word, at)
        places.append((at, at + len(word)))
        at += len(word)
    return places


def test_without_the_words_named_the_score_falls_further(
    halves: tuple[LinearModel, list[str]],
) -> None:
    """In nine texts of ten, and more than without as many words at random; texts it never saw."""
    model, texts = halves
    further = [_is_further(model, text) for text in texts]
    assert len(further) >= 150
    assert np.mean(further) >= 0.9


def _is_further(model: LinearModel, text: str) -> bool:
    [logits] = [model.logits(each) for each in model.weigh([text])]
    winner = int(logits.argmax())
    evidence = sorted(explain(model, text, winner).evidence, key=lambda each: -each.weight)
    named = [(each.start, each.end) for each in evidence[:NUM_WORDS]]
    # pytest-randomly seeds it, and prints the seed.
    drawn = [random.sample(words_of(text), NUM_WORDS) for _ in range(NUM_DRAWS)]
    left = [without(text, places) for places in (named, *drawn)]
    scores = [float(each[winner] - each.mean()) for each in map(model.logits, model.weigh(left))]
    return bool(scores[0] < np.mean(scores[1:]))
