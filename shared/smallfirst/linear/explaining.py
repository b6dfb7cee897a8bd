"""Which words drove a linear model's answer, exactly: its logits are sums over features.

A softmax answers to differences only, so a feature's part is its term in the winner's logit less
its term in the mean of all logits; where labels are judged each for itself, its term in the
likeliest label's logit. A feature's part is shared evenly among the places where it stands, and
there among its characters; a word has the parts of its characters. What stands between words, and
the bias, hold the rest.
"""

import re
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from smallfirst.answers import (
    DIGITS,
    MAX_EVIDENCE,
    Evidence,
    Explanation,
    ExplanationMethod,
    Reasons,
)
from smallfirst.kinds import HeadForm
from smallfirst.linear.features import placed_features
from smallfirst.linear.model import LinearModel
from smallfirst.linear.probabilities import Floats

_WORD: Final = re.compile(r"\w+")


class Sum(NamedTuple):
    """A score that is a sum over words, and what else it has.

    Attributes:
        places: `(words, 2)`: start and end of each.
        weights: `(words,)`: each word's part.
        bias: What the label has before a word is read.
        score: All of it.
    """

    places: NDArray[np.int64]
    weights: NDArray[np.floating]
    bias: float
    score: float


def explain(model: LinearModel, text: str, winner: int) -> Reasons:
    """Name the words with most weight for or against an output, and what the others add up to."""
    weights = weights_of_characters(model, text, winner)
    words = np.array([match.span() for match in _WORD.finditer(text)], np.int64).reshape(-1, 2)
    until = np.concatenate([[0.0], np.cumsum(weights)])
    own = until[words[:, 1]] - until[words[:, 0]]
    bias = bias_of(model.form, model.bias, winner)
    found = Sum(words, own, bias, bias + float(weights.sum()))
    return reasons_of(found, ExplanationMethod.WEIGHTS, model.labels[winner])


def bias_of(form: HeadForm | None, bias: Floats, winner: int) -> float:
    """What an output's margin has without a word: `bias` is `(outputs,)`."""
    return float(bias[winner]) - (float(bias.mean()) if form is HeadForm.CHOICE else 0.0)


def reasons_of(found: Sum, method: ExplanationMethod, label: str) -> Reasons:
    """Tell of a sum what people read: the heaviest words, and all the others together."""
    evidence = heaviest(found.places, found.weights)
    named = sum(each.weight for each in evidence)
    score, bias = round(found.score, DIGITS), round(found.bias, DIGITS)
    rest = round(score - bias - named, DIGITS)
    return Reasons(
        evidence,
        Explanation(method=method, label=label, score=score, bias=bias, rest=rest),
    )


def heaviest(places: NDArray[np.int64], weights: NDArray[np.floating]) -> tuple[Evidence, ...]:
    """Choose the words `(words, 2)` with most weight, for or against, in order of the text."""
    top = sorted(np.argsort(-np.abs(weights), kind="stable")[:MAX_EVIDENCE])
    return tuple(
        Evidence(
            start=int(places[number, 0]),
            end=int(places[number, 1]),
            weight=round(float(weights[number]), DIGITS),
        )
        for number in top
    )


def weights_of_characters(model: LinearModel, text: str, winner: int) -> NDArray[np.float64]:
    """Share out the margin of an output, less its bias: `(characters,)`."""
    terms = _terms(model, text, winner)
    changes = np.zeros(len(text) + 1, np.float64)
    for known, placed in zip(model.columns, placed_features(text), strict=True):
        found = (known.get(name, -1) for name in placed.names)
        columns = np.fromiter(found, np.int64, len(placed.names))
        is_known = columns >= 0
        columns, starts, ends = columns[is_known], placed.starts[is_known], placed.ends[is_known]
        often = np.bincount(columns, minlength=len(terms))[columns]
        shares = terms[columns] / often / (ends - starts)
        # Each share lasts from its start to its end: summed up, a character has all that cover it.
        np.add.at(changes, starts, shares)
        np.add.at(changes, ends, -shares)
    return np.asarray(np.cumsum(changes)[:-1])


def _terms(model: LinearModel, text: str, winner: int) -> NDArray[np.float64]:
    """What each feature of a text adds to the margin: `(features,)`."""
    [weighed] = model.weigh([text])
    weights = model.weights[weighed.columns]
    own = weights[:, winner]
    margins = own - weights.mean(axis=1) if model.form is HeadForm.CHOICE else own
    terms = np.zeros(len(model.idf), np.float64)
    terms[weighed.columns] = weighed.values * margins
    return terms
