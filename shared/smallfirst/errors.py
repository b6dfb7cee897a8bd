"""What can go wrong, as the users of the contract see it.

    SmallfirstError
    ├── CatalogueError         the catalogue is wrong; its author mends it
    ├── ModelFilesError        a model's files are missing; an operator brings them
    ├── SettingsError          a setting is unknown, missing or wrong; an operator mends it
    ├── RedisUnfit             Redis is of a kind that no fleet can use; an operator names another
    │   └── SlicesDiffer           its fleet has another number of slices; an operator says how many
    ├── AuditLogError          the audit log is not as it should be; an operator sees to it
    ├── BundleError            a bundle is not as it was signed; an operator brings it anew
    ├── UsersNotAdministered   Redis lets this connection make no users; its administrator does
    ├── InvalidJob             what is to be a job breaks a rule; its producer mends it
    └── ClientError            a call of the client did not do what it says
        ├── ResultTimeout      not answered yet; wait again
        ├── BacklogFull        the fleet is behind; submit again later
        ├── FleetUnreachable   no connection to Redis; submitting again is safe
        ├── FleetRefused       Redis says no to a command; an operator mends it
        ├── ResultWithheld     there is a result, and this client does not give it out
        │   ├── IdConflict         it is another job's; give this one an id of its own
        │   └── ResultUnreadable   it is of another version; update smallfirst
        ├── ClientClosed       the client was used after `close`; the program is wrong
        └── ClientMoved        another process or event loop; the program is wrong

A job's text never stands in one of them.
"""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import ClassVar, Final


class SmallfirstError(Exception):
    """Root of everything that smallfirst raises on purpose."""


@dataclass(frozen=True)
class CatalogueProblem:
    """One thing that is wrong with a catalogue, and where.

    Attributes:
        path: The file that is wrong: the catalogue, or one of its files of examples. None for a
            catalogue that came from no file.
        line: Counted from 1; None where no one line is to blame.
        where: Dotted key, such as `tasks.topic.cascade[0].accept`; empty for the whole file.
        rule: What should be so, for people.
    """

    path: Path | None
    line: int | None
    where: str
    rule: str

    def __str__(self) -> str:
        line = f":{self.line}" if self.line is not None else ""
        place = f"{self.path}{line}" if self.path is not None else ""
        return ": ".join(part for part in (place, self.where, self.rule) if part)


class CatalogueError(SmallfirstError):
    """Raised when a catalogue cannot be served; it names every problem that was found.

    Attributes:
        problems: At least one, in the order of the file.
    """

    def __init__(self, *problems: CatalogueProblem) -> None:
        super().__init__(*problems)
        self.problems = problems

    @property
    def path(self) -> Path | None:
        """The file of the first problem."""
        return self.problems[0].path

    @property
    def line(self) -> int | None:
        """The line of the first problem."""
        return self.problems[0].line

    @property
    def where(self) -> str:
        """The dotted key of the first problem."""
        return self.problems[0].where

    @property
    def rule(self) -> str:
        """The rule that the first problem breaks."""
        return self.problems[0].rule

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


class ModelFilesError(SmallfirstError):
    """Raised when a model's files are missing or cannot be read.

    Attributes:
        source: The model's source as the catalogue has it, or its folder.
        reason: What is wrong.
        remedy: What the operator can do.
    """

    def __init__(self, source: str, reason: str, remedy: str) -> None:
        super().__init__(source, reason, remedy)
        self.source = source
        self.reason = reason
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.source}: {self.reason}; {self.remedy}"


class PlaceError(SmallfirstError):
    """Raised of a file, or of another thing, that is not what it should be.

    Attributes:
        place: The file, or what else is meant.
        reason: What is wrong.
        remedy: What the operator can do.
    """

    def __init__(self, place: str, reason: str, remedy: str) -> None:
        super().__init__(place, reason, remedy)
        self.place = place
        self.reason = reason
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}; {self.remedy}"


class AuditLogError(PlaceError):
    """Raised when the audit log, or a key of it, is missing, damaged or not what it should be."""


class BundleError(PlaceError):
    """Raised when a bundle cannot be made, is not as it was signed, or cannot be installed."""


@dataclass(frozen=True)
class SettingsProblem:
    """One variable that is wrong, and the rule it breaks. Never its value."""

    variable: str
    rule: str

    def __str__(self) -> str:
        return f"{self.variable}: {self.rule}"


class SettingsError(SmallfirstError):
    """Raised when a component cannot start with the settings it was given.

    Attributes:
        problems: At least one.
    """

    def __init__(self, *problems: SettingsProblem) -> None:
        super().__init__(*problems)
        self.problems = problems

    @property
    def variable(self) -> str:
        """The first variable that is wrong."""
        return self.problems[0].variable

    @property
    def rule(self) -> str:
        """The rule that it breaks."""
        return self.problems[0].rule

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


class RedisUnfit(SmallfirstError):
    """Raised when the Redis that is named can serve no fleet, however long one waits.

    Attributes:
        address: Of the Redis, without the password.
        reason: What is wrong with it.
        remedy: What the operator can do.
    """

    def __init__(self, address: str, reason: str, remedy: str) -> None:
        super().__init__(address, reason, remedy)
        self.address = address
        self.reason = reason
        self.remedy = remedy

    def __str__(self) -> str:
        return f"Redis at {self.address}: {self.reason}; {self.remedy}"


