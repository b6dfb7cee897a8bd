"""How likely each label was, from the tokens that an endpoint says it wrote. Pure.

An endpoint tells the probability of each token it wrote, and of a few others that might have stood
in its place. Token by token, what leads on to a label is that label's; what may lead to several is
shared by them evenly. A label that nothing leads to was no likelier than the least likely token
that is told of: it is given that much, so that what is not known speaks against an answer and never
for it. A label's words alone count; quotes and braces around them do not, save the quote that ends
a label with which another one begins.

Some servers tell the probabilities among what the schema allows (vLLM 0.32 does), others among all
tokens there are: normalised over the labels, both are a distribution.
"""

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Token:
    """One token that was written.

    Attributes:
        text: All of them joined are the whole answer.
        logprob: Natural.
        others: What might have stood there, with its natural logprob; the token itself may be among
            it.
    """

    text: str
    logprob: float
    others: tuple[tuple[str, float], ...] = ()

    @property
    def options(self) -> dict[str, float]:
        """All that is told of, with its probability."""
        told = {text: math.exp(logprob) for text, logprob in self.others}
        return told | {self.text: math.exp(self.logprob)}


@dataclass(frozen=True)
class Place:
    """A token of the answer: where it begins and ends in it, in characters."""

    token: Token
    start: int
    end: int


def distribution(
    label: str, labels: Sequence[str], tokens: Sequence[Token], start: int, end: int
) -> dict[str, float]:
    """Tell every label's probability.

    Args:
        label: The one that was said.
        labels: All there are.
        tokens: The whole answer.
        start: Where the label begins in the answer, in characters, behind its quote.
        end: Where it ends, before its quote.

    Returns:
        Probabilities that sum to 1; empty where the tokens tell nothing.
    """
    answers = _answers(label, labels, tokens, start, end)
    parts = {each: _parting(answers[each], answers[label]) for each in labels if each != label}
    counted = end + (end in parts.values())
    weights: dict[str, float] = {}
    reached = 1.0
    for place in _places(tokens, start, counted):
        leaving = [each for each, part in parts.items() if place.start <= part < place.end]
        running = {each: answers[each] for each in labels if each not in weights}
        shares = _shares(place, running, leaving)
        weights |= {each: reached * shares[each] for each in leaving}
        reached *= sum(shares[each] for each in running if each not in leaving)
    weights[label] = reached
    whole = sum(weights.values())
    return {each: weights[each] / whole for each in labels} if whole > 0 else {}


def _answers(
    label: str, labels: Sequence[str], tokens: Sequence[Token], start: int, end: int
) -> dict[str, str]:
    """Write the answer up to the closing quote, as it is and as it would be for other labels."""
    written = "".join(token.text for token in tokens)
    before = written[:start]
    answers = {each: before + json.dumps(each, ensure_ascii=False)[1:] for each in labels}
    return answers | {label: written[: end + 1]}


def _parting(one: str, other: str) -> int:
    """The character at which two answers part; both end in a quote, so one never ends the other."""
    return next(n for n, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1])


def _places(tokens: Sequence[Token], start: int, end: int) -> Iterator[Place]:
    """The tokens that touch the characters from `start` to `end`."""
    at = 0
    for token in tokens:
        after = at + len(token.text)
        if at < end and after > start:
            yield Place(token, at, after)
        at = after


def _shares(
    place: Place, running: Mapping[str, str], leaving: Sequence[str]
) -> Mapping[str, float]:
    """Share out the probability that is told of at one token.

    Args:
        place: The token.
        running: Answers that are the same as the written one, up to here.
        leaving: Those of them that are not the same any more behind it.
    """
    shares: dict[str, float] = defaultdict(float)
    options = place.token.options
    for text, probability in options.items():
        fitting = [each for each, answer in running.items() if _leads(text, answer[place.start :])]
        for each in fitting:
            shares[each] += probability / len(fitting)
    unseen = [each for each in leaving if each not in shares]
    left = max(0.0, 1.0 - sum(options.values()))
    for each in unseen:
        shares[each] = min(*options.values(), left / len(unseen))
    return shares


def _leads(text: str, rest: str) -> bool:
    """Whether a token may be the next of what is still to be written, or more than that."""
    return rest.startswith(text) or text.startswith(rest)
