"""What producers send, read with suspicion: a job, a cancellation, or a refusal with its reason.

A broken submission is answered under its id, as far as one can be made out. Where none can, and
somebody waits on a reply channel, it is answered under a name made from its own bytes.

Pure. Nothing here is quoted back: an error names the field and the rule, never the value, because
the value may be somebody's letter. Nor is a foreign field's name, which may be a person's.
"""

import hashlib
import json
import re
from collections import Counter
from dataclasses import dataclass

from pydantic import ValidationError

from smallfirst.jobs import ID_PATTERN, REPLY_TO_PATTERN, Job, Problem
from smallfirst.ledger.entries import Excerpt, joined
from smallfirst.wording import faults_of, hashed_name, plain_rule

#: A submission without a valid id is answered under this, and so many digits of its dead letter's
#: digest.
STAND_IN, STAND_IN_DIGITS = "refused-", 32
_ID, _REPLY_TO = re.compile(ID_PATTERN), re.compile(REPLY_TO_PATTERN)


@dataclass(frozen=True)
class Cancellation:
    """A producer no longer wants a job."""

    job_id: str


@dataclass(frozen=True)
class Refusal:
    """A submission that is no job, with as much of its id and address as could be made out.

    Of one that is too large, `raw` is the beginning and `excerpt` tells of the rest.
    """

    problem: Problem
    raw: bytes
    job_id: str = ""
    reply_to: str = ""
    task: str | None = None
    excerpt: Excerpt | None = None


def read_submission(fields: dict[bytes, bytes], max_bytes: int) -> Job | Cancellation | Refusal:
    """Read one entry of the jobs stream."""
    if b"cancel" in fields and b"job" not in fields:
        return _read_cancellation(fields[b"cancel"])
    raw = fields.get(b"job")
    if raw is None:
        problem = Problem(code="invalid", message="the entry has no field `job`")
        return Refusal(problem, joined(fields)[:max_bytes])
    if len(raw) > max_bytes:
        return too_large(Excerpt.of(raw), max_bytes)
    if b"cancel" in fields:
        message = "the entry has both `job` and `cancel`: submit them as two"
        return Refusal(Problem(code="invalid", message=message), raw, *_address(raw))
    return _read_job(raw)


def _read_job(raw: bytes) -> Job | Refusal:
    try:
        job = Job.model_validate_json(raw)
    except ValidationError as error:
        return Refusal(_problem_of(error), raw, *_address(raw))
    if twice := _said_twice(raw, job):
        return Refusal(Problem(code="invalid", message=twice), raw, *_address(raw))
    return job


def too_large(excerpt: Excerpt, max_bytes: int) -> Refusal:
    """Refuse a submission of which nobody should read more than the beginning."""
    message = f"the job has {excerpt.size} bytes; the most is {max_bytes}"
    problem = Problem(code="too_large", message=message)
    digest = excerpt.digest.rpartition(":")[2]
    return Refusal(problem, excerpt.head, *_glimpse(excerpt.head, digest), excerpt=excerpt)


def _read_cancellation(raw: bytes) -> Cancellation | Refusal:
    job_id = raw.decode("ascii", errors="replace")
    if _ID.fullmatch(job_id):
        return Cancellation(job_id)
    return Refusal(Problem(code="invalid", message="cancel: is not the id of a job"), raw)


def _problem_of(error: ValidationError) -> Problem:
    first = error.errors(include_url=False)[0]
    if first["type"] == "json_invalid":
        return Problem(code="not_json", message=f"the job is not JSON: {plain_rule(first)}")
    return Problem(code="invalid", message=faults_of(error, Job.model_fields, hides_names=True))


def _said_twice(raw: bytes, job: Job) -> str:
    """Name a field that the JSON says twice, so that nobody knows which is meant; else nothing.

    Each field has a colon, so where there are no more of these, none is there twice.
    """
    if raw.count(b":") <= len(job.model_fields_set) + len(job.metadata):
        return ""
    twice: list[str] = []

    def told_apart(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(pairs)
        if len(found) < len(pairs):
            times = Counter(name for name, _ in pairs)
            twice.extend(name for name, count in times.items() if count > 1)
        return found

    json.loads(raw, object_pairs_hook=told_apart)
    if not twice:
        return ""
    name = twice[0] if twice[0] in Job.model_fields else f"metadata.{hashed_name(twice[0])}"
    return f"{name}: stands twice; which of them is meant?"


def _address(raw: bytes) -> tuple[str, str]:
    """Make out the id and the reply channel of a broken job, so that its producer hears of it."""
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return _glimpse(raw[:4096], hashlib.sha256(raw).hexdigest())
    if not isinstance(found, dict):
        return "", ""
    job_id, reply_to = found.get("id"), _if_valid(_REPLY_TO, found.get("reply_to"))
    # Who wrote a number reads the result under its digits.
    told = _if_valid(_ID, str(job_id) if type(job_id) is int else job_id)
    return told or _stand_in(reply_to, hashlib.sha256(raw).hexdigest()), reply_to


def _glimpse(raw: bytes, digest: str) -> tuple[str, str]:
    """Look for the id and the reply channel in what is not JSON, or is too long to parse."""
    reply_to = _search(raw, b"reply_to")
    return _search(raw, b"id") or _stand_in(reply_to, digest), reply_to


def _stand_in(reply_to: str, digest: str) -> str:
    """Name what has no id of its own, where somebody waits to be told of it."""
    return f"{STAND_IN}{digest[:STAND_IN_DIGITS]}" if reply_to else ""


def _search(raw: bytes, name: bytes) -> str:
    found = re.search(rb'"' + name + rb'"\s*:\s*"([!#-~]+)"', raw)
    return _if_valid(_ID if name == b"id" else _REPLY_TO, found[1].decode() if found else None)


def _if_valid(pattern: re.Pattern[str], value: object) -> str:
    return value if isinstance(value, str) and pattern.fullmatch(value) else ""
