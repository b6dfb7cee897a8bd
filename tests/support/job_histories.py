"""What producers did by the id of each job, and whether what came of it keeps the promise.

It knows submissions, results, dead letters and notices, and nothing of the way between them but
which starts were in vain.
"""

import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from tests.support.notices import Notices
from tests.support.stepped_models import answer_to, is_deadly
from tests.support.vain_starts import VainStarts

from smallfirst.jobs import Job, Problem, Result, Status
from smallfirst.ledger.keys import Keys
from smallfirst.ledger.routing_slips import DeadLetter
from smallfirst_router.submissions import Cancellation, Refusal, read_submission

KEYS = Keys()
OWN = KEYS.of_producer("default")


@dataclass(frozen=True)
class Submission:
    """One entry that a producer was confirmed.

    Attributes:
        raw: What stands in its field `job`.
        job_id: The id that can be made out; empty where none can.
        job: The job; None where it is none.
        reply_to: Whom to tell.
    """

    raw: bytes
    job_id: str
    job: Job | None
    reply_to: str | None

    @classmethod
    def read(cls, raw: bytes) -> "Submission":
        """Make out what a producer wrote."""
        found = read_submission({b"job": raw}, len(raw))
        assert not isinstance(found, Cancellation)
        if isinstance(found, Refusal):
            return cls(raw, found.job_id, None, found.reply_to)
        return cls(raw, found.id, found, found.reply_to)


class Letters:
    """The dead letters of submissions that were never begun, by id and hash of the submission."""

    def __init__(self, redis: Any) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        for _, fields in redis.xrange(KEYS.dead):
            letter = DeadLetter.model_validate_json(fields[b"letter"])
            if letter.is_refusal or letter.reason == "id_conflict":
                self._counts[letter.id or "", letter.digest.partition(":")[2]] += 1

    def count(self, submission: Submission) -> int:
        """How many there are of a submission and of those that say the same."""
        # A conflict is found by a script, which has no SHA-256.
        short = hashlib.sha1(submission.raw, usedforsecurity=False).hexdigest()
        long = hashlib.sha256(submission.raw).hexdigest()
        return self._counts[submission.job_id, short] + self._counts[submission.job_id, long]


@dataclass
class History:
    """All that is known of one id.

    Attributes:
        submissions: In their order.
        num_cancels: How often somebody asked that the job be cancelled.
        seen: The result's bytes when they were last looked at; None where there was none.
        num_refusals: How many refusals have stood there, one after the other.
    """

    submissions: list[Submission] = field(default_factory=list)
    num_cancels: int = 0
    seen: bytes | None = None
    num_refusals: int = 0

    @property
    def jobs(self) -> list[Job]:
        """What was submitted that is a job."""
        return [each.job for each in self.submissions if each.job is not None]

    @property
    def result(self) -> Result | None:
        """The result when it was last looked at."""
        return Result.model_validate_json(self.seen) if self.seen else None

    def look(self, raw: bytes | None) -> None:
        """See that an end has not changed since the last look, and that a new one is right."""
        if raw == self.seen:
            return
        before = self.result
        # A refusal leaves its id to whoever submits a job under it besides.
        is_free = before is None or (
            before.status is Status.REFUSED and len(self.submissions) > self.num_refusals
        )
        assert is_free, f"a result changed: {self.seen!r}, {raw!r}"
        self.seen = raw
        if (after := self.result) is not None:
            self._check(after)

    def _check(self, result: Result) -> None:
        """See that a result is of what was submitted under its id."""
        match result.status:
            case Status.CANCELLED:
                assert self.num_cancels, f"cancelled by nobody: {result}"
            case Status.REFUSED:
                self.num_refusals += 1
            case _:
                mine = [job for job in self.jobs if job.fingerprint == result.fingerprint]
                assert mine, f"the result of another text: {result}"
                assert result.metadata in [job.metadata for job in mine], "another's metadata"
                _check_end(result, mine)

    def check_ends(self, letters: Letters) -> None:
        """See that each submission has its letter, or that the result is its own."""
        assert not self.submissions or self.seen is not None, f"no end: {self.submissions}"
        for raw, count in Counter(each.raw for each in self.submissions).items():
            submission = Submission.read(raw)
            num_letters = letters.count(submission)
            assert num_letters <= count, f"{num_letters} letters for {count} of {submission}"
            if num_letters < count:
                self._check_own(submission)

    def _check_own(self, submission: Submission) -> None:
        assert submission.job is not None, f"no letter tells of {submission}"
        assert self.result is not None
        # Who is cancelled by an id alone has no fingerprint.
        is_own = self.result.fingerprint in (None, submission.job.fingerprint)
        assert is_own, f"neither a letter nor a result for {submission}"
        assert self.result.status is not Status.REFUSED, f"refused without a letter: {submission}"

    def check_notices(self, notices: Notices) -> None:
        """See that whoever wanted to be told was told."""
        for each in self.submissions:
            if each.reply_to:
                is_told = each.job_id in notices.of(each.reply_to)
                assert is_told, f"{each.reply_to} was not told of {each}"


