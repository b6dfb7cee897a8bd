"""One run of a file through the fleet: rows in, results out, and what it came to.

It owns the bookkeeping of what is in flight. Which files and which options is `run`'s, the command.
"""

import hashlib
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO, Protocol

from smallfirst.catalogue.row_files import read_lines
from smallfirst.cli.id_set import IdSet
from smallfirst.cli.jobs import FINE
from smallfirst.cli.report import Report
from smallfirst.cli.results_file import ErrorsFile
from smallfirst.cli.rows import BadRow, Defaults, Row, read_row
from smallfirst.errors import IdConflict
from smallfirst.jobs import Job, Result

#: The most different reasons that lines are no jobs for which are counted one by one.
MAX_REASONS = 100


class KeepsAnswers(Protocol):
    """Where the answers go, which says what is answered already; `ResultsFile` is one."""

    def has(self, row: Row) -> bool:
        """Whether this row needs no answer."""

    def write(self, result: Result, row: Row) -> None:
        """Add the result of a row."""


@dataclass(frozen=True)
class _Asked:
    """A row on its way.

    Attributes:
        row: As it stands in its file.
        times: How often it was asked before, and ended otherwise than with an answer.
    """

    row: Row
    times: int = 0

    @property
    def job(self) -> Job:
        """The job that asks it this time.

        An id that has a result keeps it, so a row that is asked again needs another: one that no
        other row has, whatever its owner calls his.
        """
        if not self.times:
            return self.row.job
        own = hashlib.sha256(self.row.job.id.encode()).hexdigest()
        return self.row.job.model_copy(update={"id": f"again-{self.times}-{own}"})


class Run:
    """Rows on their way.

    Args:
        source: The rows.
        size: The source's size in bytes, where known.
        results: The file for the answers, which says what is answered already.
        errors: The file for the lines that are no jobs.
        defaults: The options of rows that do not name their own.
        started_at: The start on Redis's clock; a result from before was asked for by another run.
        delimiter: What parts the cells of a table; None: JSON Lines.
        asks_again: Whether what an earlier run got no answer of is asked anew.
    """

    def __init__(
        self,
        source: BinaryIO,
        size: int | None,
        results: KeepsAnswers,
        errors: ErrorsFile,
        *,
        defaults: Defaults,
        started_at: datetime,
        delimiter: str | None = None,
        asks_again: bool = False,
    ) -> None:
        self._source = source
        self._size = size
        self._results = results
        self._errors = errors
        self._defaults = defaults
        self._started_at = started_at
        self._delimiter = delimiter
        self._asks_again = asks_again
        self._seen = IdSet()
        self._in_flight: dict[str, _Asked] = {}
        self._again: deque[_Asked] = deque()
        self._reasons: dict[str, tuple[int, int]] = {}
        self._problems: dict[tuple[str, str], tuple[int, str]] = {}
        self._num_rows = 0
        self._num_bytes = 0
        self.report = Report()
        self.num_bad = 0
        self.num_conflicts = 0
        self.num_skipped = 0
        self.num_earlier = 0
        self.num_asked_again = 0

    def jobs(self) -> Iterator[Job]:
        """Read the rows that are jobs and not yet answered; report those that are none.

        Rows that are to be asked again come between them, and more may be left at the end.
        """
        for line in read_lines(self._source, delimiter=self._delimiter):
            yield from self.jobs_again()
            self._num_rows += 1
            self._num_bytes = line.end
            row = read_row(line, self._defaults)
            if isinstance(row, BadRow):
                self._reject(row.number, row.reason)
            elif self._results.has(row):
                self.num_skipped += 1
            elif not self._seen.add(row.job.id):
                self._reject(row.number, "an earlier line has the same id", row.job.id)
            else:
                yield self._sent(_Asked(row))

    def jobs_again(self) -> Iterator[Job]:
        """Ask again what an earlier run got no answer of."""
        while self._again:
            self.num_asked_again += 1
            yield self._sent(self._again.popleft())

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to be asked again."""
        return not self._again

    def _sent(self, asked: _Asked) -> Job:
        job = asked.job
        self._in_flight[job.id] = asked
        return job

    def take(self, result: Result) -> None:
        """Write a result down and count it."""
        asked = self._in_flight.pop(result.id)
        row = asked.row
        if result.problem is not None and result.problem.code == IdConflict.code:
            self.num_conflicts += 1
            self._errors.write(row.number, result.problem.message, result.id)
            return
        is_earlier = result.finished_at < self._started_at
        if self._asks_again and is_earlier and result.status not in FINE:
            self._again.append(_Asked(row, asked.times + 1))
            return
        self._results.write(result.model_copy(update={"id": row.job.id}), row)
        self.report.add(result, row.gold)
        self.num_earlier += is_earlier
        if result.problem is not None and result.status not in FINE:
            key = (str(result.status), result.problem.code)
            count, message = self._problems.get(key, (0, result.problem.message))
            self._problems[key] = (count + 1, message)

    def close(self) -> None:
        """Let go of what was remembered."""
        self._seen.close()

    @property
    def num_done(self) -> int:
        """Rows that nothing more comes of."""
        return self._num_rows - len(self._in_flight) - len(self._again)

    @property
    def expected_rows(self) -> int | None:
        """How many rows there will have been, judged by those so far."""
        if not self._size or not self._num_bytes:
            return None
        return round(self._num_rows * self._size / self._num_bytes)

    @property
    def is_fine(self) -> bool:
        """Whether every row was a job, and every job was answered or abstained from."""
        fine = sum(self.report.count(status) for status in FINE)
        return not self.num_bad and not self.num_conflicts and fine == self.report.num_jobs

    @property
    def problems(self) -> Mapping[tuple[str, str], tuple[int, str]]:
        """By status and code of a problem: how many jobs, and the words of the first."""
        return self._problems

    @property
    def reasons(self) -> Mapping[str, tuple[int, int]]:
        """Why lines were no jobs: how many for each reason, and the first of them."""
        return self._reasons

    def as_json(self) -> dict[str, Any]:
        """What the run came to, for programs."""
        return {
            **self.report.as_json(),
            "bad_lines": self.num_bad,
            "id_conflicts": self.num_conflicts,
            "already_answered": self.num_skipped,
            "from_earlier": self.num_earlier,
            "asked_again": self.num_asked_again,
            "problems": [
                {"status": status, "code": code, "jobs": count, "message": message}
                for (status, code), (count, message) in self._problems.items()
            ],
        }

    def _reject(self, number: int, reason: str, job_id: str | None = None) -> None:
        self.num_bad += 1
        if reason in self._reasons or len(self._reasons) < MAX_REASONS:
            count, first = self._reasons.get(reason, (0, number))
            self._reasons[reason] = (count + 1, first)
        self._errors.write(number, reason, job_id)
