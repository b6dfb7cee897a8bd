"""A linear model of one task: what it knows, what it makes of a text, and its files.

Each block of features (see `features`) is weighed by TF-IDF, with the logarithm of how often a
feature occurs, and scaled to length 1; the logit of a label is a sum over features.

Source: Salton and Buckley 1988, "Term-weighting approaches in automatic text retrieval".
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
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
from smallfirst.linear.features import BLOCKS, folded, words_of
from smallfirst.linear.probabilities import Floats, sigmoid, softmax
from smallfirst.linear.stretch_table import Found, StretchTable

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


class Judged(NamedTuple):
    """What a model makes of texts.

    Attributes:
        probabilities: `(texts, labels)`.
        is_known: Whether it knows anything of a text; else its probabilities say nothing.
    """

    probabilities: Floats
    is_known: list[bool]


@dataclass(frozen=True)
class LinearModel:
    """One task's linear model.

    Attributes:
        key: Hash of everything that decides its answers.
        kind: Of the task.
        labels: Of the task; the outputs are in this order.
        columns: The column of each feature, by block: first all of the words, then those
            of the stretches.
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

    def weigh(self, texts: Sequence[str]) -> list[Weighed]:
        """Weigh the features of texts; those that no example had say nothing."""
        texts_of, columns_of = self._found([folded(text) for text in texts])
        # Each pair of a text and a feature is one number: sorted, the same ones lie together.
        pairs = np.sort(texts_of * len(self.idf) + columns_of)
        firsts = np.flatnonzero(np.diff(pairs, prepend=-1))
        often = np.diff(firsts, append=len(pairs))
        numbers, columns = np.divmod(pairs[firsts], len(self.idf))
        values = (1 + np.log(often.astype(np.float32))) * self.idf[columns]
        blocks = 2 * numbers + (columns >= len(self.columns[0]))
        lengths = np.sqrt(np.bincount(blocks, values * values, 2 * len(texts)))
        values /= lengths[blocks].astype(np.float32)
        ends = np.cumsum(np.bincount(numbers, minlength=len(texts)))[:-1]
        parts = zip(np.split(columns, ends), np.split(values, ends), strict=True)
        return [Weighed(*part) for part in parts]

    def _found(self, texts: Sequence[str]) -> Found:
        """Find the known features in folded texts, each as often as it occurs."""
        known = self.columns[0]
        words = [[known.get(word, -1) for word in words_of(text)] for text in texts]
        columns = np.fromiter(chain.from_iterable(words), np.int64)
        numbers = np.repeat(np.arange(len(texts)), [len(each) for each in words])
        found, is_known = self._stretches.find(texts), columns >= 0
        return Found(
            np.concatenate([numbers[is_known], found.texts]),
            np.concatenate([columns[is_known], found.columns]),
        )

    @cached_property
    def _stretches(self) -> StretchTable:
        return StretchTable.of(self.columns[1])

    def logits(self, weighed: Weighed) -> Floats:
        """Score what `weigh` found: `(outputs,)`."""
        scores = weighed.values @ self.weights[weighed.columns] + self.bias
        return np.asarray(scores, np.float32)

    def probabilities(self, texts: Sequence[str]) -> Judged:
        """Judge texts; what stands beside a text changes nothing about its own probabilities."""
        weighed = self.weigh(texts)
        logits = np.array([self.logits(each) for each in weighed], np.float32)
        logits = logits.reshape(len(texts), len(self.labels))
        judged = sigmoid(logits) if self.form is HeadForm.EACH else softmax(logits)
        return Judged(judged, [bool(len(each.columns)) for each in weighed])

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
