"""Who learns, who chooses and who promises: every row has one part, by its text's likeness. Pure.

Texts that are alike share a side, so that no template is both learned and judged. *Learning* rows
become the task's examples, and choose among the candidates by cross-validation; *promising* rows
are learned by nobody and chosen by nobody, and the promise and the final figures are made on them.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from smallfirst.catalogue import Example, Task
from smallfirst.catalogue.likeness import clusters_of
from smallfirst.catalogue.model_tasks import MIN_EXAMPLES_PER_LABEL
from smallfirst.evaluation.rows import Row
from smallfirst.kinds import KINDS
from smallfirst.linear.regression import deal

#: From so many rows on a fifth promises; of fewer, two fifths: a promise of 2 % takes 149 rows.
_MANY_ROWS = 2_000
#: From so many learning rows on one fold of five judges; of fewer, all do in turn.
_ONE_FOLD_FROM = 2_500
#: The most rows that judge candidates: intervals of two points either way.
MOST_JUDGES = 2_000


@dataclass(frozen=True)
class Fold:
    """Rows that judge models which have learned from all other learning rows.

    Attributes:
        name: Unique among the parts of one fitting.
        taught: What is learned from.
        judges: What is left out, and asked about.
    """

    name: str
    taught: tuple[Row, ...]
    judges: tuple[Row, ...]


@dataclass(frozen=True)
class Dealt:
    """The parts of the rows.

    Attributes:
        learning: The task's examples.
        promising: Learned from by nobody.
        folds: For the choice: at least one where the learning rows suffice.
        rare: Labels that have too few rows to be judged: all of theirs are learned from.
        num_teaching: How many of the learning rows were not dealt, but only teach.
    """

    learning: tuple[Row, ...]
    promising: tuple[Row, ...]
    folds: tuple[Fold, ...]
    rare: tuple[str, ...]
    num_teaching: int = 0

    @property
    def num_dealt(self) -> int:
        """The rows that were drawn by chance, whichever side they were dealt to."""
        return len(self.learning) + len(self.promising) - self.num_teaching


def dealt(rows: Sequence[Row], task: Task) -> Dealt:
    """Deal the rows, by the hashes of their texts: the same rows always get the same parts."""
    folds = _folds(rows, task)
    promises = folds < (1 if len(rows) >= _MANY_ROWS else 2)
    # What has no label cannot be learned, and is promised of all the same.
    is_foreign = np.array([not _answers(row.example, task) for row in rows], np.bool_)
    promises |= is_foreign
    kept = _too_few(rows, task, promises)
    promises &= ~np.array([bool(kept & set(_labels(row, task))) for row in rows], np.bool_)
    learning = tuple(row for row, away in zip(rows, promises, strict=True) if not away)
    promising = by_chance(row for row, away in zip(rows, promises, strict=True) if away)
    return Dealt(learning, promising, _crossed(learning, task), tuple(sorted(kept)))


def with_teaching(parts: Dealt, rows: Sequence[Row], task: Task) -> Dealt:
    """Let more rows teach that choose nothing and promise nothing: they are no draw from a stream.

    Those that are like a dealt row are left out, since that one may judge who has learned them; and
    so is what has no label.
    """
    dealt_texts = [row.example.text for row in (*parts.learning, *parts.promising)]
    clusters = clusters_of([*dealt_texts, *(row.example.text for row in rows)])
    taken, own = set(clusters[: len(dealt_texts)]), clusters[len(dealt_texts) :]
    new = tuple(
        row
        for row, cluster in zip(rows, own, strict=True)
        if cluster not in taken and _answers(row.example, task)
    )
    folds = tuple(replace(fold, taught=(*fold.taught, *new)) for fold in parts.folds)
    learning = (*parts.learning, *new)
    return replace(parts, learning=learning, folds=folds, num_teaching=len(new))


def by_chance(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Put rows in an order of chance, the same each time: the first of them are a sample."""
    return tuple(sorted(rows, key=lambda row: hashlib.sha256(row.key.encode()).digest()))


def _crossed(rows: Sequence[Row], task: Task) -> tuple[Fold, ...]:
    """Leave each fold out in turn, or, where rows are many, one."""
    folds, found = _folds(rows, task), []
    for number in range(1 if len(rows) >= _ONE_FOLD_FROM else 5):
        out = folds == number
        kept = _too_few(rows, task, out)
        is_judge = out & ~np.array([bool(kept & set(_labels(row, task))) for row in rows], np.bool_)
        judges = by_chance(row for row, judges in zip(rows, is_judge, strict=True) if judges)
        taught = tuple(row for row, judges in zip(rows, is_judge, strict=True) if not judges)
        if judges:
            found.append(Fold(f"fold-{number}", taught, judges[:MOST_JUDGES]))
    return tuple(found)


def _folds(rows: Sequence[Row], task: Task) -> NDArray[np.int64]:
    """Deal rows into five folds, each label evenly: `(rows,)`."""
    groups = {label: number for number, label in enumerate(task.labels, start=1)}
    firsts = [next(iter(_labels(row, task)), "") for row in rows]
    numbers = np.array([groups.get(label, 0) for label in firsts], np.int64)
    # In what order the file has them does not count, even where texts that are alike disagree.
    order = sorted(range(len(rows)), key=lambda at: (rows[at].key, firsts[at]))
    folds = np.zeros(len(rows), np.int64)
    folds[order] = deal([rows[at].example for at in order], numbers[order])
    return folds


def _too_few(rows: Sequence[Row], task: Task, is_out: NDArray[np.bool_]) -> frozenset[str]:
    """The labels of which too few rows would be left to learn from."""
    left = Counter(
        label
        for row, out in zip(rows, is_out, strict=True)
        if not out
        for label in _labels(row, task)
    )
    return frozenset(label for label in task.labels if left[label] < MIN_EXAMPLES_PER_LABEL)


def _labels(row: Row, task: Task) -> tuple[str, ...]:
    return KINDS[task.kind].labels_of(row.example)


def _answers(example: Example, task: Task) -> bool:
    """Whether a row says something that can be learned."""
    return KINDS[task.kind].gold_of(example) is not None
