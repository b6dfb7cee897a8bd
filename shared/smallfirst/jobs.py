"""The contract: what a job is, and what the producer gets back.

Everything that crosses a process boundary is a model written as JSON. This module owns the shapes
of jobs and results and their bounds. It does not own the forms of an answer (`answers.forms`),
where all are kept (`ledger.keys`), how they travel (`client`, the router and the workers), or which
tasks exist (`catalogue`).
"""

import hashlib
import re
import secrets
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from html import escape
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic.config import ExtraValues

from smallfirst.answers import AnyAnswer, Probability
from smallfirst.errors import InvalidJob
from smallfirst.wire import OpenEnum, OrNewer, Wire
from smallfirst.wording import faults_of

#: Most characters a job's text may have. Two hundred thousand is a book of 60 pages; a longer one
#: is several jobs.
MAX_TEXT_CHARS = 200_000
#: Most pairs of metadata a job may carry, and the most characters in a key and in a value.
MAX_METADATA_PAIRS, MAX_METADATA_KEY_CHARS, MAX_METADATA_VALUE_CHARS = 16, 64, 512
#: The longest a job may wait for its answer. People answer some jobs, and people have weekends and
#: holidays.
MAX_DEADLINE = timedelta(days=30)
#: Most characters of a job's id, and what an id and the name of a reply channel may hold: both are
#: safe in a key, a file name and a URL.
MAX_ID_CHARS = 128
ID_PATTERN = rf"^[0-9A-Za-z][0-9A-Za-z_.:\-]{{0,{MAX_ID_CHARS - 1}}}$"
#: A name that an administrator gives: it holds no colon, so that it can be a part of a key.
NAME_PATTERN = r"^[a-z][a-z0-9_\-]{0,63}$"
REPLY_TO_PATTERN = r"^[0-9A-Za-z_.\-]{1,64}$"

#: Most characters of an answer in what a result shows of itself.
MAX_SHOWN_CHARS = 120

#: The producer whose jobs those are that nobody else is named for.
DEFAULT_PRODUCER = "default"


class Tier(OpenEnum):
    """A class of tool, cheapest first."""

    RULE = "rule"
    LINEAR = "linear"
    SLM = "slm"
    LLM = "llm"
    HUMAN = "human"

    @property
    def rank(self) -> int:
        """Place in the order from cheapest (0) to dearest (4).

        Raises:
            ValueError: When it is of a newer version.
        """
        try:
            return _RANKS[self]
        except KeyError:
            raise ValueError(f"{self} is a tier of a newer version") from None


#: Asked for every step of every job: an enumeration is slow to go through.
_RANKS: Final[Mapping[str, int]] = {tier: rank for rank, tier in enumerate(Tier)}


class Priority(StrEnum):
    """Who is waiting: a person (`interactive`) or a pipeline (`bulk`).

    Each has its own stream in every backlog.
    """

    INTERACTIVE = "interactive"
    BULK = "bulk"


class Status(OpenEnum):
    """How a job ended. Exactly one of these, written once."""

    ANSWERED = "answered"
    ABSTAINED = "abstained"
    REFUSED = "refused"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    FAILED = "failed"


class Outcome(OpenEnum):
    """What became of one attempt."""

    ACCEPTED = "accepted"
    ESCALATED = "escalated"
    ABSTAINED = "abstained"
    FAILED = "failed"


def _seconds_to_timedelta(value: object) -> object:
    """Read a duration as a number of seconds, the one form it has on the wire."""
    if isinstance(value, str):
        raise ValueError("must be a number of seconds")  # noqa: TRY004 - what pydantic takes
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    try:
        return timedelta(seconds=value)
    except (OverflowError, ValueError):
        # Python's own words for an infinity or a NaN would say nothing to a producer.
        raise ValueError("must be a number of seconds that fits a duration") from None


def _or_default(*, default: object) -> BeforeValidator:
    """Read null as a field that is left out: writers in many languages cannot leave one out."""
    return BeforeValidator(lambda value: default if value is None else value)