def _check_end(result: Result, jobs: list[Job]) -> None:
    """See that a job that was accepted ended as its text says.

    `jobs` are those that ask the same, whichever of them was the first.
    """
    task, text = jobs[0].task, jobs[0].text
    said = answer_to(task, text)
    assert result.task == task
    match result.status:
        case Status.EXPIRED:
            assert any(job.deadline for job in jobs), f"expired without a deadline: {result}"
        case Status.ANSWERED if task != "ids":
            assert (result.answer, is_deadly(text)) == (said, False), f"another answer: {result}"
        case Status.FAILED:
            assert result.problem is not None
            # A task may leave the catalogue; who looks deadly is known by the starts in vain.
            is_blameless = result.problem.code in ("unknown_task", "poison")
            assert is_blameless or isinstance(said, Problem), f"failed without a fault: {result}"


class Histories:
    """The histories of all ids of one fleet.

    Args:
        vain_starts: Those of the fleet.
        max_starts: After so many of them a job is taken for deadly.
    """

    def __init__(self, vain_starts: VainStarts, *, max_starts: int) -> None:
        self._vain_starts = vain_starts
        self._max_starts = max_starts
        self._by_id: dict[str, History] = defaultdict(History)
        self._nameless: list[Submission] = []

    def note_submission(self, raw: bytes) -> None:
        """A producer was confirmed this."""
        submission = Submission.read(raw)
        if submission.job_id:
            self._by_id[submission.job_id].submissions.append(submission)
        else:
            self._nameless.append(submission)

    def note_cancel(self, job_id: str) -> None:
        """A producer was confirmed that a job be cancelled."""
        self._by_id[job_id].num_cancels += 1

    @property
    def known_ids(self) -> list[str]:
        """Every id that was named, in the order of their first mention."""
        return [*self._by_id]

    @property
    def open_ids(self) -> list[str]:
        """Those without an end that anybody has seen."""
        return [job_id for job_id, history in self._by_id.items() if history.seen is None]

    @property
    def jobs(self) -> list[Job]:
        """Every job that was submitted, those of one id together."""
        return [job for history in self._by_id.values() for job in history.jobs]

    @property
    def ends(self) -> list[str]:
        """How the job of each id ended that has, for statistics."""
        results = [each.result for each in self._by_id.values() if each.result]
        return [f"{r.task} {r.status} {r.tier or (r.problem and r.problem.code)}" for r in results]

    def has_deadline_within(self, duration: timedelta) -> bool:
        """Whether any job has a deadline that is over when so much time has passed."""
        return any(job.deadline and job.deadline <= duration for job in self.jobs)

    def check_results(self, redis: Any) -> None:
        """See that no end has changed since it was last seen, and that each new one is right."""
        found = redis.mget([OWN.result(job_id) for job_id in self._by_id]) if self._by_id else []
        for history, raw in zip(self._by_id.values(), found, strict=True):
            history.look(raw)
            if (result := history.result) is not None:
                self._check_poison(result, history.jobs)
        self._vain_starts.check_mates()

    def _check_poison(self, result: Result, jobs: list[Job]) -> None:
        """See that a job is taken for deadly by its text alone, or by others' faults enough."""
        if result.problem is None or result.problem.code != "poison":
            return
        mine = [job for job in jobs if job.fingerprint == result.fingerprint]
        is_deserved = is_deadly(mine[0].text)
        assert is_deserved or self._vain_starts.may_have_spent(result.id, self._max_starts), (
            f"an innocent job ended as poison: {result}, {self._vain_starts}"
        )

    def check_all_ended(self, redis: Any, notices: Notices) -> None:
        """See that each submission has exactly one end, and that who waits was told."""
        self.check_results(redis)
        letters = Letters(redis)
        for history in self._by_id.values():
            history.check_ends(letters)
            history.check_notices(notices)
        for raw, count in Counter(each.raw for each in self._nameless).items():
            assert letters.count(Submission.read(raw)) == count, f"of {count}: {raw!r}"
