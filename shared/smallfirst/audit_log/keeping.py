"""Keeping the log: records are taken up from every slice, written, and only then forgotten there.

A record that is on disk names the entry it came from; after a crash the keeper goes on behind the
last of them, so that none is in the log twice and none is missing.
"""

import os
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from time import monotonic, time
from typing import Final, Literal

import structlog
from pydantic import TypeAdapter
from redis.exceptions import RedisError

from smallfirst.audit_log.folder import Entry, LogFolder
from smallfirst.audit_log.index import Position
from smallfirst.audit_log.notes import Checkpoint, VerifierKey
from smallfirst.audit_log.places import begin_of
from smallfirst.audit_log.pruning import pruned_record
from smallfirst.audit_log.tiles import MAX_ENTRY_BYTES, WIDTH
from smallfirst.errors import AuditLogError
from smallfirst.ledger.record_streams import RecordStream, Waiting
from smallfirst.ledger.records import (
    SALT_BYTES,
    GapRecord,
    VoidRecord,
    bare_record,
    salt_digest,
)
from smallfirst.telemetry.outages import tell
from smallfirst.wire import Wire

log = structlog.get_logger()

#: The most records of a slice that one checkpoint takes in.
READ_COUNT = 2000
#: How long after one look for records to remove comes the next.
_PRUNE_SECONDS = 60.0
_BEGIN = b'{"kind":"result",'
#: The most bytes of a producer's name, an id, or an entry.
_MOST_BYTES = 4096


class Keeper:
    """Takes up the records of all slices.

    Args:
        folder: The open log.
        streams: Of all slices, the first one first.
        verifier: The key of the log.
    """

    def __init__(
        self, folder: LogFolder, streams: Sequence[RecordStream], verifier: VerifierKey
    ) -> None:
        self._folder = folder
        self._streams = streams
        self._verifier = verifier
        self._next_prune = 0.0

    def open(self) -> None:
        """Have results recorded from now on.

        Raises:
            AuditLogError: When the folder is older than what was signed, or of another log.
        """
        head = self._streams[0].head
        if head:
            self._compare(self._verifier.opened(head))
        is_first = not (head or self._folder.size)
        gone = [each for each in self._streams if each.open() and not is_first]
        self._append(
            [self._gap(each, None) for each in gone], {each.slice: Position() for each in gone}
        )

    def _compare(self, head: Checkpoint) -> None:
        mine = self._verifier.opened(self._folder.checkpoint)
        if head.size < mine.size or head == mine:
            return
        reason = f"has {mine.size} records, and {head.size} were signed"
        if head.size == mine.size:
            reason = "is not what was signed"
        remedy = "bring back the newest copy; or begin anew after smallfirst audit-log close"
        raise AuditLogError("the log's folder", reason, remedy)

    def turn(self) -> int:
        """Take up what waits; give how many entries that was.

        Raises:
            OSError: When it cannot be written; nothing is forgotten then.
        """
        entries, positions = list[Entry](), dict[int, Position]()
        for stream in self._streams:
            position = self._folder.positions.get(stream.slice, Position())
            count = whole_tiles(self._folder.size + len(entries), stream.num_waiting)
            found = stream.read(position.entry, count + 1)
            lost = stream.lost
            entries += written(stream.slice, found)
            if not found and not stream.is_open:
                stream.open()
                entries.append(self._gap(stream, None))
                positions[stream.slice] = position = Position("", lost)
            if lost > position.lost:
                entries.append(self._gap(stream, lost))
            if found or lost != position.lost:
                last = found[-1].entry if found else position.entry
                positions[stream.slice] = Position(last, lost)
        self._append(entries, positions)
        return len(entries)

    def _append(self, entries: Sequence[Entry], positions: dict[int, Position]) -> None:
        if entries or positions:
            self._folder.append(entries, positions)
            self._streams[0].note_head(self._folder.checkpoint)
        for stream in self._streams:
            if stream.slice in positions and positions[stream.slice].entry:
                stream.forget(positions[stream.slice].entry)

    def prune(self, than_ms: int) -> int:
        """Remove records that are older, by whole tiles; give before which they are removed now.

        The log itself says so first, and it is signed: what is gone without that was taken out.
        What an earlier look was kept from removing is removed before.

        Raises:
            OSError: When the folder cannot be written.
            AuditLogError: When the tile that might go is damaged; all that is older is gone then.
        """
        is_overwritten = self._folder.remove()
        below = self._folder.older(than_ms)
        if below:
            self._append([Entry(pruned_record(below))], {})
            is_overwritten = self._folder.remove(below)
            log.info("audit_log.pruned", below=below)
        if not is_overwritten:
            log.warning(
                "audit_log.salts_left",
                consequence="salts that were removed can still be found in index-wal",
                remedy="end what reads the index for so long; the next look tries again",
            )
        return below

    def _gap(self, stream: RecordStream, lost: int | None) -> Entry:
        consequence = (
            "so many results have no record" if lost else "some results may have no record"
        )
        log.error("audit_log.gap", slice=stream.slice, lost=lost, consequence=consequence)
        position = self._folder.positions.get(stream.slice, Position())
        gap = GapRecord(kind="gap", slice=stream.slice, entry=position.entry, lost=lost)
        return Entry(gap.model_dump_json().encode())

    def run(
        self,
        stop: threading.Event,
        pause: timedelta,
        beat: Callable[[], object],
        keep: timedelta | None = None,
    ) -> None:
        """Take up records until told to stop, through outages; and once more at the end.

        Args:
            stop: Whether to stop.
            pause: Between two looks.
            beat: What is called at each, as a sign of life.
            keep: How long records are kept; None for ever.
        """
        while not stop.wait(pause.total_seconds()):
            self._take_up(beat, keep)
        self._take_up(beat, None)

    def _take_up(self, beat: Callable[[], object], keep: timedelta | None) -> None:
        try:
            beat()
            while self.turn() >= READ_COUNT // 2:
                beat()
        except RedisError as error:
            tell(error, consequence="records wait in Redis")
        except (OSError, AuditLogError) as error:
            log.exception(
                "audit_log.unwritten",
                error=type(error).__name__,
                consequence="records wait in Redis until they can be written",
                remedy=_remedy_of(error),
            )
        if keep is not None and monotonic() >= self._next_prune:
            self._next_prune = monotonic() + _PRUNE_SECONDS
            self._prune_old(keep)

    def _prune_old(self, keep: timedelta) -> None:
        """Remove what is older than that; where it fails, records are taken up all the same."""
        try:
            self.prune(int((time() - keep.total_seconds()) * 1000))
        except RedisError as error:
            tell(error, consequence="old records of the audit log stay for now")
        except (OSError, AuditLogError) as error:
            log.exception(
                "audit_log.unpruned",
                error=type(error).__name__,
                consequence="older records stay than are to be kept; new ones are taken up",
                remedy=_remedy_of(error),
            )


