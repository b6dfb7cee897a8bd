"""Replay: whether a job, asked again, ends as its record says.

A record holds neither text nor answer. Whoever still has the text asks again with it; its hash
under the record's salt says that it is the text of then, and the new answer's hash whether the
answer is. This module finds records and compares; who asks is `smallfirst audit-log replay`.
"""

from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from smallfirst.agreement.answer_keys import answer_key
from smallfirst.answers import UnknownAnswer
from smallfirst.audit_log.index import Index
from smallfirst.audit_log.proofs import proven_record
from smallfirst.audit_log.tiles import Tiles
from smallfirst.catalogue import Kind
from smallfirst.jobs import Attempt, Result, Status, Tier
from smallfirst.ledger.records import RecordedAttempt, ResultRecord, read_record, salted

#: How a job ends that was asked to its end; all else tells of deadlines, faults, cancellations.
_REPEATABLE: Final = frozenset({Status.ANSWERED, Status.ABSTAINED})


class Verdict(StrEnum):
    """What came of asking again."""

    EQUAL = "equal"
    DIFFERENT = "different"
    OTHER_SETTINGS = "other settings"
    NOT_ASKED = "not asked"


@dataclass(frozen=True)
class Recorded:
    """A result as the log tells it.

    Attributes:
        number: Of the record.
        salt: By which it is compared.
        record: What it says.
    """

    number: int
    salt: bytes
    record: ResultRecord


class Records:
    """The results of a log by their jobs, each proven to be in its signed tree.

    Args:
        index: Of the log, open.
        tiles: Of the size that its last checkpoint signed.
        root: Of that checkpoint.
    """

    def __init__(self, index: Index, tiles: Tiles, root: bytes) -> None:
        self._index, self._tiles, self._root = index, tiles, root

    def last(self, producer: str, job_id: str) -> Recorded | None:
        """Find the last result of a job; None where the log has none.

        Raises:
            AuditLogError: When the log is damaged on the way to it.
        """
        found = [r for r in self._index.find(producer, job_id) if r.number < self._tiles.size]
        for row in reversed(found):
            written, _ = proven_record(self._tiles, self._root, row.number)
            # What a worker wrote may be no whole record.
            with suppress(ValueError):
                record = read_record(written)
                if isinstance(record, ResultRecord):
                    return Recorded(row.number, row.salt, record)
        return None


def why_not_asked(found: Recorded | None, kind: Kind | None, text: str) -> str | None:
    """Say why asking again would tell nothing; None where it would.

    Args:
        found: The job's last result.
        kind: Of its task in the catalogue by which it is asked; None where there is no such task.
        text: The text that is said to be the one of then.
    """
    if found is None:
        return "the log has no record of it, or its salt was erased"
    record = found.record
    reasons = {
        f"it ended as {record.status or 'cancelled'}": record.status not in _REPEATABLE,
        "its record names no text": record.input is None,
        "its text is not the one of then": record.input != salted(found.salt, "input", text),
        f"the catalogue has no task {record.task!r}": kind is None,
        "its answer is a vector, whose last digits depend on its batch": kind is Kind.EMBED,
        "a person was asked": any(attempt.tier == Tier.HUMAN for attempt in record.trail),
        "its record has the last attempts alone": record.num_attempts > len(record.trail),
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def compare(found: Recorded, result: Result) -> tuple[Verdict, str]:
    """Compare a record with the result of asking again; say what differs first.

    As long as the two went the same way, each attempt must have been of the same model, of the same
    revision, and judged by the same threshold: else the two cannot be compared, and what is now
    another setting is said.
    """
    record = found.record
    for then, now in zip(record.trail, result.trail, strict=False):
        if changed := _changed(then, now):
            return Verdict.OTHER_SETTINGS, f"step {then.step}: {changed}"
        if then.outcome != now.outcome:
            return Verdict.DIFFERENT, f"step {then.step}: {then.outcome} then, {now.outcome} now"
    differing = _differing(found, result)
    return (Verdict.DIFFERENT, differing) if differing else (Verdict.EQUAL, "")


def _differing(found: Recorded, result: Result) -> str | None:
    """What differs of the ends of two jobs that went the same way as long as both went on."""
    record, num_now = found.record, len(result.trail)
    pairs = {
        f"{record.num_attempts} attempts then, {num_now} now": (record.num_attempts, num_now),
        f"{record.status} then, {result.status} now": (record.status, result.status),
        f"by {record.tier} then, by {result.tier} now": (record.tier, result.tier),
        f"another answer of {_last_model(record)}": (record.answer, _answer_of(found, result)),
    }
    return next((said for said, (then, now) in pairs.items() if then != now), None)


def _changed(then: RecordedAttempt, now: Attempt) -> str | None:
    pairs = {
        "model": (then.model, now.model),
        "revision": (then.revision, now.revision),
        "threshold": (then.threshold, now.threshold),
    }
    differing = [f"{name} {a} then, {b} now" for name, (a, b) in pairs.items() if a != b]
    return differing[0] if differing else None


def _answer_of(found: Recorded, result: Result) -> str | None:
    answer = result.answer
    if answer is None or isinstance(answer, UnknownAnswer):
        return None
    return salted(found.salt, "answer", answer_key(answer))


def _last_model(record: ResultRecord) -> str:
    return record.trail[-1].model if record.trail else "nobody"
