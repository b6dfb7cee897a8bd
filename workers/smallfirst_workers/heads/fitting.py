"""Training a head from a task's examples, in seconds, the same each time.

The encoder stays as it is; only a logistic regression on its states is fitted. How strongly that is
regularised decides whether its probabilities mean anything, so it is chosen by the log loss on
examples left out. Where words are judged, so is how much the chain over them counts, by the loss on
whole texts. No randomness: examples are dealt into folds by the hash of their text, and
those that are alike into one.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Protocol

import numpy as np
import structlog
from numpy.typing import NDArray

from smallfirst.catalogue import Example, Task
from smallfirst.catalogue.build_once import build_once
from smallfirst.catalogue.likeness import clusters_of
from smallfirst.catalogue.model_tasks import examples_problem
from smallfirst.kinds import KINDS, HeadForm
from smallfirst.linear.messages import text_read
from smallfirst.linear.probabilities import Floats, normalise, sigmoid, softmax
from smallfirst_workers.encoding.states import TextStates
from smallfirst_workers.encoding.words import label_words
from smallfirst_workers.errors import TaskError
from smallfirst_workers.heads.heads import LinearHead, head_key
from smallfirst_workers.heads.regression import (
    CHOOSING_TOLERANCE,
    FINAL_TOLERANCE,
    Layer,
    choose_strength,
    fit_classes,
)
from smallfirst_workers.heads.surroundings import with_surroundings
from smallfirst_workers.heads.tagging import TaggedText, fit_tagger

#: How many folds there are, and from how many rows times outputs on one of them says enough.
_NUM_FOLDS, _ONE_FOLD_FROM = 5, 20_000

log = structlog.get_logger()


class ReadsTexts(Protocol):
    """A frozen encoder, small or large; `Encoder` is one."""

    def read(
        self, texts: Sequence[str], *, wants_words: Sequence[bool]
    ) -> tuple[list[TextStates], int]:
        """Read texts: the states of each, and how many positions were computed."""


@dataclass(frozen=True)
class _Rows:
    """What is fitted.

    Attributes:
        form: How the head answers.
        vectors: `(rows, hidden)`, length 1.
        truth: Which outputs are right: `(rows, outputs)`.
        folds: `(rows,)`: where each row is left out.
    """

    form: HeadForm | None
    vectors: Floats
    truth: NDArray[np.bool_]
    folds: NDArray[np.int64]


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
    folder = cache / "heads" / key[:32]
    build_once(folder, lambda to: _train(name, task, encoder, key, to))
    return LinearHead.load(folder)


def _train(name: str, task: Task, encoder: ReadsTexts, key: str, to: Path) -> None:
    # Imported by the one process that trains: a second and 100 MB.
    from threadpoolctl import threadpool_limits  # noqa: PLC0415

    started = perf_counter()
    states = _read(name, task, encoder)
    # These matrices are small: two threads that wait for each other took four times as long as one.
    with threadpool_limits(limits=1, user_api="blas"):
        head, chosen = _fit_head(name, task, states, key)
    facts = {
        "examples": len(task.examples),
        **chosen,
        "seconds": round(perf_counter() - started, 1),
    }
    head.save(to, facts)
    log.info("head.trained", task=name, **facts)


def _fit_head(
    name: str, task: Task, states: Sequence[TextStates], key: str
) -> tuple[LinearHead, dict[str, float]]:
    """Fit a task's head; return it with what was chosen on examples left out, and its loss."""
    labels = tuple(task.labels)
    if KINDS[task.kind].head is HeadForm.WORDS:
        tagged = _tagged(name, task, states)
        fitted = fit_tagger(tagged, 1 + len(labels))
        head = LinearHead(
            key, task.kind, labels, *fitted.layer, fitted.chain, sees_surroundings=True
        )
        return head, fitted.chosen
    rows = _text_rows(task, states)
    strength, loss = choose_strength(lambda strength: _left_out_loss(rows, strength))
    weights, bias = _fit(rows, strength, FINAL_TOLERANCE)
    chosen = {"strength": strength, "left_out_log_loss": round(loss, 4)}
    return LinearHead(key, task.kind, labels, weights, bias), chosen


