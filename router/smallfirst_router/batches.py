"""What goes into a batch: a pure function of what waits, what fits and how many are wanted.

A batch is one forward pass, so its cost is its number of rows times its longest row. Jobs of like
length travel together; tasks that share a model share the pass; whoever has waited longest leads.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from smallfirst.jobs import Priority

#: Characters of ordinary text to one token of a BERT-class tokenizer: a hint for packing, no limit.
CHARS_PER_TOKEN = 4
#: Batches are not split among idle workers below this: a pass over a few rows costs as much each.
MIN_SHARE = 8
#: The most jobs in a batch by how many workers began its jobs before and did not end them. What
#: kills its worker is soon alone, and hurts its batch-mates twice at most; a worker that runs
#: several batches at once runs such a one by itself.
JOBS_BY_STARTS = (1024, 8, 1)


@dataclass(frozen=True)
class WaitingJob:
    """A job in a backlog, as far as packing cares."""

    entry: str
    priority: Priority
    task: str
    model: str
    num_chars: int
    parked_ms: int
    starts: int = 0

    @property
    def num_tokens(self) -> int:
        """About how many tokens the text has; two more frame it."""
        return 2 + -(-self.num_chars // CHARS_PER_TOKEN)

    @property
    def key(self) -> tuple[Priority, str]:
        """What tells it from all others: two streams may give out the same entry id."""
        return (self.priority, self.entry)

    @property
    def rank(self) -> tuple[bool, int, str]:
        """Order of service: interactive before bulk, then by how long it has waited for the pool.

        Not by its submission: who has submitted much long ago would always be served before whoever
        comes now, though both were let in by fair shares.
        """
        return (self.priority is Priority.BULK, self.parked_ms, self.entry)


@dataclass(frozen=True)
class Limits:
    """The bounds of one batch."""

    jobs: int
    tokens: int


@dataclass(frozen=True)
class Batch:
    """Jobs of one priority that share one forward pass, all started equally often before."""

    model: str
    jobs: tuple[WaitingJob, ...]

    @property
    def priority(self) -> Priority:
        """The same for all of its jobs."""
        return self.jobs[0].priority

    @property
    def starts(self) -> int:
        """How often each of its jobs was started before: the same for all."""
        return self.jobs[0].starts


def fill_of(batch: Batch, limits: Limits) -> float:
    """Say how full a batch is: the share of its bound in jobs or in tokens, the fuller of the two.

    A single job that is larger than the bound in tokens fills its batch.
    """
    longest = max(job.num_tokens for job in batch.jobs)
    tokens = len(batch.jobs) * longest / limits.tokens
    return min(1.0, max(len(batch.jobs) / limits.jobs, tokens))


def form_batches(
    waiting: Iterable[WaitingJob], limits: Limits, rooms: Mapping[Priority, int]
) -> list[Batch]:
    """Form batches, each led by the job that is due first among those left.

    Args:
        waiting: What waits.
        limits: The bounds of each.
        rooms: How many batches there may be when one of this priority is added.
    """
    left = sorted(waiting, key=lambda job: job.rank)
    share = max(MIN_SHARE, -(-len(left) // max(rooms[Priority.BULK], 1)))
    batches: list[Batch] = []
    while left and len(batches) < rooms[left[0].priority]:
        head = left[0]
        batch = _fill(head, _mates_of(head, left), limits, share)
        taken = {job.key for job in batch.jobs}
        left = [job for job in left if job.key not in taken]
        batches.append(batch)
    return batches


def _mates_of(head: WaitingJob, jobs: Iterable[WaitingJob]) -> list[WaitingJob]:
    """Who may share a pass with the head, the nearest in length first."""
    mates = [job for job in jobs if _may_share(head, job) and job is not head]
    return sorted(mates, key=lambda job: abs(job.num_chars - head.num_chars))


def _may_share(head: WaitingJob, job: WaitingJob) -> bool:
    # An interactive job waits for no rows of bulk: its pass is as short as it can be.
    return (job.model, job.starts, job.priority) == (head.model, head.starts, head.priority)


def _fill(head: WaitingJob, mates: Sequence[WaitingJob], limits: Limits, share: int) -> Batch:
    """Add mates while rows times the longest row stays within the token budget."""
    most = min(limits.jobs, share, _jobs_after(head.starts))
    jobs, longest = [head], head.num_tokens
    for mate in mates:
        if len(jobs) >= most:
            break
        stretched = max(longest, mate.num_tokens)
        if (len(jobs) + 1) * stretched <= limits.tokens:
            jobs.append(mate)
            longest = stretched
    return Batch(head.model, tuple(jobs))


def _jobs_after(starts: int) -> int:
    return JOBS_BY_STARTS[min(starts, len(JOBS_BY_STARTS) - 1)]
