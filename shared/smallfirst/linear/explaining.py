"""Which words drove a linear model's answer, exactly: its logits are sums over features.

A softmax answers to differences only, so a feature's part is its term in the winner's logit less
its term in the mean of all logits; where labels are judged each for itself, its term in the
likeliest label's logit. A feature's part is shared evenly among the places where it stands, and
there among its characters; a word has the parts of its characters. What stands between words, and
the bias, hold the rest.
"""

import re
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smallfirst.answers import DIGITS, Evidence
from smallfirst.kinds import HeadForm
from smallfirst.linear.features import placed_features
from smallfirst.linear.model import LinearModel

#: How many words an answer names. Fewer than a screen has lines; enough to see a reason.
MAX_EVIDENCE: Final = 8
_WORD: Final = re.compile(r"\w+")


def evidence(model: LinearModel, text: str, winner: int) -> tuple[Evidence, ...]:
    """Name the words with most weight for or against an output, in order of the text."""
    weights = weights_of_characters(model, text, winner)
    words = [match.span() for match in _WORD.finditer(text)]
    starts, ends = np.array(words, np.int64).reshape(-1, 2).T
    until = np.concatenate([[0.0], np.cumsum(weights)])
    sums = until[ends] - until[starts]
    top = sorted(np.argsort(-np.abs(sums), kind="stable")[:MAX_EVIDENCE]) if words else []
    return tuple(
        Evidence(start=words[n][0], end=words[n][1], weight=round(float(sums[n]), DIGITS))
        for n in top
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