def _read(name: str, task: Task, encoder: ReadsTexts) -> list[TextStates]:
    texts = [text_read(task, example.text) for example in task.examples]
    has_words = KINDS[task.kind].head is HeadForm.WORDS
    states, _ = encoder.read(texts, wants_words=[has_words] * len(texts))
    for number, state in enumerate(states, start=1):
        if state.is_empty:
            raise TaskError(name, f"has nothing in example {number} that the model can read")
    return states


def _text_rows(task: Task, states: Sequence[TextStates]) -> _Rows:
    spec = KINDS[task.kind]
    truth = np.zeros((len(states), len(task.labels)), np.bool_)
    column = {label: number for number, label in enumerate(task.labels)}
    for number, example in enumerate(task.examples):
        for label in spec.labels_of(example):
            truth[number, column[label]] = True
    vectors = normalise(np.stack([state.vector for state in states]))
    is_choice = spec.head is HeadForm.CHOICE
    groups = truth.argmax(axis=1) if is_choice else np.zeros(len(truth), np.int64)
    return _Rows(spec.head, vectors, truth, deal(task.examples, groups))


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


def deal(examples: Sequence[Example], groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Deal the examples into folds, each group evenly: `(examples,)`.

    Texts that are alike share a fold: with one of them learned from, the other, left out, says how
    well a text is known by heart, and the weakest regularisation wins. Two clusters of a group go
    to two folds, so no fold that is left out takes all of a label with it.
    """
    clusters = clusters_of([example.text for example in examples])
    hashes: dict[int, bytes] = {}
    for cluster, example in zip(clusters, examples, strict=True):
        own = hashlib.sha256(example.text.encode()).digest()
        hashes[cluster] = min(own, hashes.get(cluster, own))
    folds = np.zeros(len(groups), np.int64)
    dealt = Counter[int]()
    for cluster in sorted(hashes, key=hashes.__getitem__):
        group = int(groups[cluster])
        folds[cluster] = (dealt[group] + group) % _NUM_FOLDS
        dealt[group] += 1
    return folds[clusters]


def _left_out_loss(rows: _Rows, strength: float) -> float:
    """Mean log loss over folds that were left out; one fold where the rows are many."""
    folds = np.unique(rows.folds)
    losses = []
    for fold in folds[:1] if rows.truth.size >= _ONE_FOLD_FROM else folds:
        out = rows.folds == fold
        kept = _Rows(rows.form, rows.vectors[~out], rows.truth[~out], rows.folds[~out])
        weights, bias = _fit(kept, strength, CHOOSING_TOLERANCE)
        losses.append(_log_loss(rows.form, rows.vectors[out] @ weights.T + bias, rows.truth[out]))
    return float(np.mean(losses))


def _log_loss(form: HeadForm | None, logits: Floats, truth: NDArray[np.bool_]) -> float:
    if form is HeadForm.EACH:
        right = np.where(truth, sigmoid(logits), sigmoid(-logits))
    else:
        right = softmax(logits)[truth]
    return float(-np.log(np.maximum(right, 1e-9)).mean())


def _fit(rows: _Rows, strength: float, tolerance: float) -> Layer:
    """Fit one layer: labels against each other, or each for itself."""
    if rows.form is not HeadForm.EACH:
        return fit_classes(rows.vectors, rows.truth, strength, tolerance)
    layers = [
        fit_classes(rows.vectors, np.stack([~own, own], axis=1), strength, tolerance)
        for own in rows.truth.T
    ]
    # The margin of yes over no: softmax over both is the sigmoid of it.
    weights = np.stack([layer[1] - layer[0] for layer, _ in layers])
    bias = np.array([bias[1] - bias[0] for _, bias in layers], np.float32)
    return weights, bias