def _encodable(text: str) -> str:
    """Refuse lone surrogates: they parse, and then fail in the middle of somebody else's batch."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("must be valid Unicode, without lone surrogates") from None
    return text


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must hold something besides white space")
    return text


Seconds = Annotated[
    timedelta,
    BeforeValidator(_seconds_to_timedelta),
    PlainSerializer(lambda value: value.total_seconds(), return_type=float),
    WithJsonSchema(
        {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_DEADLINE.total_seconds()}
    ),
]
JobId = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
ReplyTo = Annotated[str, StringConstraints(pattern=REPLY_TO_PATTERN)]
Text = Annotated[
    str,
    Field(min_length=1, max_length=MAX_TEXT_CHARS),
    AfterValidator(_encodable),
    AfterValidator(_not_blank),
]
MetadataKey = Annotated[str, StringConstraints(min_length=1, max_length=MAX_METADATA_KEY_CHARS)]
MetadataValue = Annotated[
    str, StringConstraints(max_length=MAX_METADATA_VALUE_CHARS), AfterValidator(_encodable)
]
Traceparent = Annotated[
    str, StringConstraints(pattern=r"^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")
]


def is_name(value: str) -> bool:
    """Whether a producer, a task, a model or a pool may be called so."""
    return re.fullmatch(NAME_PATTERN, value) is not None


def new_job_id() -> str:
    """Make an id that nobody else makes: 96 random bits."""
    return secrets.token_hex(12)


class Job(Wire):
    """One unit of work: a text, the name of a task, and options.

    Submitting the same id again is safe at any time: the job runs once and every submitter gets the
    one result. A job is written by its producer: a field that is none is a mistake, and refused.

    Raises:
        InvalidJob: When it is made of what breaks a rule. Read from JSON, as a fleet does, it is a
            ValidationError.
    """

    unknown_fields: ClassVar[ExtraValues] = "forbid"

    if not TYPE_CHECKING:  # a type checker reads the fields, and would read them here no more

        def __init__(self, /, **fields: Any) -> None:
            try:
                super().__init__(**fields)
            except ValidationError as error:
                raise _invalid_job(error) from None

        # Pydantic's mark of an `__init__` that it need not call to validate, as from JSON.
        __init__.__pydantic_base_init__ = True

    v: Literal[1] = Field(
        default=1, description="The version of the wire; a reader refuses any other."
    )
    id: JobId = Field(
        default_factory=new_job_id,
        description="The job's id: chosen by the producer, or made here.",
    )
    task: Name = Field(description="The name of a task in the catalogue.")
    text: Text = Field(
        description=f"The text that the task is asked of, 1 to {MAX_TEXT_CHARS:,} characters."
    )
    priority: Annotated[Priority, Field(strict=False), _or_default(default=Priority.BULK)] = Field(
        default=Priority.BULK,
        description="Who waits; `interactive` jobs go into every batch before `bulk` ones.",
    )
    deadline: Annotated[Seconds, Field(gt=timedelta(0), le=MAX_DEADLINE)] | None = Field(
        default=None,
        description=(
            "The seconds from submission, on Redis's clock, after which nobody wants the answer."
            " At most 30 days."
        ),
    )
    first_tier: Annotated[Tier, Field(strict=False)] | None = Field(
        default=None, description="The cheapest tier to ask; steps of cheaper ones are skipped."
    )
    last_tier: Annotated[Tier, Field(strict=False)] | None = Field(
        default=None,
        description="The dearest tier to ask; the job is abstained from rather than sent to a"
        " dearer one.",
    )
    explain: Annotated[bool, _or_default(default=False)] = Field(
        default=False,
        description="Whether to say which words drove the answer, where the model can.",
    )
    whole_distribution: Annotated[bool, _or_default(default=False)] = Field(
        default=False,
        description="Whether to give the probability of every label, and not of the likeliest"
        " alone.",
    )
    metadata: Annotated[
        dict[MetadataKey, MetadataValue],
        Field(max_length=MAX_METADATA_PAIRS),
        _or_default(default={}),
    ] = Field(
        default_factory=dict,
        description="Pairs that are carried through to the result, unread.",
    )
    traceparent: Traceparent | None = Field(
        default=None, description="The W3C trace context of the submission."
    )
    reply_to: ReplyTo | None = Field(
        default=None,
        description="The name of the channel that is told when the result is there.",
    )

    @model_validator(mode="after")
    def _tiers_in_order(self) -> "Job":
        if self.first_tier and self.last_tier and self.first_tier.rank > self.last_tier.rank:
            raise ValueError("first_tier must not be dearer than last_tier")
        return self

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> Self:
        """Make a job of its fields by name, such as a row of a file; as strict as the constructor.

        Raises:
            InvalidJob: When they break a rule.
        """
        try:
            return cls.model_validate(dict(fields))
        except ValidationError as error:
            raise _invalid_job(error) from None

    def to_json(self) -> str:
        """Write for the wire, without what nobody has set.

        A router that is older than an option refuses it by name, and is to know a job that does
        without.
        """
        return self.model_dump_json(exclude_none=True, exclude_defaults=True)

    @property
    def fingerprint(self) -> str:
        """Hash of what is asked, to tell a repeat from a conflict.

        It covers the task, the text, and the options that change the answer.
        """
        return fingerprint_of(
            self.task,
            self.text,
            (self.first_tier, self.last_tier),
            explain=self.explain,
            whole_distribution=self.whole_distribution,
        )


def fingerprint_of(
    task: str,
    text: str,
    tiers: tuple[Tier | None, Tier | None],
    *,
    explain: bool,
    whole_distribution: bool,
) -> str:
    """Hash what a job asks; see `Job.fingerprint`. `tiers` are the first and the last."""
    first, last = tiers
    asked = [task, text, str(first), str(last), str(explain)]
    if whole_distribution:
        asked.append("whole_distribution")
    return hashlib.sha256("\x00".join(asked).encode()).hexdigest()[:32]


def _invalid_job(error: ValidationError) -> InvalidJob:
    """Tell in our own words what is wrong; no word of pydantic's, which quotes its own pages."""
    first = error.errors(include_url=False)[0]
    faults = faults_of(error, Job.model_fields)
    field = ".".join(ascii(part).strip("'") for part in first["loc"]) or "job"
    rule = faults.partition("; ")[0].removeprefix(f"{field}: ")
    is_long_text = (field, first["type"]) == ("text", "string_too_long")
    remedy = "make several jobs of it" if is_long_text else "mend it, or leave the job out"
    return InvalidJob(field, rule, remedy, faults)


