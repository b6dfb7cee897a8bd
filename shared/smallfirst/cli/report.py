"""What a run came to: results, and the right answers where they are known, summed up as rows.

Pure, and bounded: a report of a million results is as large as one of a hundred. How a row looks on
a screen is `cli.tables`' business.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from smallfirst.jobs import Attempt, Result, Status, Tier
from smallfirst.kinds import Gold
from smallfirst.kinds.scoring import Score

#: Neighbouring buckets of a histogram differ by this factor, so a quantile is at most 1 % off.
_GROWTH = 1.02


_LOG_GROWTH = math.log(_GROWTH)


#: Shorter durations share a bucket: no network answers faster.
_SHORTEST_SECONDS = 1e-4


class Histogram:
    """Durations counted in logarithmic buckets.

    From a tenth of a millisecond to 30 days there are about 1,200 buckets, whatever is counted.
    """

    def __init__(self) -> None:
        self._counts: dict[int, int] = defaultdict(int)
        self._num_values = 0

    def add(self, seconds: float) -> None:
        """Count one duration."""
        self._counts[math.floor(math.log(max(seconds, _SHORTEST_SECONDS)) / _LOG_GROWTH)] += 1
        self._num_values += 1

    def quantile(self, share: float) -> float | None:
        """Find the seconds that `share` (0 to 1) of all do not exceed, within 1 %.

        None where nothing was counted.
        """
        wanted = max(1, math.ceil(share * self._num_values))
        seen = 0
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            if seen >= wanted:
                return math.exp((bucket + 0.5) * _LOG_GROWTH)
        return None


@dataclass(frozen=True)
class ReportRow:
    """One line of the summary: a task's step, or the jobs of a task that ended without an answer.

    `jobs` are those that ended here and `share` is of the task's jobs. `worker_seconds` and `cost`
    are of every job that this step tried, accepted or not, so that the column adds up to what was
    spent.
    """

    task: str
    status: Status
    jobs: int
    share: float
    tried: int
    step: int | None = None
    tier: Tier | None = None
    model: str | None = None
    mean_confidence: float | None = None
    measure: str | None = None
    score: float | None = None
    num_scored: int = 0
    p50_seconds: float | None = None
    p95_seconds: float | None = None
    worker_seconds: float = 0.0
    cost: float = 0.0


@dataclass
class _Tally:
    """What is known so far about one row."""

    jobs: int = 0
    tried: int = 0
    confidence: float = 0.0
    seconds: float = 0.0
    cost: float = 0.0
    waits: Histogram = field(default_factory=Histogram)
    score: Score = field(default_factory=Score)


@dataclass(frozen=True, order=True)
class _Place:
    """Which row: in a task's order of steps, then the ends without an answer."""

    task: str
    rank: int
    step: int
    tier: str
    model: str
    status: str


