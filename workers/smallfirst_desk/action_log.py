"""The action log: who did what to which job, when; a chain in which no line changes or goes unseen.

Files of a folder, one a month, added to at the end alone. Each record has the hash of the one
before, over all desks that write to the folder: they take turns by a lock on it. A record names
people by pseudonyms and jobs by their place, and by a hash of their producer and id; never a text,
an answer or an address.

A chain shows what was changed, put in or taken out within it. It cannot show that its last records
are gone: for that the number and the hash of the last one are told to the log of the desk at its
start and end, and `verify` tells them too.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any, Final

#: What stands before the first record of all.
NOTHING: Final = "0" * 64
_FILES: Final = "actions-*.jsonl"
#: A record is a few hundred bytes; within this many from the end the last one is found.
_TAIL_BYTES: Final = 65_536


@dataclass(frozen=True)
class Head:
    """The last record of a chain: how many there are, and its hash."""

    number: int = 0
    hash: str = NOTHING


@dataclass(frozen=True)
class Break:
    """A place where a chain is broken: a file, a line from 1, and what is wrong."""

    file: str
    line: int
    problem: str


@dataclass(frozen=True)
class Verified:
    """What a look through all records found.

    Attributes:
        first: The number of the first record that is there; later than 1 where older files were
            taken away.
        head: The last record.
        breaks: Where the chain is broken; empty where it is whole.
    """

    first: int
    head: Head
    breaks: tuple[Break, ...]


class ActionLog:
    """The files of one folder, as one desk adds to them.

    Args:
        folder: Where they lie; None keeps nothing.
        desk: Which desk it is, as records say.
    """

    def __init__(self, folder: Path | None, desk: str) -> None:
        self._folder = folder
        self._desk = desk
        self._lock = Lock()
        self._waiting: list[dict[str, Any]] = []

    def open(self) -> Head:
        """Make the folder, which only its owner may look into; give the last record.

        Raises:
            OSError: When it cannot be made or written.
        """
        if self._folder is None:
            return Head()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._locked(self._folder):
            return _head_of(self._folder)

    def add(self, did: str, person: str | None, **about: str) -> None:
        """Add a record of what was done just now; one that cannot be written waits.

        Raises:
            OSError: When it cannot be written. It comes with the next one that can.
        """
        if self._folder is None:
            return
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        record = {"at": at, "desk": self._desk, "person": person, "did": did, **about}
        with self._lock:
            self._waiting.append(record)
            self._write_waiting(self._folder)

    def check(self) -> None:
        """See that nothing waits to be written, before more is done.

        Raises:
            OSError: When something does, and still cannot be.
        """
        with self._lock:
            if self._folder is not None and self._waiting:
                self._write_waiting(self._folder)

    def _write_waiting(self, folder: Path) -> None:
        with self._locked(folder):
            while self._waiting:
                record, head = self._waiting[0], _head_of(folder)
                path = folder / f"actions-{record['at'][:7]}.jsonl"
                newest = max(folder.glob(_FILES), default=path)
                # Of two desks whose clocks differ, one may be in the next month already.
                _append(max(path, newest), chained(record, head))
                del self._waiting[0]

    @contextmanager
    def _locked(self, folder: Path) -> Iterator[None]:
        """Keep other desks out; the lock goes with its process, however that ends."""
        place = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(place, fcntl.LOCK_EX)
            yield
        finally:
            os.close(place)


def chained(record: Mapping[str, Any], head: Head) -> dict[str, Any]:
    """A record with its number, the hash of the one before, and its own."""
    numbered = {"number": head.number + 1, **record, "before": head.hash}
    return {**numbered, "hash": hash_of(numbered)}


def hash_of(record: Mapping[str, Any]) -> str:
    """The hash of a record, but for the hash that stands in it."""
    content = {name: value for name, value in record.items() if name != "hash"}
    written = json.dumps(content, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(written.encode()).hexdigest()


def job_hash(producer: str, job_id: str) -> str:
    """By which whoever knows a job's id finds it in the log, and nobody reads the id there."""
    return hashlib.sha256(f"{producer}\n{job_id}".encode()).hexdigest()[:32]


def verify(folder: Path) -> Verified:
    """Look through all records, and name each place where the chain is broken.

    Raises:
        OSError: When a file cannot be read.
    """
    first, head, breaks = 0, None, list[Break]()
    for path in sorted(folder.glob(_FILES)):
        for line, raw in enumerate(path.read_bytes().split(b"\n")[:-1] or [b""], start=1):
            record = _record(raw)
            if record is None:
                breaks.append(Break(path.name, line, "is no record"))
                continue
            if head is None:
                first = record["number"]
                head = Head(first - 1, record["before"])
            problem = _problem(record, head)
            if problem:
                breaks.append(Break(path.name, line, problem))
            head = Head(record["number"], record["hash"])
        breaks += _torn(path)
    return Verified(first, head or Head(), tuple(breaks))


def _torn(path: Path) -> list[Break]:
    content = path.read_bytes()
    if content and not content.endswith(b"\n"):
        return [Break(path.name, content.count(b"\n") + 1, "was cut off")]
    return []


def _problem(record: Mapping[str, Any], head: Head) -> str:
    """What breaks the chain at a record; empty where nothing does."""
    if record["hash"] != hash_of(record):
        return f"record {record['number']} was changed"
    if record["number"] == head.number + 1 and record["before"] == head.hash:
        return ""
    if record["number"] > head.number + 1:
        return f"records {head.number + 1} to {record['number'] - 1} are missing before it"
    if record["number"] <= head.number:
        return f"record {record['number']} stands after record {head.number}"
    return f"record {head.number} before it is not the one that it was written after"


def _record(raw: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(raw)
    except ValueError:
        return None
    is_record = (
        isinstance(found, dict)
        and isinstance(found.get("number"), int)
        and isinstance(found.get("before"), str)
        and isinstance(found.get("hash"), str)
    )
    return found if is_record else None


def _head_of(folder: Path) -> Head:
    """The last record that is whole, in the newest file that has one."""
    for path in sorted(folder.glob(_FILES), reverse=True):
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            lines = file.read().split(b"\n")
        for raw in reversed(lines):
            record = _record(raw)
            if record is not None:
                return Head(record["number"], record["hash"])
    return Head()


def _append(path: Path, record: Mapping[str, Any]) -> None:
    """Add a line whole or not at all; what another left half stays as a line of its own."""
    line = (json.dumps(record, ensure_ascii=True) + "\n").encode()
    place = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        size = os.fstat(place).st_size
        is_torn = size > 0 and os.pread(place, 1, size - 1) != b"\n"
        whole = b"\n" + line if is_torn else line
        try:
            written = os.write(place, whole)
        except OSError:
            os.ftruncate(place, size)
            raise
        if written < len(whole):
            os.ftruncate(place, size)
            raise OSError(28, "No space left on device")
    finally:
        os.close(place)
