"""Probabilities into answers of the contract, with a confidence that a threshold can be put on.

The confidence of an answer is that of its least sure decision: of the one label; of the yes or no
on any label; of any word's tag, words outside every span included, since a name that was overlooked
is as wrong as one that was made up.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from smallfirst.answers import Answer, Span, SpansAnswer, VectorAnswer
from smallfirst.kinds import HeadForm
from smallfirst.linear.label_answers import digits, label_answer, labels_answer
from smallfirst.linear.probabilities import normalise
from smallfirst_workers.encoding.states import TextStates
from smallfirst_workers.encoding.words import Tag, join_words
from smallfirst_workers.heads.explain import evidence, is_explained
from smallfirst_workers.heads.heads import Head


def embed(states: TextStates) -> VectorAnswer:
    """Answer a text's vector, of length 1."""
    return VectorAnswer(vector=tuple(digits(normalise(states.vector))))


def judge(
    form: HeadForm, head: Head, states: TextStates, *, explains: bool, known: Sequence[Span] = ()
) -> Answer:
    """Answer a task that has labels.

    Args:
        form: How the head answers, by the kind of the task.
        head: The task's.
        states: Of the text, with its words where they are tagged or explained.
        explains: Whether the words that drove the answer are wanted.
        known: Spans of an earlier step. A tagger says nothing of the words in them, and need not
            be sure of any.
    """
    if form is HeadForm.WORDS:
        return _spans(head, states, known)
    probabilities = head.of_text(states)
    winner = int(probabilities.argmax())
    words = evidence(head, states, winner) if explains and is_explained(head) else ()
    if form is HeadForm.EACH:
        return labels_answer(head.labels, probabilities, words)
    return label_answer(head.labels, probabilities, words)


def _spans(head: Head, states: TextStates, known: Sequence[Span]) -> SpansAnswer:
    """The stretches whose words bear a label; a text that is known all through has no more."""
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
