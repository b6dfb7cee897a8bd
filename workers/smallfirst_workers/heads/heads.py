"""Heads: what turns a text's states into probabilities of one task's labels.

A head is linear on the states of an encoder, or the model's own classifier. A linear one is trained
from the task's examples (`fitting`), or lies beside the encoder it was trained with (`training`);
keeping it on disk is here. Where words are judged, a linear head decides about all of a text at
once, along a chain (`chain`).
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from smallfirst.catalogue import Kind, Task
from smallfirst.catalogue.encoder_config import HEAD_FILE
from smallfirst.catalogue.model_tasks import (
    TrainedFor,
    classifier_problem,
    form_of,
    head_problem,
    label_of,
)
from smallfirst.kinds import KINDS, HeadForm
from smallfirst.linear.probabilities import Floats, normalise, sigmoid, softmax
from smallfirst.linear.regression import weights_of
from smallfirst_workers.encoding.model_folder import ModelFolder
from smallfirst_workers.encoding.states import TextStates, WordStates
from smallfirst_workers.errors import TaskError
from smallfirst_workers.heads.chain import Chain
from smallfirst_workers.heads.surroundings import own_width, with_surroundings

#: Changes whenever training would make another head of the same examples.
RECIPE = 4
#: What begins a span, of what schools of tagging put before a label.
_BEGINNINGS = ("B-", "S-", "U-")


@dataclass(frozen=True)
class JudgedWords:
    """What a head says of the words of a text.

    Attributes:
        outputs: `(words,)`: 0 for a word outside every span, else 1 + the label's number.
        probabilities: `(words,)`: of that very output, everything else in the text considered.
        begins: `(words,)`: whether a span begins at the word rather than goes on.
    """

    outputs: NDArray[np.int64]
    probabilities: Floats
    begins: NDArray[np.bool_]


class Head(Protocol):
    """One task's judgement. Which of the two methods may be called is decided by its `HeadForm`."""

    @property
    def key(self) -> str:
        """Hash of everything the head was made from."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The task's labels, in its order."""

    def of_texts(self, states: Sequence[TextStates]) -> Floats:
        """Probability of each label, of at least one text: `(texts, labels)`.

        What stands beside a text changes nothing about its own.
        """

    def of_words(self, text: str, words: WordStates) -> JudgedWords:
        """What each word of a text is, and how surely."""


@dataclass(frozen=True)
class LinearHead:
    """A linear layer on an encoder's states of length 1.

    Attributes:
        key: Hash of everything the head was made from.
        kind: Of the task.
        labels: Of the task.
        weights: `(outputs, width)`, float32. The outputs are the labels; where words are tagged,
            output 0 is "outside" and the labels follow. The width is that of the encoder's states,
            or of what `with_surroundings` makes of them, whose first part they are.
        bias: `(outputs,)`, float32.
        chain: Which output follows which, where words are tagged; without one every word is
            decided by itself.
        sees_surroundings: Whether a word is judged by its neighbours and writing too.
    """

    key: str
    kind: Kind
    labels: tuple[str, ...]
    weights: Floats
    bias: Floats
    chain: Chain | None = None
    sees_surroundings: bool = False

    @property
    def form(self) -> HeadForm | None:
        """How it answers."""
        return KINDS[self.kind].head

    @property
    def own_weights(self) -> Floats:
        """The part of the weights that judges an encoder's own states: `(outputs, hidden)`."""
        width = self.weights.shape[1]
        return self.weights[:, : own_width(width) if self.sees_surroundings else width]

    def logits(self, vectors: Floats) -> Floats:
        """Score vectors `(..., hidden)` of any length: `(..., outputs)`."""
        return np.asarray(normalise(vectors) @ self.weights.T + self.bias, np.float32)

    def of_texts(self, states: Sequence[TextStates]) -> Floats:
        """Probability of each label; see `Head.of_texts`."""
        # One by one: a product of more rows adds up in another order.
        logits = np.stack([self.logits(each.vector) for each in states])
        return sigmoid(logits) if self.form is HeadForm.EACH else softmax(logits)

    def of_words(self, text: str, words: WordStates) -> JudgedWords:
        """The likeliest path of labels through the words; see `Head.of_words`.

        A linear head knows inside from outside only. Told beginnings apart too, it was less often
        right (WNUT17: entity F1 0.297 against 0.313), since its words know little of each other.
        """
        vectors = with_surroundings(text, words) if self.sees_surroundings else words.vectors
        alone = softmax(self._judge_words(vectors))
        begins = np.zeros(len(alone), np.bool_)
        if self.chain is None:
            return JudgedWords(alone.argmax(axis=1), alone.max(axis=1), begins)
        path = self.chain.best_path(alone)
        probabilities = self.chain.marginals(alone)[np.arange(len(path)), path]
        return JudgedWords(path, probabilities, begins)

    def _judge_words(self, vectors: Floats) -> Floats:
        """Score words `(words, width)`; the surroundings have lengths that mean something."""
        if not self.sees_surroundings:
            return self.logits(vectors)
        return np.asarray(vectors @ self.weights.T + self.bias, np.float32)

    def save(self, folder: Path, facts: dict[str, Any]) -> None:
        """Write the head into an empty folder, with facts about its training for people."""
        tensors = {"weights": self.weights, "bias": self.bias}
        if self.chain is not None:
            tensors |= {"first": self.chain.first, "steps": self.chain.steps}
        save_file(tensors, folder / "head.safetensors")
        about = {"key": self.key, "kind": self.kind, "labels": self.labels, **facts}
        if self.sees_surroundings:
            about["sees_surroundings"] = True
        (folder / HEAD_FILE).write_text(json.dumps(about, indent=1), encoding="utf-8")

    def reordered(self, labels: tuple[str, ...], *, key: str) -> "LinearHead":
        """The same head under another key, its labels in another order."""
        first = int(self.form is HeadForm.WORDS)
        outputs = [*range(first), *(first + self.labels.index(label) for label in labels)]
        return replace(
            self,
            key=key,
            labels=labels,
            weights=self.weights[outputs],
            bias=self.bias[outputs],
            chain=self.chain and self.chain.reordered(outputs),
        )

    @classmethod
    def load(cls, folder: Path) -> "LinearHead":
        """Read a head that `save` wrote."""
        about = json.loads((folder / HEAD_FILE).read_text(encoding="utf-8"))
        tensors = load_file(folder / "head.safetensors")
        return cls(
            about["key"],
            Kind(about["kind"]),
            tuple(about["labels"]),
            tensors["weights"],
            tensors["bias"],
            Chain(tensors["first"], tensors["steps"]) if "steps" in tensors else None,
            about.get("sees_surroundings", False),
        )


