"""One run of a file through the fleet: rows in, results out, and what it came to.

It owns the bookkeeping of what is in flight. Which files and which options is `run`'s, the command.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO

from smallfirst.cli.id_set import IdSet
from smallfirst.cli.jobs import FINE
from smallfirst.cli.report import Report
from smallfirst.cli.results_file import ErrorsFile, ResultsFile
from smallfirst.cli.rows import BadRow, Defaults, read_lines, read_row
from smallfirst.errors import IdConflict
from smallfirst.jobs import Job, Result
from smallfirst.kinds import Gold


@dataclass(frozen=True)
class _InFlight:
    """What a result is compared with when it comes."""

    number: int
    gold: Gold | None


class Run:
    """Rows on their way.

    Args:
        source: The rows.
        size: The source's size in bytes, where known.
        results: The file for the answers, which says what is answered already.
        errors: The file for the lines that are no jobs.
        defaults: The options of rows that do not name their own.
        started_at: The start on Redis's clock; a result from before was asked for by another run.
    """

    def __init__(
        self,
        source: BinaryIO,
        size: int | None,
        results: ResultsFile,
        errors: ErrorsFile,
        *,
        defaults: Defaults,
        started_at: datetime,
    ) -> None:
        self._source = source
        self._size = size
        self._results = results
        self._errors = errors
        self._defaults = defaults
        self._started_at = started_at
        self._seen = IdSet()
        self._in_flight: dict[str, _InFlight] = {}
        self._problems: dict[tuple[str, str], tuple[int, str]] = {}
        self._num_rows = 0
        self._num_bytes = 0
        self.report = Report()
        self.num_bad = 0
        self.num_conflicts = 0
        self.num_skipped = 0
        self.num_earlier = 0

    def jobs(self) -> Iterator[Job]:
        """Read the rows that are jobs and not yet answered; report those that are none."""
        for line in read_lines(self._source):
            self._num_rows += 1
            self._num_bytes = line.end
            row = read_row(line, self._defaults)
            if isinstance(row, BadRow):
                self._reject(row.number, row.reason)
            elif self._results.has(row.job.id):
                self.num_skipped += 1
            elif not self._seen.add(row.job.id):
                self._reject(row.number, "an earlier line has the same id", row.job.id)
            else:
                self._in_flight[row.job.id] = _InFlight(row.number, row.gold)
                yield row.job

    def take(self, result: Result) -> None:
        """Write a result down and count it."""
        asked = self._in_flight.pop(result.id)
        if result.problem is not None and result.problem.code == IdConflict.code:
            self.num_conflicts += 1
            self._errors.write(asked.number, result.problem.message, result.id)
            return
        self._results.write(result)
        self.report.add(result, asked.gold)
        self.num_earlier += result.finished_at < self._started_at
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
        return self._num_rows - len(self._in_flight)

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

    def as_json(self) -> dict[str, Any]:
        """What the run came to, for programs."""
        return {
            **self.report.as_json(),
            "bad_lines": self.num_bad,
            "id_conflicts": self.num_conflicts,
            "already_answered": self.num_skipped,
            "from_earlier": self.num_earlier,
            "problems": [
                {"status": status, "code": code, "jobs": count, "message": message}
                for (status, code), (count, message) in self._problems.items()
            ],
        }

    def _reject(self, number: int, reason: str, job_id: str | None = None) -> None:
        self.num_bad += 1
        self._errors.write(number, reason, job_id)
