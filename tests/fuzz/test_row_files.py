"""Whatever a file holds, each of its rows is read, or told with its line and what is wrong."""

import io
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.odd_bodies import TASKS
from tests.support.odd_files import odd_files, spoilt

from smallfirst.catalogue.examples import MAX_COMPLAINTS, read_numbered
from smallfirst.catalogue.row_files import ForeignFile, Line, delimiter_of, read_lines
from smallfirst.cli.rows import BadRow, Defaults, Row, read_row
from smallfirst.jobs import Job

#: Some 4,000 rows here and in CI, more than 100,000 in the long form (`make fuzz`).
NUM_FILES = settings().max_examples
#: Each file is read as it is, and spoilt in so many ways.
NUM_SPOILT = 10
#: A line of more bytes than this is passed over.
SHORT = 512


def lines_of(ending: str, content: bytes, max_bytes: int) -> list[Line]:
    """Read a file; one in another form says which."""
    found: list[Line] = []
    delimiter = delimiter_of(Path(f"rows{ending}"))
    with suppress(ForeignFile):
        found.extend(read_lines(io.BytesIO(content), delimiter=delimiter, max_bytes=max_bytes))
    return found


@settings(max_examples=NUM_FILES)
@given(odd_files(), st.integers(0, 2**32), st.sampled_from([SHORT, 2**20]))
def test_no_row_of_a_file_of_jobs_raises(
    file: tuple[str, bytes], seed: int, max_bytes: int
) -> None:
    """It is a job that its producer's wire would take, or it is told why not."""
    ending, content = file
    for each in (content, *spoilt(content, seed, NUM_SPOILT)):
        lines = lines_of(ending, each, max_bytes)
        assert [line.number for line in lines] == sorted(line.number for line in lines)
        assert all(0 <= line.begin < line.end <= len(each) for line in lines)
        assert all(one.end <= other.begin for one, other in pairwise(lines))
        for line in lines:
            row = read_row(line, Defaults(task="topic"))
            if isinstance(row, BadRow):
                assert row.reason
            else:
                assert isinstance(row, Row)
                assert Job.model_validate_json(row.job.to_json()) == row.job


@settings(max_examples=NUM_FILES)
@given(
    file=odd_files(),
    seed=st.integers(0, 2**32),
    kind=st.sampled_from([*TASKS]),
    allows_none=st.booleans(),
)
def test_no_row_of_a_file_of_examples_raises(
    file: tuple[str, bytes], seed: int, kind: str, *, allows_none: bool
) -> None:
    """It serves its task, or it is complained of; and not all of a bad file is listed."""
    ending, content = file
    for each in (content, *spoilt(content, seed, NUM_SPOILT)):
        rows, problems = read_numbered(
            each, Path(f"rows{ending}"), kind, TASKS[kind], allows_none=allows_none
        )
        assert rows or problems
        assert len(problems) <= MAX_COMPLAINTS + 1
        assert all(example.text for _, example in rows)
