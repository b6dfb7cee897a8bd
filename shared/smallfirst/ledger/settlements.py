"""How one entry of a stream ends, in four ways, and the row that tells settle.lua of it.

Each way names what it needs. What the script must know of a result or a job stands in columns of
its own: it never looks into JSON.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

from smallfirst.jobs import Attempt, Result
from smallfirst.ledger.booking import booking_of, changes_of
from smallfirst.ledger.checks import Accepted
from smallfirst.ledger.entries import Excerpt
from smallfirst.ledger.held_jobs import HeldJob
from smallfirst.ledger.routing_slips import DeadLetter, RoutingSlip

Verb = Literal["result", "move", "wait", "refuse", "cancel"]


class Basis(NamedTuple):
    """What a job was asked, and by what: of this the audit log's record holds hashes.

    Attributes:
        text: The job's.
        catalogue: The revision of the catalogue by which the last step was planned.
        promise: The hash of the promise in force; empty for none.
    """

    text: str
    catalogue: str
    promise: str

    @classmethod
    def of(cls, held: HeldJob) -> "Basis":
        """Of a job that a step was asked of."""
        request = held.slip.request
        planned = (request.catalogue, request.promise) if request else ("", "")
        return cls(held.job.text, *planned)


@dataclass(frozen=True, kw_only=True)
class Finish:
    """The job has its result.

    Attributes:
        entry: The id of the entry that ends.
        producer: Whose job it is.
        result: What the producer gets.
        reply_to: Whom to tell, where the job's first submission is not known any more.
        is_first_seen: Whether the entry is a submission, whose id may be taken already.
        spent: The attempts to book.
        letter: Why the job was given up, where it was.
        raw: The submission, kept behind the letter.
        accepted: What counts a machine's accepted answer, where its task is audited.
        basis: What the job was asked, where it could be read.
    """

    verb: ClassVar[Verb] = "result"

    entry: str
    producer: str
    result: Result
    reply_to: str | None = None
    is_first_seen: bool = False
    spent: tuple[Attempt, ...] = ()
    letter: DeadLetter | None = None
    raw: bytes = b""
    accepted: Accepted | None = None
    basis: Basis | None = None


@dataclass(frozen=True, kw_only=True)
class Move:
    """The job goes on to another stream.

    Attributes:
        entry: The id of the entry that ends.
        job_id: The job's id.
        job: The job as its producer wrote it.
        slip: What the job takes along.
        to: The stream that it joins.
        reply_to: Whom to tell when it ends.
        fingerprint: By which a repeat of the job is known; only where `is_first_seen`.
        is_first_seen: Whether the entry is a submission, whose id may be taken already.
        spent: The attempts to book.
    """

    verb: ClassVar[Verb] = "move"

    entry: str
    job_id: str
    job: bytes
    slip: RoutingSlip
    to: str
    reply_to: str | None = None
    fingerprint: str | None = None
    is_first_seen: bool = False
    spent: tuple[Attempt, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Wait:
    """The submission stays where it is, until a backlog has room for its job.

    Attributes:
        entry: The id of the entry that stays.
        producer: Whose job it is.
        job_id: The job's id.
        to: The consumer in whose name it waits.
        expires_ms: The job's deadline, on Redis's clock.
        reply_to: Whom to tell when it ends.
        fingerprint: By which a repeat of the job is known.
    """

    verb: ClassVar[Verb] = "wait"

    entry: str
    producer: str
    job_id: str
    to: str
    expires_ms: int
    fingerprint: str
    reply_to: str | None = None


@dataclass(frozen=True, kw_only=True)
class Refuse:
    """The submission is no job, or none that the catalogue serves.

    Attributes:
        entry: The id of the entry that ends.
        producer: Who submitted it.
        letter: Why it is given up.
        raw: The submission, or its beginning.
        result: What its producer gets, where the id could be made out.
        reply_to: Whom to tell.
    """

    verb: ClassVar[Verb] = "refuse"

    entry: str
    producer: str
    letter: DeadLetter
    raw: bytes
    result: Result | None = None
    reply_to: str | None = None


@dataclass(frozen=True, kw_only=True)
class Cancel:
    """The entry asks that one of its producer's jobs in flight be ended by this result."""

    verb: ClassVar[Verb] = "cancel"

    entry: str
    producer: str
    result: Result


Settlement = Finish | Move | Wait | Refuse | Cancel
#: Gives the record of the result by which an entry ends, and its salt.
RecordOf = Callable[[Settlement], tuple[str, bytes]]


