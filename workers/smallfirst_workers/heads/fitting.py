"""Training a head from a task's examples, in seconds, the same each time.

The encoder stays as it is; only a logistic regression on its states is fitted. How strongly that is
regularised decides whether its probabilities mean anything, so it is chosen by the log loss on
examples left out. Where words are judged, so is how much the chain over them counts, by the loss on
whole texts. No randomness: examples are dealt into folds by the hash of their text, and
those that are alike into one.
"""

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Protocol

import numpy as np
import structlog

from smallfirst.catalogue import Task
from smallfirst.catalogue.build_once import build_once
from smallfirst.catalogue.model_tasks import examples_problem
from smallfirst.kinds import KINDS, HeadForm
from smallfirst.linear.messages import text_read
from smallfirst.linear.probabilities import normalise
from smallfirst.linear.regression import LeftOut, choose_by_rows, deal, fit, rows_of
from smallfirst.provenance.row_vectors import TaughtRow, write_rows
from smallfirst_workers.encoding.states import TextStates
from smallfirst_workers.encoding.words import label_words
from smallfirst_workers.errors import TaskError
from smallfirst_workers.heads.heads import LinearHead, head_key
from smallfirst_workers.heads.strengths import CHOOSING_TOLERANCE, FINAL_TOLERANCE, SEARCH
from smallfirst_workers.heads.surroundings import with_surroundings
from smallfirst_workers.heads.tagging import TaggedText, fit_tagger
from smallfirst_workers.heads.taught import taught_rows

log = structlog.get_logger()


class ReadsTexts(Protocol):
    """A frozen encoder, small or large; `Encoder` is one."""

    def read(
        self, texts: Sequence[str], *, wants_words: Sequence[bool]
    ) -> tuple[list[TextStates], int]:
        """Read texts: the states of each, and how many positions were computed."""


def trained_head(
    name: str, task: Task, encoder: ReadsTexts, *, features: str, cache: Path
) -> LinearHead:
    """Load a task's head from the cache, training it first if no process has yet.

    Args:
        name: Of the task.
        task: With its examples.
        encoder: The frozen one.
        features: Names everything that decides what states the encoder gives.
        cache: Folder of what is made once.

    Raises:
        TaskError: When the examples do not suffice.
    """
    if problem := examples_problem(task):
        raise TaskError(name, problem)
    key = head_key(task, features)
    folder = folder_of(key, cache)
    build_once(folder, lambda to: _train(name, task, encoder, key, to))
    return LinearHead.load(folder)


def folder_of(key: str, cache: Path) -> Path:
    """Name the folder of the head with a key."""
    return cache / "heads" / key[:32]


def _train(name: str, task: Task, encoder: ReadsTexts, key: str, to: Path) -> None:
    # Imported by the one process that trains: a second and 100 MB.
    from threadpoolctl import threadpool_limits  # noqa: PLC0415

    started = perf_counter()
    states = read_examples(name, task, encoder)
    # These matrices are small: two threads that wait for each other took four times as long as one.
    with threadpool_limits(limits=1, user_api="blas"):
        head, chosen, left_out = _fit_head(name, task, states, key)
    facts = {
        "examples": len(task.examples),
        **chosen,
        "seconds": round(perf_counter() - started, 1),
    }
    head.save(to, facts)
    if left_out is not None:
        left_out.save(to)
        write_rows(to, _taught(task, states))
    log.info("head.trained", task=name, **facts)


def _fit_head(
    name: str, task: Task, states: Sequence[TextStates], key: str
) -> tuple[LinearHead, dict[str, float], LeftOut | None]:
    """Fit a task's head; return it with what was chosen on examples left out, and its loss.

    And, where whole texts are judged, with what it said of them.
    """
    labels = tuple(task.labels)
    if KINDS[task.kind].head is HeadForm.WORDS:
        tagged = _tagged(name, task, states)
        fitted = fit_tagger(tagged, 1 + len(labels))
        head = LinearHead(
            key, task.kind, labels, *fitted.layer, fitted.chain, sees_surroundings=True
        )
        return head, fitted.chosen, None
    rows = rows_of(task, normalise(np.stack([state.vector for state in states])))
    strength, loss, left_out = choose_by_rows(rows, SEARCH, CHOOSING_TOLERANCE)
    weights, bias = fit(rows, strength, FINAL_TOLERANCE)
    chosen = {"strength": strength, "left_out_log_loss": round(loss, 4)}
    return LinearHead(key, task.kind, labels, weights, bias), chosen, left_out


def _taught(task: Task, states: Sequence[TextStates]) -> list[TaughtRow]:
    """The examples as the rows that their head names."""
    vectors = np.stack([state.vector for state in states])
    ids = [(each.id,) if each.id else () for each in task.examples]
    numbers = range(1, len(vectors) + 1)
    return taught_rows(task, task.examples, vectors, numbers=numbers, ids=ids)


def read_examples(name: str, task: Task, encoder: ReadsTexts) -> list[TextStates]:
    """Read the examples of a task; with their words where these are judged.

    Raises:
        TaskError: When an example holds nothing that can be read.
    """
    texts = [text_read(task, example.text) for example in task.examples]
    has_words = KINDS[task.kind].head is HeadForm.WORDS
    states, _ = encoder.read(texts, wants_words=[has_words] * len(texts))
    for number, state in enumerate(states, start=1):
        if state.is_empty:
            raise TaskError(name, f"has nothing in example {number} that the model can read")
    return states


def _tagged(name: str, task: Task, states: Sequence[TextStates]) -> list[TaggedText]:
    """The texts of a task's examples as their words, with what each word is."""
    column = {label: number for number, label in enumerate((None, *task.labels))}
    folds = deal(task.examples, np.zeros(len(states), np.int64)).tolist()
    tagged = []
    for example, state, fold in zip(task.examples, states, folds, strict=True):
        if state.words is not None:
            labels = label_words(state.words.places, example.spans or ())
            path = np.array([column[label] for label in labels], np.int64)
            tagged.append(TaggedText(with_surroundings(state.text, state.words), path, fold))
    seen = set(np.concatenate([text.path for text in tagged]).tolist())
    for label in task.labels:
        if column[label] not in seen:
            raise TaskError(name, f"has no example whose span for {label!r} covers a word")
    return tagged