def _remedy_of(error: OSError | AuditLogError) -> str:
    if isinstance(error, AuditLogError):
        return error.remedy
    return "make room in the folder that SMALLFIRST_AUDIT_LOG names"


def whole_tiles(size: int, waiting: int) -> int:
    """How many records to take up, so that the last tile is whole by them: it is written once.

    What is left waits for the next turn. Where no tile would be whole all are taken.

    Args:
        size: How many records are in the log already.
        waiting: How many wait.
    """
    last = (size + min(waiting, READ_COUNT)) // WIDTH * WIDTH
    return last - size if last > size else READ_COUNT


def written(number: int, found: Sequence[Waiting]) -> list[Entry]:
    """The records of a slice as the log has them; of what is void there is none."""
    void = {_text(fields, b"void") for _, fields in found if b"void" in fields}
    there = {each.entry for each in found}
    entries = list[Entry]()
    for entry, fields in found:
        if b"void" not in fields and entry not in void:
            entries.append(_entry_of(number, entry, fields))
        elif b"void" in fields and (of := _text(fields, b"void")) not in there:
            record = VoidRecord(kind="void", slice=number, entry=entry, of=of)
            entries.append(Entry(record.model_dump_json().encode()))
    return entries


def _entry_of(number: int, entry: str, fields: dict[bytes, bytes]) -> Entry:
    producer, job_id = _text(fields, b"producer"), _text(fields, b"id")
    salt, record = fields.get(b"salt", b""), fields.get(b"record", b"")
    place = begin_of(number, entry)
    whole = place + record[1:]
    is_whole = record.startswith(_BEGIN) and salt and len(whole) <= MAX_ENTRY_BYTES
    if not (is_whole and _is_result(whole, number, entry, salt)):
        salt = os.urandom(SALT_BYTES)
        bare = bare_record(producer, job_id, salt).model_dump_json(exclude_defaults=True)
        whole = place + bare.encode()[1:]
    return Entry(whole, salt, producer, job_id)


class _Told(Wire):
    """What a result's record says of itself, to a reader to whom the last of two equal keys counts.

    Nothing else of it is read: every result pays for this.
    """

    kind: Literal["result"]
    slice: int
    entry: str
    salt: str


_TOLD: Final = TypeAdapter(_Told)


def _is_result(whole: bytes, number: int, entry: str, salt: bytes) -> bool:
    """Whether a record is what its place and its salt say, whatever stands in it twice.

    Its beginning says so too, for readers to whom the first of two equal keys counts.
    """
    try:
        told = _TOLD.validate_json(whole, extra="ignore")
    except ValueError:
        return False
    return (told.slice, told.entry, told.salt) == (number, entry, salt_digest(salt))


def _text(fields: dict[bytes, bytes], name: bytes) -> str:
    """A field as text, cut off where no fleet writes that much: what comes in is written anyway."""
    return fields.get(name, b"")[:_MOST_BYTES].decode(errors="replace")