@dataclass(frozen=True)
class Settled:
    """How many entries ended each way.

    Attributes:
        results: A result was written.
        moves: The job went on to another stream.
        waiting: The job waits for a pool to have room.
        joined: Answered by an earlier submission of the same id.
        fenced: Ended by somebody else before; or held by somebody else, where that counts.
    """

    results: int = 0
    moves: int = 0
    waiting: int = 0
    joined: int = 0
    fenced: int = 0

    def __add__(self, other: "Settled") -> "Settled":
        return Settled(
            self.results + other.results,
            self.moves + other.moves,
            self.waiting + other.waiting,
            self.joined + other.joined,
            self.fenced + other.fenced,
        )


def no_record(_: Settlement) -> tuple[str, bytes]:
    """What is recorded where the fleet keeps no audit log."""
    return "", b""


def row_of(
    settlement: Settlement, place: int = 0, record: RecordOf = no_record
) -> Iterator[str | bytes]:
    """One row of settle.lua's arguments, in the order of its columns; empty where absent.

    `place` is where the answer's check stands among what comes behind the rows; 0 for none.
    """
    move = settlement if isinstance(settlement, Move) else None
    wait = settlement if isinstance(settlement, Wait) else None
    goes_on = move or wait
    result = None if isinstance(settlement, Move | Wait) else settlement.result
    letter = settlement.letter if isinstance(settlement, Finish | Refuse) else None
    is_first_seen = isinstance(settlement, Finish | Move) and settlement.is_first_seen
    yield settlement.verb
    yield settlement.entry
    yield settlement.slip.producer if isinstance(settlement, Move) else settlement.producer
    yield goes_on.job_id if goes_on else result.id if result else ""
    yield "1" if wait or is_first_seen else ""
    yield (goes_on.fingerprint if goes_on else result.fingerprint if result else None) or ""
    yield result.status if result else ""
    yield ("" if isinstance(settlement, Cancel) else settlement.reply_to) or ""
    yield move.job if move else result.to_json() if result else ""
    yield move.slip.to_json() if move else ""
    yield goes_on.to if goes_on else ""
    yield str(move.slip.due_ms if move else wait.expires_ms if wait else "")
    yield letter.to_json() if letter else ""
    yield settlement.raw if isinstance(settlement, Finish | Refuse) else b""
    yield from _booking(settlement)
    yield _counted(settlement, place)
    yield from record(settlement)


def _counted(settlement: Settlement, place: int) -> str:
    """What to count of an accepted answer of an audited task, and where its check stands."""
    counted = settlement.accepted if isinstance(settlement, Finish) else None
    return f"{counted.counted} {place}" if counted else ""


def rows_of(
    settlements: Iterable[Settlement], record: RecordOf = no_record
) -> tuple[int, list[str | bytes]]:
    """Write the rows of settle.lua, and behind them the checks that may be drawn.

    Returns:
        How many rows there are, and all arguments.
    """
    rows, checks, num_rows = list[str | bytes](), list[str | bytes](), 0
    for num_rows, settlement in enumerate(settlements, start=1):  # noqa: B007 - counted
        check = list(_check_of(settlement))
        rows += row_of(settlement, len(checks) + 1 if check else 0, record)
        checks += check
    return num_rows, rows + checks


def _check_of(settlement: Settlement) -> Iterator[str | bytes]:
    """The check that may be drawn: the job, its slip, what stands beside it, when it ends."""
    accepted = settlement.accepted if isinstance(settlement, Finish) else None
    if accepted is not None and accepted.check is not None and accepted.slip is not None:
        yield accepted.job
        yield accepted.slip.to_json()
        yield accepted.check.to_json()
        yield str(accepted.until_ms)


def _booking(settlement: Settlement) -> Iterator[str]:
    """What to book of each attempt, a line each; and what to count by one of what they changed."""
    if not isinstance(settlement, Finish | Move) or not settlement.spent:
        yield from ("", "")
        return
    if isinstance(settlement, Move):
        task, trail = settlement.slip.task, settlement.slip.trail
    else:
        task, trail = settlement.result.task or "", settlement.result.trail
    yield "\n".join(booking_of(task, attempt) for attempt in settlement.spent)
    yield " ".join(changes_of(task, trail, settlement.spent)) if len(trail) > 1 else ""


def dead_letter(
    raw: bytes,
    reason: str,
    *,
    producer: str,
    detail: str = "",
    job_id: str | None = None,
    task: str | None = None,
    is_refusal: bool = False,
    excerpt: Excerpt | None = None,
) -> DeadLetter:
    """Describe a raw submission that is given up, or its excerpt, by size and hash alone."""
    return DeadLetter(
        producer=producer,
        id=job_id,
        task=task,
        reason=reason,
        detail=detail,
        size=excerpt.size if excerpt else len(raw),
        digest=excerpt.digest if excerpt else f"sha256:{hashlib.sha256(raw).hexdigest()}",
        is_refusal=is_refusal,
    )
