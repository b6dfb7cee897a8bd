"""Which words drove an answer, by leaving them out: for models whose judgement is no sum.

A text is cut into parts, words or groups of them; the model reads it once without each, all of them
in one batch, and a part weighs what the label's log-odds lose without it. It holds for whatever a
model computes, and costs a reading for each part: the job that asks for it pays for these tokens.

Source: Zeiler and Fergus 2014, "Visualizing and understanding convolutional networks", section 4;
Li et al. 2016, "Understanding neural networks through representation erasure", arXiv:1612.08220.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smallfirst.answers import DIGITS, Explanation, ExplanationMethod, Reasons
from smallfirst.linear.explaining import heaviest
from smallfirst.linear.probabilities import Floats
from smallfirst_workers.encoding.encoder import Encoder
from smallfirst_workers.encoding.states import TextStates
from smallfirst_workers.encoding.words import find_words
from smallfirst_workers.heads.heads import Head

#: The most parts that are left out of one text, each alone.
MAX_PARTS: Final = 64
#: The most tokens that one text's readings have together: some seconds of one core. A long text has
#: fewer and longer parts.
MAX_TOKENS: Final = 8_192
#: No probability counts as nearer to 0 or 1: what is further is a model's rounding.
_LEAST: Final = 1e-6


@dataclass(frozen=True)
class Question:
    """A text that was answered, and is to be explained.

    Attributes:
        states: What the model made of it.
        head: What judged it.
    """

    states: TextStates
    head: Head


@dataclass(frozen=True)
class Occluded:
    """What leaving words out came to.

    Attributes:
        reasons: None where a text has no two parts.
        num_tokens: That the model read for it.
    """

    reasons: Reasons | None
    num_tokens: int


def occlude(encoder: Encoder, asked: Sequence[Question]) -> tuple[list[Occluded], int]:
    """Explain answers in one batch of readings.

    Returns:
        What it came to for each, and how many positions were computed.
    """
    parts = [parts_of(one.states.text, one.states.num_tokens) for one in asked]
    texts = [
        without(one.states.text, *part)
        for one, places in zip(asked, parts, strict=True)
        for part in places.tolist()
    ]
    if not texts:
        return [Occluded(None, 0)] * len(asked), 0
    states, positions = encoder.read(texts, wants_words=[False] * len(texts))
    ends = np.cumsum([len(places) for places in parts])[:-1]
    groups = np.split(np.arange(len(states)), ends)
    found = [
        _occluded(one, places, [states[number] for number in group])
        for one, places, group in zip(asked, parts, groups, strict=True)
    ]
    return found, positions


def parts_of(text: str, num_tokens: int) -> NDArray[np.int64]:
    """Cut a text of so many tokens into parts of like numbers of words: `(parts, 2)`.

    None where there are no two: without all of its words nothing is left to be judged.
    """
    words = find_words(text)
    num_parts = min(len(words), MAX_PARTS, MAX_TOKENS // max(1, num_tokens))
    if num_parts < 2:
        return np.zeros((0, 2), np.int64)
    groups = np.array_split(np.arange(len(words)), num_parts)
    return np.array([(words[own[0], 0], words[own[-1], 1]) for own in groups], np.int64)


def without(text: str, start: int, end: int) -> str:
    """A text without one of its parts."""
    return text[:start] + text[end:]


def _occluded(one: Question, places: NDArray[np.int64], states: Sequence[TextStates]) -> Occluded:
    num_tokens = sum(each.num_tokens for each in states)
    # A text may be left that holds nothing that the model reads; nothing can be said of that part.
    read = [number for number, each in enumerate(states) if not each.is_empty]
    if not read:
        return Occluded(None, num_tokens)
    [whole] = log_odds(one.head.of_texts([one.states]))
    winner = int(whole.argmax())
    left = log_odds(one.head.of_texts([states[number] for number in read]))
    explanation = Explanation(
        method=ExplanationMethod.OCCLUSION,
        label=one.head.labels[winner],
        score=round(float(whole[winner]), DIGITS),
    )
    evidence = heaviest(places[read], whole[winner] - left[:, winner])
    return Occluded(Reasons(evidence, explanation), num_tokens)


def log_odds(probabilities: Floats) -> NDArray[np.float64]:
    """How much likelier each is than not, as a logarithm: of any shape."""
    likely = probabilities.astype(np.float64).clip(_LEAST, 1 - _LEAST)
    return np.asarray(np.log(likely) - np.log1p(-likely))
