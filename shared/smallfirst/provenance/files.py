"""Files of rows with their provenance, read one by one; a text is never kept, and never quoted."""

from collections.abc import Iterator
from pathlib import Path

from smallfirst.catalogue.likeness import text_key
from smallfirst.catalogue.row_files import RowError, delimiter_of, parse_row, read_lines
from smallfirst.errors import SmallfirstError
from smallfirst.provenance.record import NoProvenance, Provenance, provenance_in


class ProvenanceError(SmallfirstError):
    """Raised when a row says something of its provenance that cannot be read.

    Attributes:
        path: Of the file.
        line: Of the row, from 1.
        rule: What is wrong, and what to do.
    """

    def __init__(self, path: Path, line: int, rule: str) -> None:
        super().__init__(f"{path}:{line}: {rule}")
        self.path = path
        self.line = line
        self.rule = rule


def provenance_by_line(path: Path) -> Iterator[tuple[int, str, Provenance | None]]:
    """Say of each row its line, its text's key, and who labelled it where it says so.

    Lines that are no rows are passed over: whoever reads the rows tells of them.

    Raises:
        ForeignFile: When the file holds rows in another form.
        ProvenanceError: When a row's provenance cannot be read.
    """
    with path.open("rb") as file:
        for line in read_lines(file, delimiter=delimiter_of(path)):
            try:
                row = parse_row(line.content or b"")
                by = provenance_in(row)
            except RowError:
                continue
            except NoProvenance as error:
                raise ProvenanceError(path, line.number, str(error)) from None
            if isinstance(text := row.get("text"), str):
                yield line.number, text_key(text), by


def provenance_by_key(path: Path) -> dict[str, tuple[Provenance, ...]]:
    """Collect who labelled each text, by its key; texts of which nothing is said are left out."""
    found: dict[str, tuple[Provenance, ...]] = {}
    for _, key, by in provenance_by_line(path):
        if by is not None and by not in found.get(key, ()):
            found[key] = (*found.get(key, ()), by)
    return found
