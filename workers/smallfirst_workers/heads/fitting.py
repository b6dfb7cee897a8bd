"""Training a head from a task's examples, in seconds, the same each time.

The encoder stays as it is; only a logistic regression on its states is fitted. How strongly that is
regularised decides whether its probabilities mean anything, so it is chosen by the log loss on
examples left out. No randomness: examples are dealt into folds by the hash of their text, and
those that are alike into one.
"""

import hashlib
import warnings
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
from smallfirst.linear.probabilities import Floats, normalise, sigmoid, softmax
from smallfirst_workers.encoding.states import TextStates
from smallfirst_workers.encoding.words import label_words
from smallfirst_workers.errors import TaskError
from smallfirst_workers.heads.heads import LinearHead, head_key

#: Inverse strengths of regularisation to choose from. On vectors of length 1 the best was 10 to 30
#: for thousands of examples and 100 to 300 for a dozen a label (HEADLINES, BANKING77).
_STRENGTHS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
_FIRST_GUESS = _STRENGTHS.index(10.0)
#: How many folds there are, and from how many rows times outputs on one of them says enough.
_NUM_FOLDS, _ONE_FOLD_FROM = 5, 20_000
#: Where fitting stops (largest slope of the loss): roughly while choosing, finely at last. Ten
#: times coarser at last cost half a point of accuracy on BANKING77.
_CHOOSING_TOLERANCE, _FINAL_TOLERANCE, _MAX_ITERATIONS = 1e-4, 1e-5, 1000
#: Bias of an output that no example speaks for: a probability of nothing.
_NEVER = -30.0

log = structlog.get_logger()

Layer = tuple[Floats, Floats]  # weights (outputs, hidden) and bias (outputs,)


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
        vectors: `(rows, hidden)`, length 1: of texts, or of words.
        truth: Which outputs are right: `(rows, outputs)`.
        folds: `(rows,)`: where each row is left out; the words of one text together.
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
    rows = _read_rows(name, task, encoder)
    # These matrices are small: two threads that wait for each other took four times as long as one.
    with threadpool_limits(limits=1, user_api="blas"):
        strength, loss = _choose_strength(rows)
        weights, bias = _fit(rows, strength, _FINAL_TOLERANCE)
    head = LinearHead(key, task.kind, tuple(task.labels), weights, bias)
    facts = {
        "examples": len(task.examples),
        "strength": strength,
        "left_out_log_loss": round(loss, 4),
        "seconds": round(perf_counter() - started, 1),
    }
    head.save(to, facts)
    log.info("head.trained", task=name, **facts)


def _read_rows(name: str, task: Task, encoder: ReadsTexts) -> _Rows:
    texts = [example.text for example in task.examples]
    has_words = KINDS[task.kind].head is HeadForm.WORDS
    states, _ = encoder.read(texts, wants_words=[has_words] * len(texts))
    for number, state in enumerate(states, start=1):
        if state.is_empty:
            raise TaskError(name, f"has nothing in example {number} that the model can read")
    rows = _word_rows(task, states) if has_words else _text_rows(task, states)
    for label, truth in zip(task.labels, rows.truth.T[-len(task.labels) :], strict=True):
        if not truth.any():
            raise TaskError(name, f"has no example whose span for {label!r} covers a word")
    return rows


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


def _word_rows(task: Task, states: Sequence[TextStates]) -> _Rows:
    column = {label: number for number, label in enumerate((None, *task.labels))}
    vectors: list[Floats] = []
    outputs: list[int] = []
    owners: list[int] = []
    for number, (example, state) in enumerate(zip(task.examples, states, strict=True)):
        if state.words is None:
            continue
        vectors.append(normalise(state.words.vectors))
        labels = label_words(state.words.places, example.spans or ())
        outputs.extend(column[label] for label in labels)
        owners.extend([number] * len(labels))
    truth = np.eye(len(column), dtype=np.bool_)[outputs]
    folds = deal(task.examples, np.zeros(len(states), np.int64))[owners]
    return _Rows(HeadForm.WORDS, np.concatenate(vectors), truth, folds)


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


def _choose_strength(rows: _Rows) -> tuple[float, float]:
    """Walk from the first guess in the direction in which the loss falls; it has one valley.

    Returns:
        The best strength and its log loss on the rows left out.
    """
    losses: dict[int, float] = {}

    def loss(at: int) -> float:
        if at not in losses:
            losses[at] = _left_out_loss(rows, _STRENGTHS[at])
        return losses[at]

    at = _FIRST_GUESS
    for step in (1, -1):
        while 0 <= at + step < len(_STRENGTHS) and loss(at + step) < loss(at):
            at += step
        if at != _FIRST_GUESS:
            break
    return _STRENGTHS[at], loss(at)


def _left_out_loss(rows: _Rows, strength: float) -> float:
    """Mean log loss over folds that were left out; one fold where the rows are many."""
    folds = np.unique(rows.folds)
    losses = []
    for fold in folds[:1] if rows.truth.size >= _ONE_FOLD_FROM else folds:
        out = rows.folds == fold
        kept = _Rows(rows.form, rows.vectors[~out], rows.truth[~out], rows.folds[~out])
        weights, bias = _fit(kept, strength, _CHOOSING_TOLERANCE)
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
        return _fit_classes(rows.vectors, rows.truth, strength, tolerance)
    layers = [
        _fit_classes(rows.vectors, np.stack([~own, own], axis=1), strength, tolerance)
        for own in rows.truth.T
    ]
    # The margin of yes over no: softmax over both is the sigmoid of it.
    weights = np.stack([layer[1] - layer[0] for layer, _ in layers])
    bias = np.array([bias[1] - bias[0] for _, bias in layers], np.float32)
    return weights, bias


def _fit_classes(
    vectors: Floats, truth: NDArray[np.bool_], strength: float, tolerance: float
) -> Layer:
    """Fit a multinomial regression; outputs that no row speaks for are never chosen."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - see `_train`

    weights = np.zeros((truth.shape[1], vectors.shape[1]), np.float32)
    bias = np.full(truth.shape[1], _NEVER, np.float32)
    classes = truth.argmax(axis=1)
    present = np.unique(classes)
    if len(present) == 1:
        bias[present] = 0.0
        return weights, bias
    model = LogisticRegression(C=strength, tol=tolerance, max_iter=_MAX_ITERATIONS)
    with warnings.catch_warnings():
        # A fit that ran out of iterations is still a head, and the loss left out judges it.
        warnings.simplefilter("ignore")
        model.fit(vectors, classes)
    coefficients, intercepts = model.coef_, model.intercept_
    if len(present) == 2:  # sklearn gives the second class's margin over the first
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        intercepts = np.concatenate([-intercepts, intercepts]) / 2
    weights[present], bias[present] = coefficients, intercepts
    return weights, bias
