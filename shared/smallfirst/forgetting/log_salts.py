"""Erasing the salts by which records of the audit log could be shown to be a person's."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from smallfirst.audit_log.index import FILE, Index
from smallfirst.errors import AuditLogError
from smallfirst.forgetting.ending import PATIENCE, left_after
from smallfirst.forgetting.errors import WrongPlace
from smallfirst.forgetting.forgotten import Failure, JobName
from smallfirst.forgetting.in_files import reason_of
from smallfirst.ledger.record_streams import RecordStream
from smallfirst.ledger.slices import Slice


@dataclass(frozen=True)
class Erased:
    """How many records are shown as theirs no more, and what went wrong."""

    number: int = 0
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True)
class _Waiting:
    """The records of a slice up to one that waited when the jobs had ended."""

    stream: RecordStream
    last: str

    def is_taken_up(self) -> bool:
        return not self.stream.has_waiting(self.last)


def look_at(folder: Path) -> None:
    """See that an audit log is there.

    Raises:
        WrongPlace: When none is.
    """
    if not (folder / FILE).is_file():
        raise WrongPlace(str(folder), "no audit log is there", "see --log")


def erase(
    folder: Path, jobs: Iterable[JobName], slices: Sequence[Slice], seconds: float = PATIENCE
) -> Erased:
    """Erase the salts of jobs' records, once the log's keeper has taken up what it has not yet.

    On a busy fleet others' records wait at any time; what came later than the jobs' ends is none of
    theirs.

    Args:
        folder: Of the log.
        jobs: Which have ended.
        slices: Of the fleet.
        seconds: How long the keeper may take.
    """
    streams = [RecordStream(place.redis, place.keys) for place in slices]
    waiting = [_Waiting(each, each.last_entry) for each in streams]
    failures = list[Failure]()
    if left_after(waiting, _Waiting.is_taken_up, seconds):
        reason = "the audit log's keeper takes no records up, some of which may be theirs"
        failures.append(Failure(str(folder), reason, "start it"))
    try:
        with Index(folder, may_write=True) as index:
            number = index.erase(jobs)
            if not index.overwrite():
                reason = "others read it, and what was erased can still be found in index-wal"
                failures.append(Failure(str(folder / FILE), reason, "end what reads it so long"))
    except (OSError, AuditLogError) as error:
        failures.append(_failure(folder, error))
        number = 0
    return Erased(number, tuple(failures))


def _failure(folder: Path, error: OSError | AuditLogError) -> Failure:
    if isinstance(error, AuditLogError):
        return Failure(str(folder / error.place), error.reason, error.remedy)
    remedy = "have its owner give the command again"
    return Failure(str(folder / FILE), reason_of(error), remedy)
