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
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from smallfirst.catalogue import Example, Task
from smallfirst.catalogue.likeness import clusters_of
from smallfirst.kinds import KINDS, HeadForm
from smallfirst.linear.probabilities import Floats, sigmoid, softmax

#: How many folds there are, and from how many rows times outputs on one of them says enough.
_NUM_FOLDS, _ONE_FOLD_FROM = 5, 20_000
_MAX_ITERATIONS: Final = 1000
#: The file, in a model's folder, of what it said of examples left out.
LEFT_OUT_FILE: Final = "left_out.safetensors"
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
        weights: `(rows,)`: how much each counts; None where all count alike.
    """

    form: HeadForm | None
    vectors: Any
    truth: NDArray[np.bool_]
    folds: NDArray[np.int64]
    weights: Floats | None = None

    def where(self, chosen: NDArray[np.bool_]) -> "Rows":
        """Some of the rows."""
        weights = None if self.weights is None else self.weights[chosen]
        return Rows(
            self.form, self.vectors[chosen], self.truth[chosen], self.folds[chosen], weights
        )


@dataclass(frozen=True)
class LeftOut:
    """What a fit said of rows that it had not learned from.

    Attributes:
        places: `(left out,)`: which rows of all they are, ascending.
        logits: `(left out, outputs)`, float32.
    """

    places: NDArray[np.int64]
    logits: Floats

    def save(self, folder: Path) -> None:
        """Write it beside the model."""
        save_file({"places": self.places, "logits": self.logits}, folder / LEFT_OUT_FILE)

    @classmethod
    def load(cls, folder: Path) -> "LeftOut":
        """Read what `save` wrote."""
        tensors = load_file(folder / LEFT_OUT_FILE)
        return cls(tensors["places"], tensors["logits"])


class Chosen(NamedTuple):
    """How strongly a fit is best regularised.

    Attributes:
        strength: Inverse strength.
        loss: Mean log loss on rows left out.
        left_out: What it said of them.
    """

    strength: float
    loss: float
    left_out: LeftOut


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
    form, truth = KINDS[task.kind].head, truth_of(task)
    is_choice = form is HeadForm.CHOICE
    groups = truth.argmax(axis=1) if is_choice else np.zeros(len(truth), np.int64)
    return Rows(form, vectors, truth, deal(task.examples, groups), weights_of(task.examples))


def weights_of(examples: Sequence[Example]) -> Floats | None:
    """How much each example counts: `(examples,)`; None where all count alike."""
    given = [1.0 if example.weight is None else example.weight for example in examples]
    return np.array(given, np.float32) if len(set(given)) > 1 else None


def truth_of(task: Task) -> NDArray[np.bool_]:
    """Which labels are right for each of a task's examples: `(examples, labels)`."""
    labels_of = KINDS[task.kind].labels_of
    truth = np.zeros((len(task.examples), len(task.labels)), np.bool_)
    column = {label: number for number, label in enumerate(task.labels)}
    for number, example in enumerate(task.examples):
        for label in labels_of(example):
            truth[number, column[label]] = True
    return truth


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


def choose_by_rows(rows: Rows, search: Search, tolerance: float) -> Chosen:
    """Choose the strength with which rows left out are foretold best; see `choose_strength`."""
    said: dict[float, LeftOut] = {}

    def loss_of(strength: float) -> float:
        loss, said[strength] = _leave_out(rows, strength, tolerance)
        return loss

    strength, loss = choose_strength(loss_of, search)
    return Chosen(strength, loss, said[strength])


def _leave_out(rows: Rows, strength: float, tolerance: float) -> tuple[float, LeftOut]:
    """Mean log loss over folds that were left out; one fold where the rows are many."""
    folds = np.unique(rows.folds)
    losses, places, logits = [], [], []
    for fold in folds[:1] if rows.truth.size >= _ONE_FOLD_FROM else folds:
        out = rows.where(rows.folds == fold)
        weights, bias = fit(rows.where(rows.folds != fold), strength, tolerance)
        places.append(np.flatnonzero(rows.folds == fold))
        logits.append(np.asarray(out.vectors @ weights.T + bias, np.float32))
        said = probabilities_of(rows.form, logits[-1])
        losses.append(np.average(log_losses(rows.form, said, out.truth), weights=out.weights))
    order = np.argsort(np.concatenate(places), kind="stable")
    left_out = LeftOut(np.concatenate(places)[order], np.concatenate(logits)[order])
    return float(np.mean(losses)), left_out


def probabilities_of(form: HeadForm | None, logits: Floats) -> Floats:
    """Turn logits `(..., outputs)` into probabilities, by how the outputs go together."""
    return sigmoid(logits) if form is HeadForm.EACH else softmax(logits)


def log_losses(
    form: HeadForm | None, probabilities: Floats, truth: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Negative logarithm of the probability of what is right: `(rows,)`.

    Where labels are judged each for itself, the mean over them.
    """
    if form is HeadForm.EACH:
        right = np.where(truth, probabilities, 1 - probabilities)
    else:
        right = probabilities[truth][:, None]
    return np.asarray(-np.log(np.maximum(right, 1e-9)).mean(axis=1), np.float32)


def fit(rows: Rows, strength: float, tolerance: float) -> Layer:
    """Fit one layer: outputs against each other, or each for itself.

    Args:
        rows: At least one.
        strength: Inverse strength of the regularisation.
        tolerance: Largest slope of the loss at which it stops.
    """
    if rows.form is not HeadForm.EACH:
        return fit_classes(rows.vectors, rows.truth, strength, tolerance, rows.weights)
    layers = [
        fit_classes(rows.vectors, np.stack([~own, own], axis=1), strength, tolerance, rows.weights)
        for own in rows.truth.T
    ]
    # The margin of yes over no: softmax over both is the sigmoid of it.
    weights = np.stack([layer[1] - layer[0] for layer, _ in layers])
    bias = np.array([bias[1] - bias[0] for _, bias in layers], np.float32)
    return weights, bias


def fit_classes(
    vectors: Any,
    truth: NDArray[np.bool_],
    strength: float,
    tolerance: float,
    weights_of_rows: Floats | None = None,
) -> Layer:
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
        model.fit(vectors, classes, sample_weight=weights_of_rows)
    coefficients, intercepts = model.coef_, model.intercept_
    if len(present) == 2:  # sklearn gives the second class's margin over the first
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        intercepts = np.concatenate([-intercepts, intercepts]) / 2
    weights[present], bias[present] = coefficients, intercepts
    return weights, bias