class Report:
    """Results, summed up as they come."""

    def __init__(self) -> None:
        self._tallies: dict[_Place, _Tally] = defaultdict(_Tally)
        self._by_task: dict[str, int] = defaultdict(int)
        self._by_status: dict[Status, int] = dict.fromkeys(Status, 0)
        self._scores: dict[str, Score] = defaultdict(Score)
        self._waits = Histogram()
        self.num_jobs = 0
        self.cost = 0.0
        self.worker_seconds = 0.0

    def add(self, result: Result, gold: Gold | None = None) -> None:
        """Count one result; `gold` is the right answer to its task, where known."""
        task = result.task or "?"
        waited = (result.finished_at - result.submitted_at) / timedelta(seconds=1)
        self.num_jobs += 1
        self._by_task[task] += 1
        self._by_status[result.status] = self.count(result.status) + 1
        self._waits.add(waited)
        for attempt in result.trail:
            self._count_attempt(task, attempt)
        tally = self._tallies[_place_of_end(task, result)]
        tally.jobs += 1
        tally.waits.add(waited)
        if result.is_answered and result.answer is not None:
            tally.confidence += result.answer.confidence
            if gold is not None:
                tally.score.add(result.answer, gold)
                self._scores[task].add(result.answer, gold)

    def _count_attempt(self, task: str, attempt: Attempt) -> None:
        tally = self._tallies[_place_of_step(task, attempt)]
        tally.tried += 1
        tally.seconds += attempt.seconds
        tally.cost += attempt.cost
        self.worker_seconds += attempt.seconds
        self.cost += attempt.cost

    def count(self, status: Status) -> int:
        """How many jobs ended so."""
        return self._by_status.get(status, 0)

    def answered_by(self, tier: Tier) -> int:
        """How many jobs have their answer of a step of this tier."""
        return sum(row.jobs for row in self.rows() if row.tier is tier)

    def quantile(self, share: float) -> float | None:
        """Seconds from submission to finish that `share` of all jobs did not exceed."""
        return self._waits.quantile(share)

    def score(self, task: str) -> Score:
        """How often the task's accepted answers were right, whichever step they came from."""
        return self._scores[task]

    def rows(self) -> list[ReportRow]:
        """The summary: task by task, the steps in their order, then the ends without an answer."""
        return [self._row(place, self._tallies[place]) for place in sorted(self._tallies)]

    def _row(self, place: _Place, tally: _Tally) -> ReportRow:
        is_step = place.rank == 0
        return ReportRow(
            task=place.task,
            status=Status.read(place.status),
            jobs=tally.jobs,
            share=tally.jobs / max(1, self._by_task[place.task]),
            tried=tally.tried,
            step=place.step if is_step else None,
            tier=Tier.read(place.tier) if is_step else None,
            model=place.model if is_step else None,
            mean_confidence=tally.confidence / tally.jobs if is_step and tally.jobs else None,
            measure=tally.score.measure,
            score=tally.score.value,
            num_scored=tally.score.num_scored,
            p50_seconds=tally.waits.quantile(0.50),
            p95_seconds=tally.waits.quantile(0.95),
            worker_seconds=tally.seconds,
            cost=tally.cost,
        )

    def as_json(self) -> dict[str, Any]:
        """The summary for programs; see `ReportRow` for the meaning of the rows."""
        return {
            "jobs": self.num_jobs,
            "statuses": {str(s): n for s, n in self._by_status.items() if n},
            "cost": round(self.cost, 9),
            "worker_seconds": round(self.worker_seconds, 6),
            "p50_seconds": _rounded(self.quantile(0.50)),
            "p95_seconds": _rounded(self.quantile(0.95)),
            "scores": dict(self._scores_as_json()),
            "rows": [_row_as_json(row) for row in self.rows()],
        }

    def _scores_as_json(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for task, score in sorted(self._scores.items()):
            if score.value is not None:
                yield (
                    task,
                    {
                        "measure": score.measure,
                        "score": round(score.value, 6),
                        "num_scored": score.num_scored,
                    },
                )


def _place_of_step(task: str, attempt: Attempt) -> _Place:
    return _Place(task, 0, attempt.step, attempt.tier, attempt.model, Status.ANSWERED)


def _place_of_end(task: str, result: Result) -> _Place:
    """The row a job ends in: the step whose answer stands, else how it ended."""
    if result.is_answered and result.trail:
        return _place_of_step(task, result.trail[-1])
    order = [*Status, result.status]  # one of a newer version stands behind all others
    return _Place(task, 1 + order.index(result.status), 0, "", "", result.status)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def _row_as_json(row: ReportRow) -> dict[str, Any]:
    """Leave out what the row does not have, and the digits that mean nothing."""
    fields: Sequence[tuple[str, Any]] = [
        (name, round(value, 9) if isinstance(value, float) else value)
        for name, value in vars(row).items()
    ]
    return {name: value for name, value in fields if value is not None}
