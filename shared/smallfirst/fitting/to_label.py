"""What to label next: chooses among texts without labels those that would teach a task most."""

from collections.abc import Sequence
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from smallfirst.catalogue import Example, Task
from smallfirst.catalogue.likeness import clusters_of
from smallfirst.catalogue.model_tasks import examples_problem
from smallfirst.fitting.telling import most_telling, one_of_each, similarities, unsureness
from smallfirst.fitting.unlabelled import MOST_COMPARED, Texts, Unlabelled
from smallfirst.kinds import KINDS, HeadForm
from smallfirst.linear.fitting import NothingShared, fitted, weighed
from smallfirst.linear.messages import text_read
from smallfirst.linear.probabilities import Floats

#: A text of which a model is sure still counts for so much: models are wrong, too, where sure.
_LEAST_WEIGHT: Final = 0.05


class ReadsVectors(Protocol):
    """Whoever places texts so that those that mean the same are near each other."""

    def __call__(self, texts: Sequence[str]) -> Any:
        """Give vectors of length 1: `(texts, width)`, an array or a sparse matrix."""


def to_label(
    pool: Texts, labelled: Sequence[Example], task: Task, count: int, vectors_of: ReadsVectors
) -> tuple[Unlabelled, ...]:
    """Choose what to label next, the most telling first.

    Args:
        pool: Texts without labels.
        labelled: What is told already; may be none. A model learns from those that have an answer.
        task: With its labels.
        count: How many to choose.
        vectors_of: Places all texts.
    """
    texts = [text_read(task, text) for text in pool.texts]
    known = [text_read(task, each.text) for each in labelled[:MOST_COMPARED]]
    weights = _weights(texts, labelled, task) * np.array(pool.counts, np.float32)
    kept, weights = _new(texts, known, weights)
    if not len(kept):
        return ()
    vectors = vectors_of([*(texts[at] for at in kept), *known])
    own, others = vectors[: len(kept)], vectors[len(kept) :]
    covered = np.zeros(len(kept), np.float32)
    if known:
        covered = similarities(own, others).max(axis=1)
    chosen = most_telling(similarities(own, own), covered, weights, count)
    return tuple(pool.rows[kept[at]] for at in chosen)


def _new(
    texts: Sequence[str], known: Sequence[str], weights: Floats
) -> tuple[NDArray[np.int64], Floats]:
    """The places of texts that are like no known one, one of those that are alike, and weights."""
    is_known = np.arange(len(texts) + len(known)) >= len(texts)
    padded = np.concatenate([weights, np.zeros(len(known), np.float32)])
    return one_of_each(clusters_of([*texts, *known]), padded, is_known)


def _weights(texts: Sequence[str], labelled: Sequence[Example], task: Task) -> Floats:
    """How much there is to tell of each text: as much as a linear model is unsure of it."""
    gold_of = KINDS[task.kind].gold_of
    examples = tuple(each for each in labelled if gold_of(each) is not None)
    learning = task.model_copy(update={"examples": examples})
    if not examples or examples_problem(learning):
        return np.ones(len(texts), np.float32)
    try:
        model = fitted(learning).model
    except NothingShared:
        return np.ones(len(texts), np.float32)
    is_choice = KINDS[task.kind].head is HeadForm.CHOICE
    found = unsureness(model.probabilities(texts).probabilities, is_choice=is_choice)
    return np.maximum(found, _LEAST_WEIGHT)


def by_words(texts: Sequence[str]) -> Any:
    """Place texts by their words and letters alone, where no encoder is installed."""
    try:
        return weighed(texts)
    except NothingShared:
        return np.eye(len(texts), dtype=np.float32)