class SlicesDiffer(RedisUnfit):
    """Raised when a process was told another number of slices than its fleet has.

    Attributes:
        num_found: What the fleet has.
        num_told: What the process was told.
    """

    def __init__(self, address: str, num_found: int, num_told: int) -> None:
        reason = f"its fleet has {num_found} slices, and SMALLFIRST_SLICES says {num_told}"
        super().__init__(address, reason, f"set SMALLFIRST_SLICES={num_found} here")
        self.num_found = num_found
        self.num_told = num_told


class UsersNotAdministered(SmallfirstError):
    """Raised when Redis lets this connection make or change no users.

    Attributes:
        reason: Why not, as the end of a sentence.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"Redis's users are not administered here: {self.reason}"


class InvalidJob(SmallfirstError, ValueError):
    """Raised when what is to be a job breaks a rule of one; nothing was submitted.

    Attributes:
        field: The first that is wrong, dotted; `job` where it is the whole.
        rule: What should be so of it.
        remedy: What the producer can do.
        faults: Everything that is wrong, each as `field: rule`.
    """

    def __init__(self, field: str, rule: str, remedy: str, faults: str | None = None) -> None:
        super().__init__(field, rule, remedy, faults)
        self.field = field
        self.rule = rule
        self.remedy = remedy
        self.faults = faults or f"{field}: {rule}"

    def __str__(self) -> str:
        return f"{self.faults}; {self.remedy}"


class ClientError(SmallfirstError):
    """Root of what the client raises."""

    #: Whether the same call may succeed later with nobody changing anything.
    is_retryable: ClassVar[bool] = False


class ResultTimeout(ClientError):
    """Raised when results did not come in time. The jobs go on: wait again for the same ids.

    Attributes:
        ids: The jobs that have no result yet.
        timeout: How long was waited.
    """

    is_retryable = True

    def __init__(self, ids: tuple[str, ...], timeout: timedelta) -> None:
        super().__init__(ids, timeout)
        self.ids = ids
        self.timeout = timeout

    def __str__(self) -> str:
        more = f" and {len(self.ids) - 1} more" if len(self.ids) > 1 else ""
        return f"no result of job {self.ids[0]}{more} within {self.timeout.total_seconds():g} s"


class BacklogFull(ClientError):
    """Raised when as many jobs wait as this client allows, and it was told not to block.

    Attributes:
        limit: The most jobs that may wait (`max_backlog`).
    """

    is_retryable = True

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit

    def __str__(self) -> str:
        return f"{self.limit} jobs or more wait for a router; submit again later"


#: What to do where no fleet is found.
HOW_TO_REACH: Final = (
    "start a fleet with `smallfirst up`, or set SMALLFIRST_REDIS_URL to the address of one"
)


class FleetUnreachable(ClientError):
    """Raised when Redis could not be reached, after several tries. Submitting again is safe.

    Attributes:
        address: Where it should be, without the password.
        reason: In the driver's words.
    """

    is_retryable = True

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(address, reason)
        self.address = address
        self.reason = reason

    def __str__(self) -> str:
        reason = self.reason.rstrip(".")
        return f"no connection to Redis at {self.address}: {reason}; {HOW_TO_REACH}"


class FleetRefused(ClientError):
    """Raised when Redis answers a command with an error: no memory, no permission, a replica.

    Attributes:
        address: Of the Redis, without the password.
        reason: In Redis's words.
    """

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(address, reason)
        self.address = address
        self.reason = reason

    def __str__(self) -> str:
        return f"Redis at {self.address} refused: {self.reason}"


class ResultWithheld(ClientError):
    """Root of what is raised for one job whose result is not given out.

    `map` and `as_completed` go on, and yield a result in its place: status `failed`, this code.

    Attributes:
        id: The job.
    """

    #: The code of the problem in a result that stands for it.
    code: ClassVar[str]

    def __init__(self, id: str) -> None:  # noqa: A002 - the field's name everywhere
        super().__init__(id)
        self.id = id


class IdConflict(ResultWithheld):
    """Raised when the id of a job of this client's is taken: another was submitted under it before.

    That one differs in text, task or options, and it is the one that is answered.
    """

    code: ClassVar[str] = "id_conflict"

    def __str__(self) -> str:
        return (
            f"the id {self.id} was submitted before with another text, task or options, and that "
            "job's result stands; give this job another id"
        )


class ResultUnreadable(ResultWithheld):
    """Raised when a result is not one of this version's: the fleet is newer than the client."""

    code: ClassVar[str] = "result_unreadable"

    def __str__(self) -> str:
        return f"the result of job {self.id} is not of this version; update smallfirst here"


class ClientClosed(ClientError):
    """Raised when a client is used after it was closed, or is closed while somebody waits."""

    def __str__(self) -> str:
        return "the client is closed; make a new one"


class ClientMoved(ClientError):
    """Raised when a client is used elsewhere than where it was first used.

    Attributes:
        what: What it belongs to: a process, or an event loop.
    """

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what

    def __str__(self) -> str:
        return f"the client belongs to another {self.what}; " + (
            "create it after the fork" if self.what == "process" else "create it in this one"
        )
