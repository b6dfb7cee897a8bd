"""Probabilities into answers of the contract, with a confidence that a threshold can be put on.

The confidence of an answer is that of its least sure decision: of the one label; of the yes or no
on any label; of any word's tag, words outside every span included, since a name that was overlooked
is as wrong as one that was made up.
"""

from collections.abc import Collection, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from smallfirst.answers import (
    LabelAnswer,
    LabelsAnswer,
    Span,
    SpansAnswer,
    VectorAnswer,
    with_reasons,
)
from smallfirst.kinds import HeadForm
from smallfirst.linear.distributions import rounded_rows
from smallfirst.linear.label_answers import digits, labels_answer, whole_answers
from smallfirst.linear.probabilities import Floats, normalise
from smallfirst_workers.encoding.states import TextStates
from smallfirst_workers.encoding.words import Tag, join_words
from smallfirst_workers.heads.explain import explain, is_explained
from smallfirst_workers.heads.heads import Head


def embed(states: TextStates) -> VectorAnswer:
    """Answer a text's vector, of length 1."""
    return VectorAnswer(vector=tuple(digits(normalise(states.vector))))


def label(
    form: HeadForm, head: Head, states: Sequence[TextStates], explained: Collection[int]
) -> Sequence[LabelAnswer | LabelsAnswer]:
    """Answer texts that get labels as a whole.

    Args:
        form: How the head answers, by the kind of the task.
        head: The task's.
        states: Of at least one text, with the words of those that are explained.
        explained: The numbers of those that are answered with the words that drove the answer.
    """
    probabilities = head.of_texts(states)
    answers = _answers(form, head, probabilities)
    if is_explained(head):
        for number in explained:
            reasons = explain(head, states[number], int(probabilities[number].argmax()))
            if reasons is not None:
                answers[number] = with_reasons(answers[number], reasons)
    return answers


def _answers(form: HeadForm, head: Head, probabilities: Floats) -> list[LabelAnswer | LabelsAnswer]:
    if form is HeadForm.EACH:
        return [labels_answer(head.labels, row) for row in probabilities]
    return [*whole_answers(head.labels, rounded_rows(probabilities.astype(np.float64)))]


def tag(head: Head, states: TextStates, known: Sequence[Span]) -> SpansAnswer:
    """Find the stretches whose words bear a label.

    Args:
        head: The task's.
        states: Of the text, with its words.
        known: Spans of an earlier step. Nothing is said of the words in them, and nobody need be
            sure of any; a text that is known all through has no more.
    """
    if states.words is None:
        raise AssertionError("tagging needs the words' states")
    judged = head.of_words(states.text, states.words)
    names = (None, *head.labels)
    tags = [
        Tag(names[number], confidence, begins)
        for number, confidence, begins in zip(
            judged.outputs.tolist(),
            digits(judged.probabilities),
            judged.begins.tolist(),
            strict=True,
        )
    ]
    for number in _words_within(states.words.places, known):
        tags[number] = Tag(None, 1.0)
    spans: tuple[Span, ...] = join_words(states.text, states.words.places, tags)
    return SpansAnswer(spans=spans, confidence=min((tag.confidence for tag in tags), default=0.0))


def _words_within(places: NDArray[np.int64], known: Sequence[Span]) -> Iterator[int]:
    """Number the words, of places `(words, 2)`, that a known span covers or cuts."""
    for span in known:
        touched = (places[:, 0] < span.end) & (places[:, 1] > span.start)
        yield from np.flatnonzero(touched).tolist()
