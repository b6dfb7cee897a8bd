"""Records: what the audit log keeps of each result, without a word of its job's text or answer.

Whoever settles a job writes its record; settle.lua puts it where the keeper of the log takes it up.
The job's id, its text and its answer stand in it as hashes under a salt that is the record's own
and stays outside of the log: who has the salt can show what the record is about, and once it is
destroyed nobody can, not even by trying every short text.
"""

import json
import os
from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha256
from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints, TypeAdapter

from smallfirst.agreement.answer_keys import answer_key
from smallfirst.answers import UnknownAnswer
from smallfirst.jobs import Attempt, Outcome, Result, Status, Tier
from smallfirst.ledger.settlements import Finish, Move, Settlement, Wait
from smallfirst.wire import OrNewer, Wire

#: The bytes of a salt.
SALT_BYTES: Final = 16
#: The most attempts that a record tells: those at the end.
MAX_ATTEMPTS: Final = 100

Hash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
_SALTED = "the SHA-256 in hex digits, the record's salt before it"


class RecordedAttempt(Wire):
    """One step tried, as the record of a result tells it."""

    step: int = Field(description="The step's place in the task's cascade, from 0.")
    tier: Annotated[Tier, Field(strict=False), OrNewer()]
    model: str = Field(description="The model's name in the catalogue, `rules`, or `person`.")
    revision: str = Field(
        description="The digest or commit of the model that answered. Of a person, the pseudonym."
    )
    pool: str | None = Field(default=None, description="The pool where it ran.")
    outcome: Annotated[Outcome, Field(strict=False), OrNewer()]
    confidence: float | None = Field(default=None, description="The confidence of its answer.")
    threshold: float | None = Field(
        default=None, description="The confidence that the answer had to reach."
    )
    seconds: float = Field(default=0.0, description="This job's share of the worker's seconds.")
    tokens: int = Field(default=0, description="The number of tokens that the model read.")
    cost: float = Field(default=0.0, description="The cost, in the catalogue's currency.")


class _Placed(Wire):
    """What the keeper of the log writes into each record: where it took it up."""

    slice: int = Field(default=0, ge=0, description="The number of the slice.")
    entry: str = Field(
        default="",
        description="The entry of the slice's stream of records; it begins with the milliseconds"
        " since 1970 of Redis's clock.",
    )


class ResultRecord(_Placed):
    """One result."""

    kind: Literal["result"]
    producer: str = Field(description="The name of the producer.")
    job: Hash = Field(
        description=f"Of `job`, a zero byte, the producer, a zero byte and the job's id {_SALTED}."
    )
    salt: str = Field(
        description="The first 16 hex digits of the SHA-256 of the salt, by which a wrong one is"
        " known."
    )
    input: Hash | None = Field(
        default=None,
        description=f"Of `input`, a zero byte and the text in UTF-8 {_SALTED}. None where the job"
        " was refused or cancelled, or could not be read.",
    )
    task: str | None = Field(default=None, description="The name of the task.")
    status: Annotated[Status, Field(strict=False), OrNewer()] | None = Field(
        default=None, description="How the job ended; none where a cancellation told no more."
    )
    tier: Annotated[Tier, Field(strict=False), OrNewer()] | None = Field(
        default=None, description="The tier that answered."
    )
    answer: Hash | None = Field(
        default=None,
        description="Of `answer`, a zero byte and the answer's key (the label, the verdict, or a"
        f" hash of what else it says) {_SALTED}.",
    )
    problem: str | None = Field(default=None, description="The code of the problem.")
    catalogue: str = Field(
        default="", description="The revision of the catalogue by which the last step was planned."
    )
    promise: str = Field(
        default="",
        description="The hash of the promise in force: the first 16 hex digits of the SHA-256 of"
        " `calibration/TASK.json`. Empty for none.",
    )
    submitted_at: str = Field(default="", description="The time of submission, as in the result.")
    finished_at: str = Field(default="", description="The time at which it ended, likewise.")
    late: bool = Field(default=False, description="Whether the job finished after its deadline.")
    unsure: bool = Field(
        default=False, description="Whether the answer stands although none was sure enough."
    )
    num_attempts: int = Field(default=0, description="The number of attempts.")
    trail: tuple[RecordedAttempt, ...] = Field(
        default=(), description=f"The attempts in order, the last {MAX_ATTEMPTS} at most."
    )


class GapRecord(_Placed):
    """Results of a slice that have no record, since nobody took records up for too long."""

    kind: Literal["gap"]
    lost: int | None = Field(
        description="The number of results without a record since the log was opened; none where"
        " the slice's stream itself was gone, and nobody can tell."
    )


