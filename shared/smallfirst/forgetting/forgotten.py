"""What was removed of a person, what was not, and why."""

from collections import Counter
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple


class JobName(NamedTuple):
    """A job: an id is its producer's own."""

    producer: str
    id: str


@dataclass(frozen=True)
class Failure:
    """What could not be removed from one file.

    Attributes:
        place: The file or folder.
        reason: What is wrong with it; never a word of its text.
        remedy: What is to be done before the command is given again.
    """

    place: str
    reason: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}; {self.remedy}"


@dataclass
class Found:
    """What is known of a person, before any of it is removed.

    Attributes:
        jobs: By producer and id.
        ids: Of jobs whose producer is not told where they stand.
        entries: Dead letters and blind checks, by the stream and the entry.
        num_unreadable: What could not be read, or names no job; it may be theirs.
    """

    jobs: set[JobName] = field(default_factory=set)
    ids: set[str] = field(default_factory=set)
    entries: set[tuple[str, str]] = field(default_factory=set)
    num_unreadable: int = 0

    @property
    def all_ids(self) -> set[str]:
        """The ids of all jobs."""
        return self.ids | {job.id for job in self.jobs}

    def but(self, jobs: Collection[JobName]) -> "Found":
        """The same without some jobs."""
        return Found(self.jobs - set(jobs), self.ids, self.entries, self.num_unreadable)


@dataclass
class Forgotten:
    """What was removed, and what could not be.

    Attributes:
        found: What is known of them.
        places: How much was removed, by where it stood.
        under_way: Jobs that have not ended yet, and stand where they stood.
        failed: Files in which something may be left.
        lingering: Streams in which deleted bytes may be left: Redis frees a deleted entry once
            those written beside it, some 4 kB, are deleted too.
    """

    found: Found
    places: Counter[str] = field(default_factory=Counter)
    under_way: list[JobName] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    lingering: list[str] = field(default_factory=list)

    @property
    def is_done(self) -> bool:
        """Whether something was removed, and nothing is left that could be named."""
        return bool(self.places.total()) and not self.under_way and not self.failed

    def as_json(self) -> dict[str, Any]:
        """Lay it out for programs."""
        return {
            "jobs": sorted(self.found.all_ids),
            "removed": dict(self.places),
            "under_way": [job.id for job in self.under_way],
            "lingering": self.lingering,
            "failed": [asdict(each) for each in self.failed],
            "unreadable": self.found.num_unreadable,
        }
