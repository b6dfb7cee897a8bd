"""What goes into a batch: a pure function of what waits, what fits and how many are wanted.

A batch is one forward pass, so its cost is its number of rows times its longest row. Texts of like
length travel together, and equal texts as one row; tasks that share a model share the pass; whoever
has waited longest leads.
"""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import merge
from operator import attrgetter
from typing import NamedTuple

from smallfirst.jobs import Priority

#: Batches are not split among idle workers below this: a pass over a few rows costs as much each.
MIN_SHARE = 8
#: The most jobs in a batch by how many workers began its jobs before and did not end them. What
#: kills its worker is soon alone, and hurts its batch-mates twice at most; a worker that runs
#: several batches at once runs such a one by itself.
JOBS_BY_STARTS = (1024, 8, 1)
#: The most jobs in a batch for each text that it may hold: a few tasks about every text. Of eight
#: tasks about each, four in a batch are answered as fast as eight, and a batch takes half as long.
JOBS_PER_TEXT = 4


class Mates(NamedTuple):
    """What jobs have in common that may share a pass.

    An interactive job waits for no rows of bulk: its pass is as short as it can be.
    """

    priority: Priority
    model: str
    starts: int


class WaitingJob(NamedTuple):
    """A job in a backlog, as far as packing cares. A tuple, since each job becomes one.

    Attributes:
        entry: Its id in the stream of its priority.
        priority: Who waits for it.
        task: Its name, for people.
        model: Who is asked.
        num_chars: Of its text.
        num_tokens: About how many its text has.
        text: What tells its text from others; empty where that is not known.
        parked_ms: Since when it waits for the pool.
        starts: How many workers began it.
    """

    entry: str
    priority: Priority
    task: str
    model: str
    num_chars: int
    num_tokens: int
    text: str
    parked_ms: int
    starts: int = 0

    @property
    def key(self) -> tuple[Priority, str]:
        """What tells it from all others: two streams may give out the same entry id."""
        return (self.priority, self.entry)

    @property
    def mates(self) -> Mates:
        """Who may share a pass with it."""
        return Mates(self.priority, self.model, self.starts)

    @property
    def rank(self) -> tuple[bool, int, str]:
        """Order of service: interactive before bulk, then by how long it has waited for the pool.

        Not by its submission: who has submitted much long ago would always be served before whoever
        comes now, though both were let in by fair shares.
        """
        return (self.priority is Priority.BULK, self.parked_ms, self.entry)


#: The order of mates in which those that pad each other least stand together, and equal texts.
_BY_LENGTH = attrgetter("num_tokens", "text", "parked_ms", "entry")
#: The order of service among mates.
_BY_AGE = attrgetter("parked_ms", "entry")


class WaitingJobs:
    """Jobs that wait for a pool, kept in the order in which batches are formed of them."""

    def __init__(self, jobs: Iterable[WaitingJob] = ()) -> None:
        self._by_key: dict[tuple[Priority, str], WaitingJob] = {}
        self._by_length: dict[Mates, list[WaitingJob]] = {}
        self._by_age: dict[Mates, list[WaitingJob]] = {}
        self._counts: Counter[Priority] = Counter()
        for job in jobs:
            self.add(job)

    def __len__(self) -> int:
        return len(self._by_key)

    def __iter__(self) -> Iterator[WaitingJob]:
        return iter(list(self._by_key.values()))

    def count(self, priority: Priority) -> int:
        """How many there are of a priority."""
        return self._counts[priority]

    def add(self, job: WaitingJob) -> None:
        """Add a job, in the place of what was known of it before."""
        self.drop(job.key)
        self._by_key[job.key] = job
        self._counts[job.priority] += 1
        mates = job.mates
        insort(self._by_length.setdefault(mates, []), job, key=_BY_LENGTH)
        insort(self._by_age.setdefault(mates, []), job, key=_BY_AGE)

    def drop(self, key: tuple[Priority, str]) -> None:
        """Forget a job, where it is known."""
        job = self._by_key.pop(key, None)
        if job is None:
            return
        self._counts[job.priority] -= 1
        mates = job.mates
        for kept, order in ((self._by_length, _BY_LENGTH), (self._by_age, _BY_AGE)):
            jobs = kept[mates]
            del jobs[bisect_left(jobs, order(job), key=order)]
            if not jobs:
                del kept[mates]

    def by_length(self) -> dict[Mates, list[WaitingJob]]:
        """Who may share a pass, shortest texts first; the caller's own lists."""
        return {mates: list(jobs) for mates, jobs in self._by_length.items()}

    def by_rank(self) -> Iterator[WaitingJob]:
        """All in the order of service."""
        return merge(*self._by_age.values(), key=attrgetter("rank"))


