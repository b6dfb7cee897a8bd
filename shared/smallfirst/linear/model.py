"""A linear model of one task: what it knows, what it makes of a text, and its files.

Each block of features (see `features`) is weighed by TF-IDF, with the logarithm of how often a
feature occurs, and scaled to length 1; the logit of a label is a sum over features.

Source: Salton and Buckley 1988, "Term-weighting approaches in automatic text retrieval".
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain, count
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from smallfirst.catalogue import Kind
from smallfirst.catalogue.model_tasks import LINEAR_FILE
from smallfirst.errors import ModelFilesError
from smallfirst.kinds import KINDS, HeadForm
from smallfirst.linear.features import BLOCKS, folded
from smallfirst.linear.probabilities import Floats, sigmoid, softmax

#: The files of a model's folder: what it is, its features by block, and its numbers.
ABOUT_FILE, FEATURES_FILE, TENSORS_FILE = LINEAR_FILE, "features.json", "model.safetensors"
_BROKEN: Final = (OSError, ValueError, LookupError, TypeError, AttributeError, SafetensorError)


class Weighed(NamedTuple):
    """The features of a text that a model knows, words first.

    Attributes:
        columns: `(known,)`: which they are.
        values: `(known,)`: what each weighs in the text; each block's are of length 1 together.
    """

    columns: NDArray[np.int64]
    values: Floats


@dataclass(frozen=True)
class LinearModel:
    """One task's linear model.

    Attributes:
        key: Hash of everything that decides its answers.
        kind: Of the task.
        labels: Of the task; the outputs are in this order.
        columns: The column of each feature, by block; no two features share one.
        idf: `(features,)`: how much each tells, by how few examples have it.
        weights: `(features, outputs)`: what each says for each output.
        bias: `(outputs,)`.
    """

    key: str
    kind: Kind
    labels: tuple[str, ...]
    columns: tuple[Mapping[str, int], ...]
    idf: Floats
    weights: Floats
    bias: Floats

    @property
    def form(self) -> HeadForm | None:
        """How it answers."""
        return KINDS[self.kind].head

    def weigh(self, text: str) -> Weighed:
        """Weigh the features of a text; those that no example had say nothing."""
        read = folded(text)
        counts = [
            Counter(map(known.get, features_of(read)))
            for known, features_of in zip(self.columns, BLOCKS, strict=True)
        ]
        for each in counts:
            each.pop(None, None)
        size = sum(map(len, counts))
        columns = np.fromiter(chain.from_iterable(counts), np.int64, size)
        often = np.fromiter(chain.from_iterable(each.values() for each in counts), np.float32, size)
        values = (1 + np.log(often)) * self.idf[columns]
        num_words = len(counts[0])
        for block in (values[:num_words], values[num_words:]):
            np.divide(block, np.sqrt(block @ block) or 1, out=block)
        return Weighed(columns, values)

    def logits(self, weighed: Weighed) -> Floats:
        """Score what `weigh` found: `(outputs,)`."""
        scores = weighed.values @ self.weights[weighed.columns] + self.bias
        return np.asarray(scores, np.float32)

    def probabilities(self, text: str) -> Floats | None:
        """Probability of each label, `(labels,)`; None where nothing of the text is known."""
        weighed = self.weigh(text)
        if not len(weighed.columns):
            return None
        logits = self.logits(weighed)
        return sigmoid(logits) if self.form is HeadForm.EACH else softmax(logits)

    def reordered(self, labels: tuple[str, ...], *, key: str) -> "LinearModel":
        """The same model under another key, its labels in another order."""
        outputs = [self.labels.index(label) for label in labels]
        weights = np.ascontiguousarray(self.weights[:, outputs])
        return replace(self, key=key, labels=labels, weights=weights, bias=self.bias[outputs])

    def save(self, folder: Path, facts: Mapping[str, Any]) -> None:
        """Write the model into a folder, with facts about its training for people."""
        tensors = {"idf": self.idf, "weights": self.weights, "bias": self.bias}
        save_file(tensors, folder / TENSORS_FILE)
        _write(
            folder / FEATURES_FILE, [sorted(known, key=known.__getitem__) for known in self.columns]
        )
        about = {"key": self.key, "kind": self.kind, "labels": self.labels, **facts}
        _write(folder / ABOUT_FILE, about, indent=1)

    @classmethod
    def load(cls, folder: Path) -> "LinearModel":
        """Read a model that `save` wrote.

        Raises:
            ModelFilesError: When it is none, or a file of it is broken.
        """
        try:
            return _load(folder)
        except _BROKEN as err:
            reason = f"is no linear model: {ABOUT_FILE}, {FEATURES_FILE} or {TENSORS_FILE} is wrong"
            remedy = "train it again: smallfirst train TASK --method linear"
            raise ModelFilesError(str(folder), reason, remedy) from err


def _load(folder: Path) -> LinearModel:
    about = json.loads((folder / ABOUT_FILE).read_bytes())
    named = json.loads((folder / FEATURES_FILE).read_bytes())
    tensors = load_file(folder / TENSORS_FILE)
    numbers = count()
    columns = tuple(dict(zip(map(str, block), numbers)) for block in named)  # noqa: B905 - endless
    model = LinearModel(
        key=str(about["key"]),
        kind=Kind(about["kind"]),
        labels=tuple(map(str, about["labels"])),
        columns=columns,
        **{name: tensors[name] for name in ("idf", "weights", "bias")},
    )
    _check(model)
    return model


def _check(model: LinearModel) -> None:
    num_features, num_labels = sum(map(len, model.columns)), len(model.labels)
    shapes = {
        "idf": (num_features,),
        "weights": (num_features, num_labels),
        "bias": (num_labels,),
    }
    if len(model.columns) != len(BLOCKS):
        raise ValueError("the features are of other blocks")
    for name, shape in shapes.items():
        numbers: Floats = getattr(model, name)
        if numbers.shape != shape or numbers.dtype != np.float32:
            raise ValueError(f"{name} are not of the features and labels")


def _write(file: Path, content: object, *, indent: int | None = None) -> None:
    file.write_text(json.dumps(content, ensure_ascii=False, indent=indent), encoding="utf-8")
