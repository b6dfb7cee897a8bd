"""Which words drove a linear model's answer: all of its margin is shared out."""

import numpy as np
import pytest

from smallfirst.answers import MAX_EVIDENCE
from smallfirst.linear.explaining import explain, weights_of_characters
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


@pytest.mark.parametrize("text", [*TEXTS, "the parcel and the invoice, where are they? " * 30])
def test_an_answer_tells_all_of_its_score(model: LinearModel, text: str) -> None:
    """The words named, the others and the bias are the margin that decided, to the last digit."""
    [logits] = [model.logits(each) for each in model.weigh([text])]
    for winner in range(len(model.labels)):
        evidence, told = explain(model, text, winner)
        assert told.score == pytest.approx(logits[winner] - logits.mean(), abs=1e-4)
        assert told.bias is not None
        assert told.rest is not None
        named = sum(each.weight for each in evidence)
        assert named + told.rest + told.bias == pytest.approx(told.score, abs=1e-5)
        assert (told.method, told.label) == ("weights", model.labels[winner])


def test_the_word_that_decided_is_named(model: LinearModel) -> None:
    """The word that only one label's examples have weighs most, and for it."""
    text = "Where is my refund?"
    words = explain(model, text, model.labels.index("billing")).evidence
    heaviest = max(words, key=lambda each: each.weight)
    assert text[heaviest.start : heaviest.end] == "refund"
    assert words == tuple(sorted(words, key=lambda each: each.start))


def test_no_more_words_are_named_than_people_read(model: LinearModel) -> None:
    """However long the text."""
    long = explain(model, "where is the parcel and the invoice " * 50, 0)
    assert len(long.evidence) == MAX_EVIDENCE
    assert explain(model, "?!", 0).evidence == ()
    assert np.isfinite(weights_of_characters(model, "?!", 0)).all()
