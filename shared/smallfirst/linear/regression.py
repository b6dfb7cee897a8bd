"""Logistic regression on any features, sparse or dense, and how strongly it is regularised.

That decides whether its probabilities mean anything, so it is chosen by the log loss on examples
left out. No randomness: examples are dealt into folds by the hash of their text, and those that are
alike into one.
"""

import hashlib
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from smallfirst.catalogue import Example, Task
from smallfirst.catalogue.likeness import clusters_of
from smallfirst.kinds import KINDS, HeadForm
from smallfirst.linear.probabilities import Floats, sigmoid, softmax

#: How many folds there are, and from how many rows times outputs on one of them says enough.
_NUM_FOLDS, _ONE_FOLD_FROM = 5, 20_000
_MAX_ITERATIONS: Final = 1000
#: Bias of an output that no example speaks for: a probability of nothing.
_NEVER: Final = -30.0

Layer = tuple[Floats, Floats]  # weights (outputs, features) and bias (outputs,)


@dataclass(frozen=True)
class Rows:
    """What is fitted.

    Attributes:
        form: How the answers are: one of the outputs, or each for itself.
        vectors: `(rows, features)`: an array, or a sparse matrix of scipy.
        truth: Which outputs are right: `(rows, outputs)`.
        folds: `(rows,)`: where each row is left out.
    """

    form: HeadForm | None
    vectors: Any
    truth: NDArray[np.bool_]
    folds: NDArray[np.int64]

    def where(self, chosen: NDArray[np.bool_]) -> "Rows":
        """Some of the rows."""
        return Rows(self.form, self.vectors[chosen], self.truth[chosen], self.folds[chosen])


@dataclass(frozen=True)
class Search:
    """Where the strength of regularisation is looked for.

    Attributes:
        strengths: Inverse strengths to choose from, ascending.
        first: The one that is tried first.
    """

    strengths: tuple[float, ...]
    first: float


def rows_of(task: Task, vectors: Any) -> Rows:
    """Put the vectors of a task's examples, `(examples, features)`, beside their labels."""
    spec = KINDS[task.kind]
    truth = np.zeros((len(task.examples), len(task.labels)), np.bool_)
    column = {label: number for number, label in enumerate(task.labels)}
    for number, example in enumerate(task.examples):
        for label in spec.labels_of(example):
            truth[number, column[label]] = True
    is_choice = spec.head is HeadForm.CHOICE
    groups = truth.argmax(axis=1) if is_choice else np.zeros(len(truth), np.int64)
    return Rows(spec.head, vectors, truth, deal(task.examples, groups))


def deal(examples: Sequence[Example], groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Deal examples into folds, each group evenly: `(examples,)`.

    Texts that are alike share a fold: with one of them learned from, the other, left out, says how
    well a text is known by heart, and the weakest regularisation wins. Two clusters of a group go
    to two folds, so no fold that is left out takes all of a label with it.
    """
    texts = [example.text for example in examples]
    clusters = clusters_of(texts)
    hashes: dict[int, bytes] = {}
    for cluster, text in zip(clusters, texts, strict=True):
        digest = hashlib.sha256(text.encode()).digest()
        hashes[cluster] = min(digest, hashes.get(cluster, digest))
    folds = np.zeros(len(clusters), np.int64)
    dealt: Counter[int] = Counter()
    for cluster in sorted(hashes, key=hashes.__getitem__):
        group = int(groups[cluster])
        folds[cluster] = (dealt[group] + group) % _NUM_FOLDS
        dealt[group] += 1
    return folds[clusters]


def choose_strength(loss_of: Callable[[float], float], search: Search) -> tuple[float, float]:
    """Walk from the first guess in the direction in which the loss falls; it has one valley.

    Returns:
        The best strength and its loss.
    """
    losses: dict[int, float] = {}
    strengths = search.strengths

    def loss(at: int) -> float:
        if at not in losses:
            losses[at] = loss_of(strengths[at])
        return losses[at]

    first = at = strengths.index(search.first)
    for step in (1, -1):
        while 0 <= at + step < len(strengths) and loss(at + step) < loss(at):
            at += step
        if at != first:
            break
    return strengths[at], loss(at)


def left_out_loss(rows: Rows, strength: float, tolerance: float) -> float:
    """Mean log loss over folds that were left out; one fold where the rows are many."""
    folds = np.unique(rows.folds)
    losses = []
    for fold in folds[:1] if rows.truth.size >= _ONE_FOLD_FROM else folds:
        out = rows.where(rows.folds == fold)
        weights, bias = fit(rows.where(rows.folds != fold), strength, tolerance)
        losses.append(_log_loss(rows.form, out.vectors @ weights.T + bias, out.truth))
    return float(np.mean(losses))


def _log_loss(form: HeadForm | None, logits: Floats, truth: NDArray[np.bool_]) -> float:
    if form is HeadForm.EACH:
        right = np.where(truth, sigmoid(logits), sigmoid(-logits))
    else:
        right = softmax(logits)[truth]
    return float(-np.log(np.maximum(right, 1e-9)).mean())


def fit(rows: Rows, strength: float, tolerance: float) -> Layer:
    """Fit one layer: outputs against each other, or each for itself.

    Args:
        rows: At least one.
        strength: Inverse strength of the regularisation.
        tolerance: Largest slope of the loss at which it stops.
    """
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


def fit_classes(vectors: Any, truth: NDArray[np.bool_], strength: float, tolerance: float) -> Layer:
    """Fit a multinomial regression; outputs that no row speaks for are never chosen."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - only who trains pays

    weights = np.zeros((truth.shape[1], vectors.shape[1]), np.float32)
    bias = np.full(truth.shape[1], _NEVER, np.float32)
    classes = truth.argmax(axis=1)
    present = np.unique(classes)
    if len(present) == 1:
        bias[present] = 0.0
        return weights, bias
    model = LogisticRegression(C=strength, tol=tolerance, max_iter=_MAX_ITERATIONS)
    with warnings.catch_warnings():
        # A fit that ran out of iterations is still one, and the loss left out judges it.
        warnings.simplefilter("ignore")
        model.fit(vectors, classes)
    coefficients, intercepts = model.coef_, model.intercept_
    if len(present) == 2:  # sklearn gives the second class's margin over the first
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        intercepts = np.concatenate([-intercepts, intercepts]) / 2
    weights[present], bias[present] = coefficients, intercepts
    return weights, bias
