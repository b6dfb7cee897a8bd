"""Which words drove a linear model's answer: all of its margin is shared out."""

import numpy as np
import pytest

from smallfirst.linear.explaining import MAX_EVIDENCE, evidence, weights_of_characters
from smallfirst.linear.model import LinearModel

TEXTS = ("Where is my REFUND, my refund?", " the  parcel ", "Stra\u00dfe: \u0130nvoice price", "x")


@pytest.mark.parametrize("text", TEXTS)
def test_the_parts_sum_to_the_margin(model: LinearModel, text: str) -> None:
    """What the characters have and the bias are the logit, less the mean of all logits."""
    [weighed] = model.weigh([text])
    logits, bias = model.logits(weighed), model.bias
    for winner in range(len(model.labels)):
        wanted = (logits - bias)[winner] - (logits - bias).mean()
        assert weights_of_characters(model, text, winner).sum() == pytest.approx(wanted, abs=1e-5)


def test_the_word_that_decided_is_named(model: LinearModel) -> None:
    """The word that only one label's examples have weighs most, and for it."""
    text = "Where is my refund?"
    words = evidence(model, text, model.labels.index("billing"))
    heaviest = max(words, key=lambda each: each.weight)
    assert text[heaviest.start : heaviest.end] == "refund"
    assert words == tuple(sorted(words, key=lambda each: each.start))


def test_no_more_words_are_named_than_people_read(model: LinearModel) -> None:
    """However long the text."""
    assert len(evidence(model, "where is the parcel and the invoice " * 50, 0)) == MAX_EVIDENCE
    assert evidence(model, "?!", 0) == ()
    assert np.isfinite(weights_of_characters(model, "?!", 0)).all()
