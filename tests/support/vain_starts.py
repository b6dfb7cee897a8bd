"""Which starts of each job were in vain, and whose fault each was: its batch-mates' or another's.

It is told by the fleet, which knows how its workers end, and asked by the histories.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tests.support.stepped_models import is_deadly

from smallfirst.ledger.held_jobs import HeldJob

#: How often a deadly job hurts one that travels with it; from then on each travels alone.
MOST_BY_MATES = 2
#: One entry of a stream, and which starts of it were in vain.
VainByEntry = dict[tuple[str, str], set[int]]


@dataclass
class VainStarts:
    """The starts in vain of jobs whose own text ends no worker.

    Attributes:
        by_mates: By the job's id, those that a batch-mate's text ended.
        by_others: By the job's id, those whose worker was killed, or stood still past its lease.
    """

    by_mates: dict[str, VainByEntry] = field(default_factory=dict)
    by_others: dict[str, VainByEntry] = field(default_factory=dict)

    def note_deadly(self, jobs: Iterable[HeldJob]) -> None:
        """The text of one of these jobs ended their batch."""
        _note(self.by_mates, jobs)

    def note_struck(self, jobs: Iterable[HeldJob]) -> None:
        """The worker of these jobs was killed, or stood still for longer than its lease."""
        _note(self.by_others, jobs)

    def check_mates(self) -> None:
        """See that no job had to suffer its batch-mates more often than promised."""
        for job_id, entries in self.by_mates.items():
            for entry, starts in entries.items():
                is_kept = len(starts) <= MOST_BY_MATES
                assert is_kept, f"{job_id} at {entry} suffered from its mates in starts {starts}"

    def may_have_spent(self, job_id: str, max_starts: int) -> bool:
        """Whether so many starts of one entry of a job can have been in vain without its fault."""
        struck = self.by_others.get(job_id, {}).values()
        return any(len(starts) >= max_starts - MOST_BY_MATES for starts in struck)


def _note(vain: dict[str, VainByEntry], jobs: Iterable[HeldJob]) -> None:
    for held in _innocent(jobs):
        entries = vain.setdefault(held.job.id, defaultdict(set))
        entries[held.entry.stream, held.entry.entry].add(held.entry.starts)


def _innocent(jobs: Iterable[HeldJob]) -> Iterator[HeldJob]:
    return (held for held in jobs if not is_deadly(held.job.text))