@dataclass(frozen=True)
class Limits:
    """The bounds of one batch.

    Attributes:
        jobs: The most texts, each read once.
        tokens: The most texts times the longest of them.
        shares_texts: Whether a text is read once for all that is asked of it, as an encoder does;
            else each job counts as a text.
    """

    jobs: int
    tokens: int
    shares_texts: bool = True


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
    """Say how full a batch is: the share of its bound in texts or in tokens, the fuller of the two.

    A single job that is larger than the bound in tokens fills its batch.
    """
    longest = max(job.num_tokens for job in batch.jobs)
    shared = {job.text or job.key for job in batch.jobs}
    num_rows = len(shared) if limits.shares_texts else len(batch.jobs)
    return min(1.0, max(num_rows / limits.jobs, num_rows * longest / limits.tokens))


def form_batches(
    waiting: WaitingJobs, limits: Limits, rooms: Mapping[Priority, int]
) -> list[Batch]:
    """Form batches, each led by the job that is due first among those left.

    Args:
        waiting: What waits; it stays as it is.
        limits: The bounds of each.
        rooms: How many batches there may be when one of this priority is added.
    """
    share = max(MIN_SHARE, -(-len(waiting) // max(rooms[Priority.BULK], 1)))
    left, taken = waiting.by_length(), set[WaitingJob]()
    batches: list[Batch] = []
    for head in waiting.by_rank():
        if head in taken:
            continue
        if len(batches) >= rooms[head.priority]:
            break
        jobs = left[head.mates]
        part = _around(head, jobs, limits, min(limits.jobs, share))
        batches.append(Batch(head.model, tuple(jobs[part])))
        taken.update(jobs[part])
        del jobs[part]
    return batches


class _Part(NamedTuple):
    """A stretch of mates, the shortest first, and how far its last addition is from the head."""

    first: int
    end: int
    num_texts: int = 1
    distance: int = 0


def _around(head: WaitingJob, jobs: Sequence[WaitingJob], limits: Limits, most_texts: int) -> slice:
    """Which jobs travel with the head: its neighbours by length, the nearest first.

    They are added while texts times the longest stay within the token budget.
    """
    place = bisect_left(jobs, _BY_LENGTH(head), key=_BY_LENGTH)
    part, most_jobs = _Part(place, place + 1), _most_jobs(head.starts, most_texts)
    while part.end - part.first < most_jobs:
        wider = [
            each
            for each in _widened(part, jobs, head, limits)
            if each.num_texts <= most_texts
            and each.num_texts * jobs[each.end - 1].num_tokens <= limits.tokens
        ]
        if not wider:
            break
        part = min(wider, key=attrgetter("distance"))
    return slice(part.first, part.end)


def _widened(
    part: _Part, jobs: Sequence[WaitingJob], head: WaitingJob, limits: Limits
) -> Iterator[_Part]:
    """The stretch with one more job, at either end. Equal texts stand together, and are one row."""
    first, end, num_texts, _ = part
    if first:
        job = jobs[first - 1]
        more = num_texts + _is_another(job, jobs[first], limits)
        yield _Part(first - 1, end, more, head.num_tokens - job.num_tokens)
    if end < len(jobs):
        job = jobs[end]
        more = num_texts + _is_another(job, jobs[end - 1], limits)
        yield _Part(first, end + 1, more, job.num_tokens - head.num_tokens)


def _is_another(one: WaitingJob, other: WaitingJob, limits: Limits) -> bool:
    """Whether a job's text is a row of its own beside another's."""
    return not (limits.shares_texts and one.text and one.text == other.text)


def _most_jobs(starts: int, most_texts: int) -> int:
    """How many jobs may share a pass. What may be poisonous is counted by the job."""
    if starts:
        return min(most_texts, JOBS_BY_STARTS[min(starts, len(JOBS_BY_STARTS) - 1)])
    return min(JOBS_PER_TEXT * most_texts, JOBS_BY_STARTS[0])
