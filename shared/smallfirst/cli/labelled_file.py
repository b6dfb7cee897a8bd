"""The file that `smallfirst label` writes: labelled rows, and which of them are there already."""

from collections.abc import Iterator
from contextlib import suppress
from json import dumps
from typing import BinaryIO

from smallfirst.catalogue.row_files import RowError, parse_row
from smallfirst.cli.results_file import ErrorsFile, ResultsFile
from smallfirst.cli.rows import Row
from smallfirst.jobs import Result
from smallfirst.kinds import Kind
from smallfirst.provenance.labelling import labelled_row
from smallfirst.provenance.record import PROVENANCE_KEY


def labelled_in(file: BinaryIO) -> Iterator[tuple[bytes, str]]:
    """Read the lines that are whole labelled rows, each with its id."""
    for line in file:
        with suppress(RowError):
            row = parse_row(line)
            if isinstance(row.get("id"), str) and PROVENANCE_KEY in row and line.endswith(b"\n"):
                yield line, row["id"]


class LabelledFile:
    """Rows with the answers that their jobs got.

    Args:
        lines: The open file.
        errors: The file for rows that got no answer.
        kind: Of the task.
        id_prefix: What stands before a row's own id in that of its job.
    """

    def __init__(
        self, lines: ResultsFile, errors: ErrorsFile, kind: Kind, *, id_prefix: str = ""
    ) -> None:
        self._lines = lines
        self._errors = errors
        self._kind = kind
        self._id_prefix = id_prefix
        self.num_written = 0
        self.num_without = 0
        self.num_labelled_before = 0

    def has(self, row: Row) -> bool:
        """Whether a row needs no label: it brings one, or an earlier run has given it one."""
        if row.gold is not None:
            self.num_labelled_before += 1
            return True
        return self._lines.has_id(self._own_id(row))

    def write(self, result: Result, row: Row) -> None:
        """Add a row with its answer; one that got none is told of, to be asked again."""
        own = self._own_id(row)
        found = labelled_row(self._kind, row.job.text, result.model_copy(update={"id": own}))
        if found is None:
            self.num_without += 1
            reason = result.problem.message if result.problem else "the job got no answer"
            self._errors.write(row.number, reason, own)
            return
        self.num_written += 1
        columns = {"row": dict(row.columns)} if row.columns else {}
        self._lines.write_line(dumps({**found, **columns}, ensure_ascii=False))

    def _own_id(self, row: Row) -> str:
        return row.job.id.removeprefix(self._id_prefix)
