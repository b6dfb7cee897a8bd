"""Reading the rows to distil from files, each row with who labelled it."""

from collections.abc import Sequence
from pathlib import Path

from smallfirst.catalogue import Task
from smallfirst.distilling.deciding import Labelled
from smallfirst.distilling.errors import DistilError
from smallfirst.evaluation.rows import read_rows
from smallfirst.provenance.files import provenance_by_line
from smallfirst.provenance.record import Provenance, Source


def gathered(
    labelled: Sequence[Path], people: Sequence[Path], name: str, task: Task
) -> tuple[Labelled, ...]:
    """Read all rows.

    Args:
        labelled: Files whose rows say who labelled them.
        people: Files of people's rows, which need not say so.
        name: Of the task.
        task: Whose kind and labels the rows must fit.

    Raises:
        OSError: When a file cannot be read.
        RowsError: When a row is wrong.
        DistilError: When a row does not say who labelled it, or a machine did where people should.
    """
    machines = [each for path in labelled for each in _of_file(path, name, task, is_peoples=False)]
    humans = [each for path in people for each in _of_file(path, name, task, is_peoples=True)]
    return tuple(machines + humans)


def _of_file(path: Path, name: str, task: Task, *, is_peoples: bool) -> list[Labelled]:
    by_line = {line: by for line, _, by in provenance_by_line(path)}
    return [
        Labelled(row, _who(by_line.get(row.line), path, row.line, is_peoples=is_peoples), str(path))
        for row in read_rows(path, name, task)
    ]


def _who(by: Provenance | None, path: Path, line: int, *, is_peoples: bool) -> Provenance:
    if by is None and is_peoples:
        return Provenance(source=Source.HUMAN)
    if by is None:
        raise DistilError(
            f"{path}:{line}: does not say who labelled the row, under `provenance`; label it with"
            " `smallfirst label`, or give rows of people with --people"
        )
    if is_peoples and not by.is_persons:
        raise DistilError(
            f"{path}:{line}: was labelled by a machine ({by.source}), and --people is for rows of"
            " people; give the file with --labelled"
        )
    return by
