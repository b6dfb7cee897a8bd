"""How foreign a text is to a task: by the nearest of its examples, in the encoder's space.

People send what no label fits, and a head must share its probability among labels all the same. How
near the nearest example is tells such texts apart better than the head's probability or energy; a
sum with these is better by a point or two of its flags, and costs a second number to explain
(`benchmarks/results/out_of_scope.md`). The similarity is told as a rank
among the examples' own, so that a limit means the same for every task and encoder.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from safetensors.numpy import load_file, save_file

from smallfirst.answers import rounded
from smallfirst.catalogue import Example, Task
from smallfirst.catalogue.build_once import build_once
from smallfirst.catalogue.likeness import clusters_of
from smallfirst.linear.probabilities import Floats, normalise
from smallfirst_workers.encoding.states import TextStates
from smallfirst_workers.errors import TaskError
from smallfirst_workers.heads.fitting import ReadsTexts, read_examples
from smallfirst_workers.heads.heads import head_key

#: Changes whenever other numbers would be made of the same examples.
_RECIPE: Final = 1
#: The most examples that are kept of a task: 6 MB where states are 384 wide. To compare a text
#: with them takes 0.4 ms of one core, about a third of what MiniLM takes to read a short one.
MAX_EXAMPLES: Final = 4096
#: Rows of the comparison of all examples with each other that are in memory at once.
_ROWS_AT_ONCE: Final = 512
_FILE: Final = "nearest.safetensors"
#: Fewer examples make no ranks that a limit could be put on.
_FEWEST: Final = 10


@dataclass(frozen=True)
class NearestExample:
    """The examples of a task, and how near each of them is to another one.

    Attributes:
        vectors: `(examples, width)`, float32, each of length 1.
        own: `(examples,)`, float32, ascending: the cosine of each example with the nearest one
            that is not alike.
    """

    vectors: Floats
    own: Floats

    def foreignness(self, states: TextStates) -> float:
        """The share of the examples that are nearer to another one than the text is to any."""
        nearest = np.max(self.vectors @ normalise(states.vector))
        nearer = len(self.own) - np.searchsorted(self.own, nearest, side="right")
        return rounded(float(nearer) / len(self.own))

    def save(self, folder: Path) -> None:
        """Write it into an empty folder."""
        save_file({"vectors": self.vectors, "own": self.own}, folder / _FILE)

    @classmethod
    def load(cls, folder: Path) -> "NearestExample":
        """Read what `save` wrote."""
        return cls(**load_file(folder / _FILE))


def nearest_example(
    name: str, task: Task, encoder: ReadsTexts, *, features: str, cache: Path
) -> NearestExample:
    """Load what a task's examples are like from the cache, reading them first if nobody has yet.

    Args:
        name: Of the task.
        task: With its examples.
        encoder: The frozen one.
        features: Names everything that decides what states the encoder gives.
        cache: Folder of what is made once.

    Raises:
        TaskError: When the examples are too few.
    """
    if len(task.examples) < _FEWEST:
        rule = f"needs at least {_FEWEST} examples for `foreign`, and has {len(task.examples)}"
        raise TaskError(name, rule)
    made_from = f"{_RECIPE} {MAX_EXAMPLES} {head_key(task, features)}"
    folder = cache / "nearest" / hashlib.sha256(made_from.encode()).hexdigest()[:32]
    build_once(folder, lambda to: _learn(name, task, encoder).save(to))
    return NearestExample.load(folder)


def _learn(name: str, task: Task, encoder: ReadsTexts) -> NearestExample:
    chosen = task.model_copy(update={"examples": kept_examples(task)})
    states = read_examples(name, chosen, encoder)
    texts = [example.text for example in chosen.examples]
    return nearest_of(np.stack([state.vector for state in states]), texts)


def kept_examples(task: Task) -> tuple[Example, ...]:
    """Choose the examples to keep where there are too many, by the hash of their texts."""
    if len(task.examples) <= MAX_EXAMPLES:
        return task.examples
    ranked = sorted(task.examples, key=lambda each: hashlib.sha256(each.text.encode()).digest())
    return tuple(ranked[:MAX_EXAMPLES])


def nearest_of(vectors: Floats, texts: Sequence[str]) -> NearestExample:
    """Compare all examples with each other.

    Texts that are alike are not compared: with its like beside it, each would seem nearer to the
    others than a new text is.

    Args:
        vectors: `(examples, width)`, of any length.
        texts: Theirs.
    """
    unit = normalise(vectors)
    clusters = np.array(clusters_of(texts))
    own = np.empty(len(unit), np.float32)
    for start in range(0, len(unit), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        cosines = unit[rows] @ unit.T  # (rows, examples)
        cosines[clusters[rows, None] == clusters] = -1.0
        own[rows] = cosines.max(axis=1)
    return NearestExample(np.ascontiguousarray(unit, np.float32), np.sort(own))