class Attempt(Wire):
    """The record of one step tried."""

    step: int = Field(ge=0, description="The step's place in the task's cascade, from 0.")
    tier: Annotated[Tier, Field(strict=False), OrNewer()]
    model: str = Field(
        description="The model's name in the catalogue; `rules` for the rule tier, `person` for a"
        " person."
    )
    revision: str = Field(
        description="The version of the model that answered: a commit or a content hash. Of a"
        " person, a pseudonym; empty where none answered in time."
    )
    pool: str | None = Field(
        default=None,
        description="The pool where it ran; none for what the router asks itself;"
        " `@people.TASK` for a person.",
    )
    outcome: Annotated[Outcome, Field(strict=False), OrNewer()]
    confidence: Probability | None = None
    threshold: Probability | None = Field(
        default=None, description="The confidence that the answer had to reach."
    )
    reason: str | None = Field(
        default=None,
        description="The reason why it failed or was passed over, or of several people's answers"
        " who agrees, without any of the text.",
    )
    seconds: float = Field(
        default=0.0, ge=0.0, description="This job's share of the worker's seconds."
    )
    waited_seconds: float = Field(
        default=0.0,
        ge=0.0,
        description="The seconds from its joining the backlog to the start of the pass.",
    )
    tokens: int = Field(
        default=0,
        ge=0,
        description="The number of this job's tokens that the model read and wrote, without"
        " padding.",
    )
    tokens_written: int = Field(
        default=0, ge=0, description="The number of those tokens that the model wrote."
    )
    windows: int = Field(
        default=1,
        ge=1,
        description="The number of windows through which the model read the text: more than one"
        " where it is longer than the model takes at once.",
    )
    cost: float = Field(
        default=0.0, ge=0.0, description="The attempt's cost, in the catalogue's currency."
    )
    joules: float | None = Field(
        default=None,
        ge=0.0,
        description="This job's share of the energy that a meter measured meanwhile; none where"
        " nothing measures it.",
    )
    answer: AnyAnswer | None = Field(
        default=None, description="The step's answer, unless that is the result's own."
    )


