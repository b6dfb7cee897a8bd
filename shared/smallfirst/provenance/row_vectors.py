"""The rows that a head learned from, as the vectors that its encoder made of them.

They stand in the head's folder, so that an answer can name the rows that a text is like, and so
that a row can be taken out: no text is among them, but a vector tells of its text. They are no part
of the model: with or without them it has one revision and gives the same answers.
"""

import base64
import hashlib
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from smallfirst.catalogue.whole_files import write_whole

#: In the folder of a head: a row a line.
ROW_VECTORS: Final = "row_vectors.jsonl"
#: The most bytes of vectors that are kept: 10,416 rows where states are 384 wide.
MAX_VECTOR_BYTES: Final = 8_000_000
#: What a number of a vector takes, as float16.
_BYTES_OF_NUMBER: Final = 2
_HASH_DIGITS: Final = 16


@dataclass(frozen=True)
class TaughtRow:
    """A row that had a part in a head.

    Attributes:
        number: Where it stands among the rows, from 1.
        key: Of its text; see `text_key`.
        labels: Its right answer: of many labels the first ones.
        ids: Hashes of the ids that it has, by which it is found when a person is forgotten.
        vector: `(width,)`, float16, little-endian, of length 1.
    """

    number: int
    key: str
    labels: tuple[str, ...]
    ids: tuple[str, ...]
    vector: bytes

    def as_json(self) -> str:
        """Write it as a line."""
        vector = base64.b64encode(self.vector).decode()
        return json.dumps({**vars(self), "vector": vector})

    @classmethod
    def of_line(cls, line: str) -> "TaughtRow":
        """Read a line.

        Raises:
            ValueError: When it is none.
        """
        try:
            said: dict[str, Any] = json.loads(line)
            labels, ids = tuple(map(str, said["labels"])), tuple(map(str, said["ids"]))
            vector = base64.b64decode(said["vector"], validate=True)
            number, key = int(said["number"]), str(said["key"])
        except (LookupError, TypeError, ValueError, RecursionError) as err:
            raise ValueError("no line of a taught row") from err
        if number < 1 or len(key) > _HASH_DIGITS or not all(labels):
            raise ValueError("no line of a taught row")
        return cls(number, key, labels, ids, vector)


def id_hash(job_id: str) -> str:
    """Hash an id, 16 hexadecimal digits: a model's folder names nobody's ids."""
    return hashlib.sha256(job_id.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_DIGITS]


def kept_places(keys: Sequence[str], width: int) -> list[int]:
    """Choose the rows whose vectors are kept, by the hashes of their texts; in their order.

    Args:
        keys: Of all rows.
        width: Of a vector.
    """
    room = MAX_VECTOR_BYTES // (_BYTES_OF_NUMBER * width)
    return sorted(sorted(range(len(keys)), key=lambda place: keys[place])[:room])


def write_rows(folder: Path, rows: Iterable[TaughtRow]) -> None:
    """Write rows into a head's folder, whole or not at all."""
    write_whole(folder / ROW_VECTORS, "".join(f"{row.as_json()}\n" for row in rows))


def read_rows(path: Path) -> list[TaughtRow]:
    """Read the rows of a head.

    Raises:
        OSError: When the file cannot be read.
        ValueError: When a line of it cannot.
    """
    return [TaughtRow.of_line(line) for line in path.read_text("utf-8").splitlines()]


def forget_rows(path: Path, job_ids: Collection[str], keys: Collection[str] = ()) -> int:
    """Take the rows of jobs out of a head's file, and every other row with the same text.

    Args:
        path: Of the file.
        job_ids: Of the jobs.
        keys: Of texts that are known to be theirs, whatever ids they had when the head learned.

    Returns:
        How many there were.

    Raises:
        OSError: When the file cannot be read or written.
        ValueError: When a line of it cannot be read.
    """
    rows, wanted = read_rows(path), {id_hash(each) for each in job_ids}
    gone = {row.key for row in rows if not wanted.isdisjoint(row.ids)} | set(keys)
    kept = [row for row in rows if row.key not in gone]
    if len(kept) < len(rows):
        write_rows(path.parent, kept)
    return len(rows) - len(kept)