class VoidRecord(_Placed):
    """A record for which no result came to stand: Redis refused it in the midst of a settlement."""

    kind: Literal["void"]
    of: str = Field(description="The entry whose record is void.")


class PrunedRecord(_Placed):
    """Older records were removed, since the log keeps them no longer; their hashes stay."""

    kind: Literal["pruned"]
    below: int = Field(
        ge=0, description="The number of the first record that stayed; all before it were removed."
    )


AuditRecord = ResultRecord | GapRecord | VoidRecord | PrunedRecord
_RECORD: TypeAdapter[AuditRecord] = TypeAdapter(Annotated[AuditRecord, Field(discriminator="kind")])


def read_record(raw: bytes) -> AuditRecord:
    """Read a record; what a newer version added is passed over.

    Raises:
        ValueError: When it is none.
    """
    return _RECORD.validate_json(raw, extra="ignore")


def salted(salt: bytes, what: str, *parts: str) -> str:
    """The hash under a salt of what is told, in hex digits."""
    said = "\0".join((what, *parts)).encode("utf-8", "surrogatepass")
    return sha256(salt + said).hexdigest()


def salt_digest(salt: bytes) -> str:
    """By which a record knows its salt, and nobody finds it."""
    return sha256(salt).hexdigest()[:16]


def bare_record(producer: str, job_id: str, salt: bytes) -> ResultRecord:
    """All that is known of a result whose record did not come along."""
    job = salted(salt, "job", producer, job_id)
    return ResultRecord(kind="result", producer=producer, job=job, salt=salt_digest(salt))


def record_of(settlement: Settlement) -> tuple[str, bytes]:
    """The record of the result by which an entry ends, and its salt; empty where there is none.

    It is put together as text, since every result has one: a model in between would cost as much
    again as all else that is done to settle a job.
    """
    if isinstance(settlement, Move | Wait) or settlement.result is None:
        return "", b""
    salt, result = os.urandom(SALT_BYTES), settlement.result
    told = [
        _begin_of(settlement.producer, result.task, result.status, result.tier),
        f'"job":"{salted(salt, "job", settlement.producer, result.id)}"',
        f'"salt":"{salt_digest(salt)}"',
        f'"submitted_at":"{result.submitted_at.isoformat(timespec="milliseconds")}"',
        f'"finished_at":"{result.finished_at.isoformat(timespec="milliseconds")}"',
        f'"num_attempts":{len(result.trail)}',
    ]
    if isinstance(settlement, Finish) and (basis := settlement.basis) is not None:
        told.append(f'"input":"{salted(salt, "input", basis.text)}"')
        told.append(_plan_of(basis.catalogue, basis.promise))
    if result.answer is not None and not isinstance(result.answer, UnknownAnswer):
        told.append(f'"answer":"{salted(salt, "answer", answer_key(result.answer))}"')
    told += _odd(result)
    trail = ",".join(map(_written, result.trail[-MAX_ATTEMPTS:]))
    return f'{",".join(told)},"trail":[{trail}]}}', salt


def _odd(result: Result) -> Iterator[str]:
    """What few results have to tell."""
    if result.problem is not None:
        yield f'"problem":{_WRITE(result.problem.code)}'
    if result.late:
        yield '"late":true'
    if result.unsure:
        yield '"unsure":true'


_WRITE: Final = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


def _written(attempt: Attempt) -> str:
    """An attempt as JSON; its reason and its answer, which may hold text, are left out."""
    begin = _begin(
        attempt.step,
        attempt.tier,
        attempt.model,
        attempt.revision,
        attempt.pool,
        attempt.outcome,
        attempt.threshold,
    )
    sure = "" if attempt.confidence is None else f'"confidence":{attempt.confidence!r},'
    return (
        f'{begin},{sure}"seconds":{attempt.seconds!r},"tokens":{attempt.tokens},'
        f'"cost":{attempt.cost!r}}}'
    )


@lru_cache(maxsize=4096)
def _begin_of(producer: str, task: str | None, status: str | None, tier: str | None) -> str:
    told = {"kind": "result", "producer": producer, "task": task, "status": status, "tier": tier}
    return _WRITE(told)[:-1]


@lru_cache(maxsize=4096)
def _plan_of(catalogue: str, promise: str) -> str:
    return _WRITE({"catalogue": catalogue, "promise": promise})[1:-1]


@lru_cache(maxsize=4096)
def _begin(
    step: int,
    tier: str,
    model: str,
    revision: str,
    pool: str | None,
    outcome: str,
    threshold: float | None,
) -> str:
    told = {"step": step, "tier": tier, "model": model, "revision": revision, "outcome": outcome}
    more = {"pool": pool, "threshold": threshold}
    return _WRITE(told | {n: value for n, value in more.items() if value is not None})[:-1]