@dataclass(frozen=True)
class OwnHead:
    """The model's own classifier, its outputs put into the order of the task's labels.

    Attributes:
        key: Hash of what decides its probabilities: the model's files, the runtime, the precision,
            and what the catalogue calls the outputs.
        labels: Of the task.
        columns: For each label the outputs that speak for it: of a text classifier mostly one; of a
            token classifier those for its beginning, inside and end.
        beginnings: Those of all outputs that say a span begins.
    """

    key: str
    labels: tuple[str, ...]
    columns: tuple[tuple[int, ...], ...]
    beginnings: tuple[int, ...] = ()

    def of_texts(self, states: Sequence[TextStates]) -> Floats:
        """Probability of each label; see `Head.of_texts`."""
        return self._by_label(np.stack([each.vector for each in states]))

    def of_words(self, text: str, words: WordStates) -> JudgedWords:  # noqa: ARG002 - see `Head`
        """The likeliest label of each word, by the mean over its tokens; see `Head.of_words`.

        A label's beginning, inside and end count together, so a span holds whatever the classifier
        thinks of its borders. Rules about which tag may follow which are not added: the names of
        the tags do not tell whether `I-person` may begin a span, as it does in IOB1.
        """
        vectors = words.vectors  # (words, outputs)
        labels = self._by_label(vectors)
        outside = 1 - labels.sum(axis=1, keepdims=True)
        begins = np.isin(vectors.argmax(axis=1), self.beginnings)
        judged = np.concatenate([outside.clip(0), labels], axis=1)
        return JudgedWords(judged.argmax(axis=1), judged.max(axis=1), begins)

    def _by_label(self, vectors: Floats) -> Floats:
        """Add up what speaks for one label: `(rows, outputs)` to `(rows, labels)`."""
        return np.stack([vectors[:, own].sum(axis=1) for own in self.columns], axis=1)


def head_key(task: Task, features: str) -> str:
    """Hash everything that a trained head depends on.

    Args:
        task: Its kind, labels and examples count; descriptions, thresholds and the like do not.
        features: Names the model, its runtime and all else that decides what states it gives.
    """
    answered = {"text", str(KINDS[task.kind].example_key)}
    examples = [example.model_dump(mode="json", include=answered) for example in task.examples]
    made_from = [RECIPE, features, task.kind, list(task.labels), task.reads, examples]
    if (weights := weights_of(task.examples)) is not None:
        made_from.append(weights.tolist())
    return hashlib.sha256(json.dumps(made_from).encode()).hexdigest()


def model_key(task: Task, features: str) -> str:
    """Hash everything that the answers of a model's own classifier, or head, depend on."""
    return hashlib.sha256(f"{features} {task.reads}".encode()).hexdigest()


def own_head(name: str, task: Task, folder: ModelFolder, features: str) -> OwnHead:
    """Fit a model's own classifier to a task.

    Args:
        name: Of the task.
        task: Which must ask what the classifier judges.
        folder: With the model.
        features: Names the model, its runtime and all else that decides its probabilities.

    Raises:
        TaskError: When it judges something else than the task asks.
    """
    if problem := classifier_problem(task, folder.about, folder.name):
        raise TaskError(name, problem)
    outputs = [label_of(output, form_of(folder.about)) for output in folder.own_labels]
    beginnings = [n for n, own in enumerate(folder.own_labels) if own.startswith(_BEGINNINGS)]
    columns = [tuple(n for n, own in enumerate(outputs) if own == label) for label in task.labels]
    if folder.about.renaming:
        # The files' own names are in the features; which output means what is not.
        features = f"{features} {json.dumps(folder.own_labels)}"
    return OwnHead(model_key(task, features), tuple(task.labels), tuple(columns), tuple(beginnings))


def trained_beside(
    name: str, task: Task, folder: ModelFolder, pooling: str, features: str
) -> LinearHead:
    """Fit the head that lies beside an encoder to a task.

    Args:
        name: Of the task.
        task: Which must be what the head was trained for.
        folder: With the head.
        pooling: How token states become one vector.
        features: Names the model, its runtime and all else that decides what states it gives.

    Raises:
        TaskError: When it was trained for something else.
    """
    head = LinearHead.load(folder.path)
    trained = TrainedFor(head.kind, head.labels)
    if problem := head_problem(task, trained, pooling, folder.name):
        raise TaskError(name, problem)
    return head.reordered(tuple(task.labels), key=model_key(task, features))
