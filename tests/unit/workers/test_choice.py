"""Laws of what answers a step whose examples make a linear model and a head."""

import numpy as np

from smallfirst.kinds import HeadForm
from smallfirst.linear.regression import LeftOut
from smallfirst_workers.heads.choice import Way, choose
from smallfirst_workers.heads.means import mean_of

#: Two labels, in turn.
TRUTH = np.eye(2, dtype=np.bool_)[np.arange(400) % 2]


def said(wrong: slice, sure: float = 2.0) -> LeftOut:
    """What a model said that was wrong on some rows, always as sure."""
    logits = np.where(TRUTH, sure, -sure).astype(np.float32)
    logits[wrong] *= -0.5
    return LeftOut(np.arange(400), logits)


def test_a_mean_answers_where_models_are_wrong_on_different_rows() -> None:
    """Both are wrong on a tenth of the rows, unsurely; together they are right on all."""
    found = choose(HeadForm.CHOICE, TRUTH, said(slice(0, 40)), said(slice(40, 80)))

    assert found.way is Way.MEAN
    assert found.weight == 0.5
    assert found.figures[Way.MEAN].right == 1.0
    assert found.figures[Way.LINEAR].right == found.figures[Way.HEAD].right == 0.9


def test_what_is_simpler_and_better_is_not_averaged() -> None:
    """A model that is always right and surer answers alone, whichever it is."""
    good, bad = said(slice(0), sure=4.0), said(slice(0, 300))

    assert choose(HeadForm.CHOICE, TRUTH, good, bad).way is Way.LINEAR
    assert choose(HeadForm.CHOICE, TRUTH, bad, good).way is Way.HEAD


def test_of_equals_the_simplest_answers() -> None:
    """Where all say the same, there is nothing to average."""
    assert choose(HeadForm.CHOICE, TRUTH, said(slice(9)), said(slice(9))).way is Way.LINEAR


def test_a_mean_is_a_distribution_whatever_its_parts_say() -> None:
    """It sums to one, lies between its parts, and no zero decides alone."""
    parts = [np.array([1.0, 0.0, 0.0], np.float32), np.array([0.2, 0.5, 0.3], np.float32)]

    shared = mean_of(HeadForm.CHOICE, parts, (0.5, 0.5))
    each = mean_of(HeadForm.EACH, parts, (0.5, 0.5))

    assert np.isclose(shared.sum(), 1)
    assert (shared > 0).all()
    assert ((each > 0) & (each < 1)).all()
    assert np.allclose(mean_of(HeadForm.CHOICE, parts, (0.0, 1.0)), parts[1])
