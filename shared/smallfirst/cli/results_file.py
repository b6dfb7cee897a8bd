"""The files that a run writes: its results, which a later run can go on from, and its bad lines."""

import json
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, BinaryIO, Self

from pydantic import ValidationError

from smallfirst.cli.id_set import IdSet
from smallfirst.cli.output import CommandError
from smallfirst.cli.rows import Row
from smallfirst.jobs import Result, Status

#: What `-` stands for in the place of a file.
STDIO = Path("-")
#: What to do where a file cannot be written.
_GO_ON = "what was written is kept: make room, and give the same command with --resume to go on"
_COPY = "--resume needs room for a second copy of the answers; the file itself is as it was"
#: A job that ended so is not asked again by a run that resumes.
_LASTING = frozenset({Status.ANSWERED, Status.ABSTAINED})


def answers_in(file: BinaryIO) -> Iterator[tuple[bytes, str]]:
    """Read the lines that are whole results and need no second try, each with its job's id."""
    for line in file:
        with suppress(ValidationError):
            result = Result.model_validate_json(line)
            if result.status in _LASTING and line.endswith(b"\n"):
                yield line, result.id


class ResultsFile:
    """Results as JSON Lines, each line written at once.

    Args:
        path: `-` for stdout.
        resume: Go on with what stands there: answers stay, and everything else goes (a line torn by
            a crash, jobs that failed), to be asked again.
        lasting: Reads the lines that stay, each with its row's id.
    """

    def __init__(
        self,
        path: Path,
        *,
        resume: bool = False,
        lasting: Callable[[BinaryIO], Iterator[tuple[bytes, str]]] = answers_in,
    ) -> None:
        self._path = path
        self._resume = resume
        self._lasting = lasting
        self._resources = ExitStack()
        self._file: IO[bytes] = sys.stdout.buffer
        self._done: IdSet | None = None

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            if self._resume:
                self._done = IdSet()
                opening.callback(self._done.close)
                self._keep_answers(self._done)
            if self._path != STDIO:
                mode = "ab" if self._resume else "wb"
                self._file = opening.enter_context(self._path.open(mode, buffering=0))
            self._resources = opening.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._resources.close()

    def has(self, row: Row) -> bool:
        """Whether an earlier run has this row's answer."""
        return self.has_id(row.job.id)

    def has_id(self, row_id: str) -> bool:
        """Whether a line of an earlier run has this id."""
        return self._done is not None and row_id in self._done

    def write(self, result: Result, row: Row | None = None) -> None:
        """Add one result, and under `row` what else stood in its row."""
        line = result.model_dump_json(exclude_none=True)
        if row is not None and row.columns:
            line = json.dumps({**json.loads(line), "row": row.columns}, ensure_ascii=False)
        self.write_line(line)

    def write_line(self, line: str) -> None:
        """Add one line, whole."""
        with told_how_to_go_on(self._path, _GO_ON):
            self._file.write(line.encode("utf-8", "surrogatepass") + b"\n")
            if self._path == STDIO:
                self._file.flush()

    def _keep_answers(self, done: IdSet) -> None:
        """Rewrite the file with its answers alone; a crash meanwhile leaves the old one."""
        if not self._path.exists():
            return
        kept = self._path.with_name(f"{self._path.name}.resume")
        try:
            with (
                told_how_to_go_on(kept, _COPY),
                self._path.open("rb") as old,
                kept.open("wb") as new,
            ):
                for line, job_id in self._lasting(old):
                    if done.add(job_id):
                        new.write(line)
                new.flush()
                os.fsync(new.fileno())
            kept.chmod(stat.S_IMODE(self._path.stat().st_mode))
            kept.replace(self._path)
        finally:
            kept.unlink(missing_ok=True)


@contextmanager
def told_how_to_go_on(path: Path, remedy: str) -> Iterator[None]:
    """Tell which file could not be written, and what to do; stdout is whoever's reads it.

    Raises:
        CommandError: In place of an OSError.
    """
    try:
        yield
    except OSError as error:
        if path == STDIO:
            raise
        raise CommandError(f"{path}: {error.strerror or error}; {remedy}") from error


class ErrorsFile:
    """What was wrong with which line, as JSON Lines; there is no file where nothing was.

    Args:
        path: `-` for stderr.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._resources = ExitStack()
        self._file: IO[bytes] | None = None
        self.num_written = 0

    def __enter__(self) -> Self:
        if self._path == STDIO:
            self._file = sys.stderr.buffer
        elif self._path.is_file():
            self._path.unlink()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._resources.close()

    def write(self, number: int, reason: str, job_id: str | None = None) -> None:
        """Add one line's number and what is wrong with it."""
        if self._file is None:
            self._file = self._resources.enter_context(self._path.open("wb", buffering=0))
        known = {"line": number, "reason": reason} | ({"id": job_id} if job_id else {})
        with told_how_to_go_on(self._path, _GO_ON):
            self._file.write(json.dumps(known, ensure_ascii=False).encode() + b"\n")
            self._file.flush()
        self.num_written += 1
