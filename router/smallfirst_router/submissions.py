"""What producers send, read with suspicion: a job, a cancellation, or a refusal with its reason.

Pure. Nothing here is quoted back: an error names the field and the rule, never the value, because
the value may be somebody's letter. Nor is a foreign field's name, which may be a person's.
"""

import json
import re
from dataclasses import dataclass

from pydantic import ValidationError

from smallfirst.jobs import ID_PATTERN, REPLY_TO_PATTERN, Job, Problem
from smallfirst.ledger.entries import Excerpt, joined
from smallfirst.wording import faults_of, plain_rule

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
    try:
        return Job.model_validate_json(raw)
    except ValidationError as error:
        return Refusal(_problem_of(error), raw, *_address(raw))


def too_large(excerpt: Excerpt, max_bytes: int) -> Refusal:
    """Refuse a submission of which nobody should read more than the beginning."""
    message = f"the job has {excerpt.size} bytes; the most is {max_bytes}"
    problem = Problem(code="too_large", message=message)
    return Refusal(problem, excerpt.head, *_glimpse(excerpt.head), excerpt=excerpt)


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


def _address(raw: bytes) -> tuple[str, str]:
    """Make out the id and the reply channel of a broken job, so that its producer hears of it."""
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return _glimpse(raw[:4096])
    if not isinstance(found, dict):
        return "", ""
    return _if_valid(_ID, found.get("id")), _if_valid(_REPLY_TO, found.get("reply_to"))


def _glimpse(raw: bytes) -> tuple[str, str]:
    """Look for the id and the reply channel in what is not JSON, or is too long to parse."""
    return _search(raw, b"id"), _search(raw, b"reply_to")


def _search(raw: bytes, name: bytes) -> str:
    found = re.search(rb'"' + name + rb'"\s*:\s*"([!#-~]+)"', raw)
    return _if_valid(_ID if name == b"id" else _REPLY_TO, found[1].decode() if found else None)


def _if_valid(pattern: re.Pattern[str], value: object) -> str:
    return value if isinstance(value, str) and pattern.fullmatch(value) else ""
