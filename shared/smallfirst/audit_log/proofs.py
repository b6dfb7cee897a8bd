"""Proofs that a job's record is in the log, each a text that is verified without us and without it.

Source: https://c2sp.org/tlog-proof
"""

import base64
import json
from pathlib import Path
from typing import Final

from smallfirst.audit_log.folder import CHECKPOINT, read_checkpoint
from smallfirst.audit_log.index import Index
from smallfirst.audit_log.merkle import hash_of_leaf, path_to, root_by_path
from smallfirst.audit_log.notes import VerifierKey
from smallfirst.audit_log.tiles import Tiles
from smallfirst.errors import AuditLogError

_FORMAT: Final = "c2sp.org/tlog-proof@v1"


def prove(folder: Path, key: VerifierKey, producer: str, job_id: str) -> str | None:
    """Prove that the last record of a job is in the log; None where there is none.

    Beside the proof stand, as its `extra`, the record and its salt (JSON): with the job's id, its
    text and its answer whoever has them sees that they are what the record is about.

    Raises:
        AuditLogError: When the log is damaged on the way.
    """
    signed = read_checkpoint(folder, key)
    with Index(folder) as index:
        rows = [row for row in index.find(producer, job_id) if row.number < signed.size]
    if not rows:
        return None
    number, salt = rows[-1].number, rows[-1].salt
    record, path = proven_record(Tiles(folder, signed.size), signed.root, number)
    extra = json.dumps({"salt": salt.hex(), "record": record.decode()}).encode()
    lines = [_FORMAT, f"extra {_written(extra)}", f"index {number}", *map(_written, path)]
    return "\n".join(lines) + "\n\n" + (folder / CHECKPOINT).read_bytes().decode()


def proven_record(tiles: Tiles, root: bytes, number: int) -> tuple[bytes, list[bytes]]:
    """A record, and the hashes by which it is seen to be under a signed root.

    Raises:
        AuditLogError: When the log is damaged on the way.
    """
    record = tiles.entry(number)
    path = path_to(number, tiles.size, tiles.root)
    if root_by_path(hash_of_leaf(record), number, tiles.size, path) != root:
        remedy = "smallfirst audit-log verify says where"
        raise AuditLogError("audit log", f"is broken on the way to record {number}", remedy)
    return record, path


def _written(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
