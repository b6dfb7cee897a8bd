"""Votes: several answers to one question, and what they say together. Pure.

Each way takes at least one answer, and how many were asked for: one that was no answer is a vote
for nothing. Where equals have the same votes, the first wins. Which way a kind votes by is its own
business.

How often a model says the same when it is asked again tells more of how sure it is than the
probability of one sample. Source: Wang et al., Self-Consistency Improves Chain of Thought Reasoning
in Language Models, 2022.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TypeVar

from pydantic import JsonValue

from smallfirst.answers import LabelAnswer, RecordAnswer, TextAnswer, rounded, rounded_distribution
from smallfirst.wire import Wire

AnswerT = TypeVar("AnswerT", bound=Wire)

_WORDS = re.compile(r"\w+")


def mean_label(answers: Sequence[LabelAnswer]) -> LabelAnswer:
    """Average the distributions that several thoughts led to, and name the likeliest label.

    One without a distribution is of a model that has broken down: then nothing is sure at all.
    """
    if not all(answer.distribution for answer in answers):
        return answers[0].model_copy(update={"confidence": 0.0, "distribution": {}})
    labels = list(answers[0].distribution)
    sums = {label: sum(answer.distribution[label] for answer in answers) for label in labels}
    mean = rounded_distribution({label: total / len(answers) for label, total in sums.items()})
    best = max(mean, key=mean.__getitem__)
    return LabelAnswer(label=best, confidence=mean[best], distribution=mean)


def likeness(one: str, other: str) -> float:
    """Compare two texts by the words they share, from 0 to 1: the F1 of their words, each counted.

    Source: as ROUGE-1 does, Lin, ROUGE: A Package for Automatic Evaluation of Summaries, 2004.
    """
    mine, theirs = (Counter(_WORDS.findall(text.lower())) for text in (one, other))
    shared, whole = (mine & theirs).total(), mine.total() + theirs.total()
    return 2 * shared / whole if whole else float(one == other)


def middle_text(texts: Sequence[TextAnswer], num_asked: int) -> TextAnswer:
    """Take the text most like the others, as sure as it is like them on average.

    Source: Kumar and Byrne, Minimum Bayes-Risk Decoding for Statistical Machine Translation, 2004.
    """
    sums = [
        sum(likeness(one.text, other.text) for place, other in enumerate(texts) if place != mine)
        for mine, one in enumerate(texts)
    ]
    best = max(range(len(texts)), key=sums.__getitem__)
    confidence = sums[best] / max(1, num_asked - 1)
    return texts[best].model_copy(update={"confidence": rounded(confidence)})


def field_by_field(records: Sequence[RecordAnswer], num_asked: int) -> RecordAnswer:
    """Take each field's commonest value; the record is as sure as the field agreed on least."""
    chosen: dict[str, JsonValue] = {}
    least = 1.0
    for name in records[0].record:
        values = [answer.record[name] for answer in records]
        winner, count = Counter(map(_written, values)).most_common(1)[0]
        chosen[name] = next(value for value in values if _written(value) == winner)
        least = min(least, count / num_asked)
    return RecordAnswer(record=chosen, confidence=rounded(least))


def commonest(answers: Sequence[AnswerT], num_asked: int) -> AnswerT:
    """Take the answer that was given most often, as sure as the share that gave it."""
    said = [_written(_without_confidence(answer)) for answer in answers]
    winner, count = Counter(said).most_common(1)[0]
    chosen = answers[said.index(winner)]
    return chosen.model_copy(update={"confidence": rounded(count / num_asked)})


def _without_confidence(answer: Wire) -> Mapping[str, JsonValue]:
    """What an answer says, without how sure it is."""
    dumped: Mapping[str, JsonValue] = answer.model_dump(
        exclude={"confidence", "distribution", "evidence"}, mode="json"
    )
    return dumped


def _written(value: object) -> str:
    return json.dumps(value, sort_keys=True)
