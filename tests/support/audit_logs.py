"""Audit logs on disk, as a test grows them by hand, and the disks that fail them."""

import os
import signal
import sqlite3
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

from tests.support.shapes import attempt_for, result_for

from smallfirst.audit_log.folder import Entry, LogFolder
from smallfirst.audit_log.index import Position
from smallfirst.audit_log.keeping import written
from smallfirst.audit_log.notes import SigningKey
from smallfirst.ledger.record_streams import Waiting
from smallfirst.ledger.records import record_of
from smallfirst.ledger.settlements import Basis, Finish

T = TypeVar("T")
KEY = SigningKey("example.com/smallfirst", bytes(range(32)))

#: The records of the log that tests of a folder share.
SIZE = 600
#: What is said of a tile of records that is gone without a word.
GONE = "and the 255 after it are gone, and no record says why"


def records(begin: int, end: int) -> list[Entry]:
    """The records of jobs `j0`, `j1` and so on, whose text says their number."""
    found = []
    for number in range(begin, end):
        result = result_for(f"j{number}", trail=(attempt_for(confidence=0.9, threshold=0.8),))
        basis = Basis(f"text {number}", "c" * 16, "d" * 16)
        finish = Finish(entry="1-1", producer="default", result=result, basis=basis)
        record, salt = record_of(finish)
        fields = {b"producer": b"default", b"id": result.id.encode(), b"salt": salt}
        found.append(Waiting(f"{number + 1}-0", {**fields, b"record": record.encode()}))
    return written(0, found)


def log_of(folder: Path, *sizes: int) -> Path:
    """A log that has grown to each of these sizes, with a checkpoint at each."""
    begin = 0
    with LogFolder(folder, KEY) as log:
        for size in sizes:
            log.append(records(begin, size), {0: Position(f"{size}-0")})
            begin = size
    return folder


def disk_that_fails_after(count: int) -> Callable[[int], None]:
    """What syncs so many files and then no more."""
    left, sync = iter(range(count)), os.fsync

    def fsync(place: int) -> None:
        if next(left, None) is None:
            raise OSError(5, "Input/output error")
        sync(place)

    return fsync


def is_killed_before(
    step: int, opened: Callable[[], AbstractContextManager[T]], do: Callable[[T], object]
) -> bool:
    """Do something in a process of its own, killed before a step on disk; say whether it was.

    Args:
        step: From 1. Steps are files that are synced, renamed or removed, and statements of SQLite,
            where several of a kind in a row are one.
        opened: What is opened before, without harm.
        do: What is done with it then.
    """
    with warnings.catch_warnings():
        # Other threads hold nothing that the child takes.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        try:
            disk = _DeadlyDisk()
            with opened() as one:
                disk.num_left = step - 1
                do(one)
                os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert status in {0, signal.SIGKILL}, status
    return status == signal.SIGKILL


class _DeadlyDisk:
    """Kills this process before a step on disk, once it knows how many are left."""

    def __init__(self) -> None:
        self.num_left: int | None = None
        self._last = ""
        for name in ("fsync", "replace", "unlink", "rmdir"):
            setattr(os, name, self._counted(getattr(os, name)))
        sqlite3.connect = self._traced(sqlite3.connect)

    def _count(self) -> None:
        if self.num_left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.num_left is not None:
            self.num_left -= 1

    def _counted(self, do: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*given: Any, **named: Any) -> Any:
            self._count()
            return do(*given, **named)

        return counted

    def _traced(self, connect: Callable[..., sqlite3.Connection]) -> Callable[..., Any]:
        def traced(*given: Any, **named: Any) -> sqlite3.Connection:
            connection = connect(*given, **named)
            connection.set_trace_callback(self._trace)
            return connection

        return traced

    def _trace(self, statement: str) -> None:
        kind = statement[:20]
        if kind != self._last:
            self._count()
        self._last = kind
