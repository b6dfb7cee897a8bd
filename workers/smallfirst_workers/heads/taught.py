"""Which of the rows that a head learned from a text is most like, in the encoder's space."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import structlog

from smallfirst.answers import MOST_ALIKE, MOST_LABELS, LikeExample, like_example
from smallfirst.catalogue import Example, Task
from smallfirst.catalogue.file_stamps import Stamp, stamp_of
from smallfirst.catalogue.likeness import text_key
from smallfirst.kinds import KINDS
from smallfirst.linear.probabilities import Floats, normalise
from smallfirst.provenance.row_vectors import (
    ROW_VECTORS,
    TaughtRow,
    id_hash,
    kept_places,
    read_rows,
)
from smallfirst_workers.encoding.states import TextStates

#: A number of a vector as it is kept.
_NUMBER: Final = np.dtype("<f2")

log = structlog.get_logger()


@dataclass(frozen=True)
class _Read:
    """Rows as they stand on disk.

    Attributes:
        vectors: `(rows, width)`, float32.
        rows: What stands there of each.
    """

    vectors: Floats
    rows: tuple[TaughtRow, ...]


_NO_ROWS = _Read(np.zeros((0, 0), np.float32), ())


class TaughtRows:
    """The rows beside a head: read when the first job asks why, and again where some were removed.

    A head of an earlier version has none beside it, and then none is named.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / ROW_VECTORS
        self._stamp: Stamp | None = None
        self._read = _NO_ROWS

    def most_alike(self, states: TextStates) -> tuple[LikeExample, ...]:
        """Name the rows most like a text, the most alike first; those that are unlike it not."""
        read = self._up_to_date()
        vector = normalise(states.vector)
        if read.vectors.shape[1] != len(vector):
            return ()
        cosines = read.vectors @ vector
        ranked = np.argsort(-cosines, kind="stable")[:MOST_ALIKE].tolist()
        found = ((read.rows[place], float(cosines[place])) for place in ranked)
        return tuple(
            like_example(row.number, row.labels, row.key, likeness)
            for row, likeness in found
            if likeness > 0
        )

    def _up_to_date(self) -> _Read:
        stamp = stamp_of(self._path)
        if stamp != self._stamp:
            self._stamp, self._read = stamp, _NO_ROWS if stamp is None else _load(self._path)
        return self._read


def _load(path: Path) -> _Read:
    """Read rows; what cannot be read costs a job its nearest rows, and nothing else."""
    try:
        rows = tuple(read_rows(path))
        vectors = [np.frombuffer(row.vector, _NUMBER) for row in rows]
        return _Read(np.stack(vectors).astype(np.float32), rows) if rows else _NO_ROWS
    except (OSError, ValueError) as error:
        log.warning(
            "taught_rows.unreadable",
            path=str(path),
            error=type(error).__name__,
            consequence="answers name no rows that they are like; train the head anew",
        )
        return _NO_ROWS


def taught_rows(
    task: Task,
    examples: Sequence[Example],
    vectors: Floats,
    *,
    numbers: Sequence[int],
    ids: Sequence[Collection[str]],
) -> list[TaughtRow]:
    """Lay out the rows of a head, as many as are kept.

    Args:
        task: Theirs.
        examples: At least one.
        vectors: What the encoder made of them: `(examples, width)`, of any length.
        numbers: Of the examples, from 1.
        ids: That each has.
    """
    keys = [text_key(example.text) for example in examples]
    labels_of, numeric = KINDS[task.kind].labels_of, normalise(vectors).astype(_NUMBER)
    return [
        TaughtRow(
            number=numbers[place],
            key=keys[place],
            labels=tuple(labels_of(examples[place])[:MOST_LABELS]),
            ids=tuple(map(id_hash, ids[place])),
            vector=numeric[place].tobytes(),
        )
        for place in kept_places(keys, vectors.shape[1])
    ]
