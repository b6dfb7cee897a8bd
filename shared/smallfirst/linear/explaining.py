"""Which words drove a linear model's answer, exactly: its logits are sums over features.

A softmax answers to differences only, so a feature's part is its term in the winner's logit less
its term in the mean of all logits; where labels are judged each for itself, its term in the
likeliest label's logit. A feature's part is shared evenly among the places where it stands, and
there among its characters; a word has the parts of its characters. What stands between words, and
the bias, hold the rest.
"""

import re
from collections import Counter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smallfirst.answers import DIGITS
from smallfirst.jobs import Evidence
from smallfirst.kinds import HeadForm
from smallfirst.linear.features import placed_features
from smallfirst.linear.model import LinearModel, Weighed

#: How many words an answer names. Fewer than a screen has lines; enough to see a reason.
MAX_EVIDENCE: Final = 8
_WORD: Final = re.compile(r"\w+")


def evidence(model: LinearModel, text: str, winner: int) -> tuple[Evidence, ...]:
    """Name the words with most weight for or against an output, in order of the text."""
    weights = weights_of_characters(model, text, winner)
    words = [match.span() for match in _WORD.finditer(text)]
    sums = np.array([weights[start:end].sum() for start, end in words])
    top = sorted(np.argsort(-np.abs(sums), kind="stable")[:MAX_EVIDENCE]) if words else []
    return tuple(
        Evidence(start=words[n][0], end=words[n][1], weight=round(float(sums[n]), DIGITS))
        for n in top
    )


def weights_of_characters(model: LinearModel, text: str, winner: int) -> NDArray[np.float64]:
    """Share out the margin of an output, less its bias: `(characters,)`."""
    shares = np.zeros(len(text), np.float64)
    terms = _terms(model, model.weigh(text), winner)
    for known, features in zip(model.columns, placed_features(text), strict=True):
        places = [(each, known[each.name]) for each in features if each.name in known]
        often = Counter(column for _, column in places)
        for each, column in places:
            size = each.end - each.start
            shares[each.start : each.end] += terms[column] / often[column] / size
    return shares


def _terms(model: LinearModel, weighed: Weighed, winner: int) -> dict[int, float]:
    """What the feature of each column adds to the margin."""
    weights = model.weights[weighed.columns]
    own = weights[:, winner]
    margins = own - weights.mean(axis=1) if model.form is HeadForm.CHOICE else own
    return dict(zip(weighed.columns.tolist(), (weighed.values * margins).tolist(), strict=True))