#: The code of a job that names no task of the catalogue, or none any more.
UNKNOWN_TASK: Final = "unknown_task"
#: The codes of a problem, and what each says. A newer version may have more.
PROBLEM_CODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "not_json": "refused: the submission is not JSON",
        "invalid": "refused: a field breaks a rule, which the message names",
        "too_large": "refused: the submission has too many bytes",
        "too_long": "refused: the text has more characters than the task takes",
        UNKNOWN_TASK: "refused, or failed where the task went later: the catalogue has none such",
        "wrong_slice": "refused: a job of this id belongs into another slice of the fleet",
        "no_step": "abstained: no step of the cascade is within the job's tiers, or an audit has"
        " stopped the task's machines; the message says which",
        "unsure": "abstained: no step was sure enough",
        "unreviewed": "abstained: no step was sure enough, and too few people answered in time",
        "expired": "expired: the deadline passed",
        "cancelled": "cancelled: by its producer",
        "model_error": "failed: every step that was asked failed on this text",
        "poison": "failed: the job was started again and again, and no worker ended it",
        "unreadable": "failed: the fleet's own note on the job cannot be read",
        "id_conflict": "failed, in the Python client alone: another job's result is under this id",
        "result_unreadable": "failed, in the Python client alone: what stands under this id is no"
        " result that it can read",
    }
)


class Problem(Wire):
    """Why a job has no answer: a code for programs and a sentence for people, never the text."""

    code: Annotated[
        str,
        WithJsonSchema({"anyOf": [{"enum": list(PROBLEM_CODES)}, {"type": "string"}]}),
    ] = Field(description="What kind of problem it is; a newer version may have codes of its own.")
    message: str = Field(description="A sentence for people, which may change with the version.")


class Result(Wire):
    """What the producer gets, once per job."""

    v: Literal[1] = Field(default=1, description="The version of the wire.")
    id: JobId
    task: str | None = Field(
        default=None,
        description="The task's name; none only when the job was too broken to name one.",
    )
    status: Annotated[Status, Field(strict=False), OrNewer()]
    answer: AnyAnswer | None = None
    tier: Annotated[Tier, Field(strict=False), OrNewer()] | None = Field(
        default=None, description="The tier that answered."
    )
    problem: Problem | None = None
    trail: tuple[Attempt, ...] = ()
    submitted_at: Annotated[datetime, Field(strict=False)] = Field(
        description="The time of submission, on Redis's clock."
    )
    finished_at: Annotated[datetime, Field(strict=False)] = Field(
        description="The time at which it ended, on Redis's clock."
    )
    late: bool = Field(default=False, description="Whether the job finished after its deadline.")
    unsure: bool = Field(
        default=False,
        description="Whether the answer is the surest there is although none was sure enough: too"
        " few people answered in time, and the catalogue says `otherwise: best`.",
    )
    fingerprint: str | None = Field(
        default=None,
        description="The fingerprint of the job that was answered; see `Job.fingerprint`.",
    )
    metadata: dict[str, str] = Field(default_factory=dict)
    traceparent: str | None = None

    def __repr__(self) -> str:
        return f"Result({', '.join(f'{name}={said}' for name, said in self._shown())})"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        """Show it in a notebook."""
        rows = (f"<tr><th>{n}</th><td>{escape(said)}</td></tr>" for n, said in self._shown())
        return f"<table>{''.join(rows)}</table>"

    def _shown(self) -> Iterator[tuple[str, str]]:
        """What it comes to, in short: a vector, or a trail, fills pages."""
        yield "id", self.id
        yield "task", self.task or "unknown"
        yield "status", str(self.status)
        if self.tier is not None:
            yield "tier", str(self.tier)
        if self.answer is not None:
            said = str(self.answer)
            is_long = len(said) > MAX_SHOWN_CHARS
            yield "answer", f"{said[:MAX_SHOWN_CHARS]}…" if is_long else said
        if self.problem is not None:
            yield "problem", f"{self.problem.code}: {self.problem.message}"

    @property
    def cost(self) -> float:
        """What the whole trail cost, in the catalogue's currency."""
        return sum(attempt.cost for attempt in self.trail)

    @property
    def is_answered(self) -> bool:
        """Whether there is an answer that reached its step's threshold."""
        return self.status is Status.ANSWERED
