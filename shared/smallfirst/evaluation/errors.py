"""What can go wrong when a cascade is calibrated or evaluated.

SmallfirstError
└── QualityError
    ├── RowsError          rows are wrong; their author mends them
    ├── SeenRowsError      rows that a model learned from; others are needed
    ├── UnaskableError     the task or a step of it cannot be asked here
    ├── NothingToChoose    no threshold of the cascade is to be calibrated
    └── UnansweredError    the fleet did not answer some rows

A row's text never stands in one of them.
"""

from dataclasses import dataclass
from pathlib import Path

from smallfirst.errors import CatalogueProblem, SmallfirstError

#: Most rows that are named one by one.
MAX_NAMED = 5


class QualityError(SmallfirstError):
    """Root of what keeps a cascade from being calibrated or evaluated."""


class RowsError(QualityError):
    """Raised when a file of labelled rows is wrong.

    Attributes:
        problems: At least one, each with its line.
    """

    def __init__(self, *problems: CatalogueProblem) -> None:
        super().__init__(*problems)
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


class SeenRowsError(QualityError):
    """Raised when a model of the cascade learned from rows that it should be judged by.

    Attributes:
        lines: Of those rows in their file, counted from 1.
        num_rows: How many rows there are in all.
        sources: What learned from them: a model's folder, or the task's own examples.
    """

    def __init__(self, lines: tuple[int, ...], num_rows: int, sources: tuple[str, ...]) -> None:
        super().__init__(lines, num_rows, sources)
        self.lines = lines
        self.num_rows = num_rows
        self.sources = sources

    def __str__(self) -> str:
        named = ", ".join(map(str, self.lines[:MAX_NAMED]))
        more = " and more" if len(self.lines) > MAX_NAMED else ""
        return (
            f"{len(self.lines)} of {self.num_rows} rows were seen in training"
            f" ({', '.join(self.sources)}): lines {named}{more}; a model is always right about"
            " what it learned by heart, so bring rows it has not seen, or leave these out with"
            " --drop-seen"
        )


class UnaskableError(QualityError):
    """Raised when a task, or a step of it, cannot be asked here.

    Attributes:
        where: Dotted key in the catalogue.
        reason: Why not, and what to do.
    """

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(where, reason)
        self.where = where
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"


class NothingToChoose(QualityError):
    """Raised when a cascade has no threshold that calibration could choose, or not in this way.

    Attributes:
        task: Its name.
        reason: Why not, and what to do.
    """

    def __init__(self, task: str, reason: str) -> None:
        super().__init__(task, reason)
        self.task = task
        self.reason = reason

    def __str__(self) -> str:
        return f"tasks.{self.task}: {self.reason}"


@dataclass(frozen=True)
class Unanswered:
    """A row that a step did not answer, and why; its line counts from 1."""

    step: int
    line: int
    status: str
    message: str


class UnansweredError(QualityError):
    """Raised when jobs ended in another way than with an answer, or with none to give.

    Attributes:
        rows: The first of them.
        count: How many.
        logs: Where the fleet's own words stand.
    """

    def __init__(self, rows: tuple[Unanswered, ...], count: int, logs: Path) -> None:
        super().__init__(rows, count, logs)
        self.rows = rows
        self.count = count
        self.logs = logs

    def __str__(self) -> str:
        first = self.rows[0]
        return (
            f"{self.count} answers are missing; the first: line {first.line}, step {first.step},"
            f" {first.status}: {first.message} (logs: {self.logs})"
        )
