"""The index: where in the log a job's record is, and the salt by which it can be shown.

It lies beside the log and is no part of it: what is deleted here leaves the log's tree whole. One
file of SQLite, and beside it the file of what was written last, `index-wal`. What is deleted is
overwritten in both once `overwrite` has said so, and not before.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from time import monotonic, sleep
from typing import Final, NamedTuple, Self

from smallfirst.errors import AuditLogError

FILE: Final = "index"
#: How long to wait, in seconds, for others who read or write.
PATIENCE: Final = 10.0
_EVERY: Final = 0.02
#: How many rows are read at once: who reads on and on keeps what is deleted from being overwritten.
_PAGE: Final = 5000
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS records (
  number INTEGER PRIMARY KEY, job BLOB NOT NULL, salt BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS records_by_job ON records (job);
CREATE TABLE IF NOT EXISTS positions (
  size INTEGER, slice INTEGER, entry TEXT NOT NULL, lost INTEGER NOT NULL,
  PRIMARY KEY (size, slice));
"""


class Row(NamedTuple):
    """Whose a record is, and its salt."""

    number: int
    job: bytes
    salt: bytes


class Position(NamedTuple):
    """How far a slice's records are in the log.

    Attributes:
        entry: The last that is.
        lost: How many results have no record, as the log tells already.
    """

    entry: str = ""
    lost: int = 0


class Index:
    """The index of one log; use as a context.

    Args:
        folder: Of the log.
        may_write: Whether rows are added, or only looked up.
        patience: How long to wait, in seconds, for others who read or write.
    """

    def __init__(
        self, folder: Path, *, may_write: bool = False, patience: float = PATIENCE
    ) -> None:
        self._path = folder / FILE
        self._may_write = may_write
        self._patience = patience
        # Whoever wrote here before may have been killed before it had overwritten anything.
        self._is_due = may_write

    def __enter__(self) -> Self:
        if not self._may_write and not self._path.exists():
            raise AuditLogError(FILE, "is missing", "bring it back from a copy")
        try:
            self._open()
        except sqlite3.Error as error:
            raise _damaged(error) from error
        return self

    def _open(self) -> None:
        mode = "mode=rwc" if self._may_write else "mode=rw"
        if not os.access(self._path.parent, os.W_OK):
            # A copy: nobody writes there, and SQLite could not make the files of its own either.
            mode = "mode=ro&immutable=1"
        uri = f"{self._path.absolute().as_uri()}?{mode}"
        # The keeper's thread is not the one that opened it.
        self._rows = sqlite3.connect(uri, uri=True, timeout=self._patience, check_same_thread=False)
        if self._may_write:
            self._rows.execute("PRAGMA secure_delete = ON")
            self._path.chmod(0o600)
            self._rows.execute("PRAGMA journal_mode = WAL")
            self._rows.execute("PRAGMA synchronous = FULL")
            self._rows.executescript(_SCHEMA)

    def __exit__(self, *_: object) -> None:
        self._rows.close()

    def add(self, size: int, rows: Iterable[Row], positions: Mapping[int, Position]) -> None:
        """Add rows, and note how far each slice is where the log has this size; all or nothing.

        What was noted for the size before stays, until that checkpoint is surely no more the last.

        Raises:
            AuditLogError: When the index is damaged or cannot be written.
        """
        noted = [(size, number, *position) for number, position in positions.items()]
        try:
            with self._rows:
                self._rows.executemany("INSERT OR REPLACE INTO records VALUES (?, ?, ?)", rows)
                self._rows.executemany(
                    "INSERT OR REPLACE INTO positions VALUES (?, ?, ?, ?)", noted
                )
        except sqlite3.Error as error:
            raise _damaged(error) from error

    def settle(self, size: int) -> dict[int, Position]:
        """Forget what belongs to no checkpoint but the one of this size; say how far slices are."""
        try:
            with self._rows:
                self._rows.execute("DELETE FROM records WHERE number >= ?", (size,))
                self._rows.execute("DELETE FROM positions WHERE size <> ?", (size,))
            found = self._rows.execute("SELECT slice, entry, lost FROM positions")
            return {number: Position(entry, lost) for number, entry, lost in found}
        except sqlite3.Error as error:
            raise _damaged(error) from error

    def remove(self, below: int) -> None:
        """Remove the rows of the records below a number, with their salts; `overwrite` ends it.

        Raises:
            AuditLogError: When the index is damaged or cannot be written.
        """
        self._delete("DELETE FROM records WHERE number < ?", [(below,)])

    def find(self, producer: str, job_id: str) -> list[Row]:
        """The records of a job, in order: more than one where its id was used again."""
        query = "SELECT number, job, salt FROM records WHERE job = ? ORDER BY number"
        try:
            return [Row(*row) for row in self._rows.execute(query, (job_key(producer, job_id),))]
        except sqlite3.Error as error:
            raise _damaged(error) from error

    def erase(self, jobs: Iterable[tuple[str, str]]) -> int:
        """Erase the salts of jobs' records, so that nobody can show whose they are; say how many.

        The records stay, and the log's tree with them: without its salt a record's hashes say
        nothing of the job, its text or its answer. `overwrite` ends it.

        Args:
            jobs: The producer and the id of each.
        """
        keys = [(job_key(*job),) for job in jobs]
        return self._delete("DELETE FROM records WHERE job = ?", keys)

    def _delete(self, query: str, values: Iterable[tuple[int | bytes]]) -> int:
        try:
            with self._rows:
                count = self._rows.executemany(query, values).rowcount
        except sqlite3.Error as error:
            raise _damaged(error) from error
        self._is_due |= count > 0
        return max(count, 0)

    def overwrite(self) -> bool:
        """Have what was deleted overwritten on disk; False where others read, and it still stands.

        A row that is deleted is overwritten on its page, and that page is written to `index-wal`:
        the old one stands in `index`, or further ahead in `index-wal`, until all of that is copied
        and `index-wal` is cut off. Source: https://sqlite.org/pragma.html#pragma_wal_checkpoint

        Raises:
            AuditLogError: When the index is damaged or cannot be written.
        """
        until = monotonic() + self._patience
        try:
            while self._is_due:
                # SQLite waits for readers, and not for another one that copies.
                [is_busy, *_] = self._rows.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                self._is_due = bool(is_busy)
                if is_busy and monotonic() >= until:
                    return False
                sleep(_EVERY * is_busy)
        except sqlite3.Error as error:
            raise _damaged(error) from error
        return True

    def rows(self) -> Iterator[Row]:
        """All rows, in order, once it is seen that the file is whole.

        Raises:
            AuditLogError: When it is not.
        """
        query = "SELECT number, job, salt FROM records WHERE number >= ? ORDER BY number LIMIT ?"
        begin = 0
        try:
            [[found]] = self._rows.execute("PRAGMA integrity_check(1)").fetchall()
            if found != "ok":
                raise AuditLogError(FILE, f"is damaged: {found}", _REMEDY)
            while page := self._rows.execute(query, (begin, _PAGE)).fetchall():
                yield from (Row(*row) for row in page)
                begin = page[-1][0] + 1
        except sqlite3.Error as error:
            raise _damaged(error) from error


def job_key(producer: str, job_id: str) -> bytes:
    """By which a job is looked up."""
    return sha256(f"{producer}\0{job_id}".encode("utf-8", "surrogatepass")).digest()[:16]


_REMEDY: Final = "bring it back from a copy: without it nobody can show whose a record is"


def _damaged(error: sqlite3.Error) -> AuditLogError:
    return AuditLogError(FILE, f"cannot be read or written: {error}", _REMEDY)
