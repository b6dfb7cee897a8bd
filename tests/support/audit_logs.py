"""Audit logs on disk, as a test grows them by hand."""

from pathlib import Path

from tests.support.shapes import attempt_for, result_for

from smallfirst.audit_log.folder import Entry, LogFolder
from smallfirst.audit_log.index import Position
from smallfirst.audit_log.keeping import written
from smallfirst.audit_log.notes import SigningKey
from smallfirst.ledger.record_streams import Waiting
from smallfirst.ledger.records import record_of
from smallfirst.ledger.settlements import Basis, Finish

KEY = SigningKey("example.com/smallfirst", bytes(range(32)))


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
