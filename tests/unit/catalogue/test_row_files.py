"""Files of rows: tables and lines, and those in another form."""

import csv
import io
import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallfirst.catalogue.row_files import (
    ForeignFile,
    RowError,
    delimiter_of,
    parse_row,
    read_lines,
)

CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00\r"), min_size=1)


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1), st.sampled_from([",", "\t"]))
def test_a_table_is_read_as_it_was_written(rows: list[tuple[str, str]], delimiter: str) -> None:
    """Whatever stands in its cells, line breaks and quotation marks too, text stays text."""
    written = io.StringIO(newline="")
    table = csv.writer(written, delimiter=delimiter)
    table.writerow(["id", "text"])
    table.writerows(rows)

    lines = list(read_lines(io.BytesIO(written.getvalue().encode()), delimiter=delimiter))

    found = [parse_row(line.content or b"") for line in lines]
    assert found == [{"id": one, "text": other} for one, other in rows]
    assert [line.number for line in lines] == sorted(line.number for line in lines)


@given(
    st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=6),
    st.sampled_from([None, ",", "\t"]),
    st.sampled_from([b"\n", b"\r\n"]),
    st.sampled_from([b"", b"\xef\xbb\xbf"]),
    st.booleans(),
    st.data(),
)
def test_a_row_can_be_cut_out_by_where_it_stands(
    rows: list[tuple[str, str]],
    delimiter: str | None,
    ending: bytes,
    mark: bytes,
    ends_with_a_line: bool,  # noqa: FBT001 - drawn
    data: st.DataObject,
) -> None:
    """What is left are the other bytes, which are read as the other rows."""
    content = mark + written(rows, delimiter, ending)
    content = content if ends_with_a_line else content.removesuffix(ending)
    lines = list(read_lines(io.BytesIO(content), delimiter=delimiter))
    number = data.draw(st.integers(0, len(lines) - 1))
    cut = content[: lines[number].begin] + content[lines[number].end :]

    left = [
        parse_row(each.content or b"") for each in read_lines(io.BytesIO(cut), delimiter=delimiter)
    ]

    whole = [parse_row(line.content or b"") for line in lines]
    assert len(whole) == len(rows)
    assert left == whole[:number] + whole[number + 1 :]
    assert cut.startswith(mark)
    assert sum(line.end - line.begin for line in lines) == len(content) - lines[0].begin


def written(rows: list[tuple[str, str]], delimiter: str | None, ending: bytes) -> bytes:
    """Write rows as a file has them."""
    if delimiter is None:
        found = [json.dumps({"id": a, "text": b}, ensure_ascii=False) for a, b in rows]
        return b"".join(line.encode() + ending for line in found)
    file = io.StringIO(newline="")
    table = csv.writer(file, delimiter=delimiter, lineterminator=ending.decode())
    table.writerows([("id", "text"), *rows])
    return file.getvalue().encode()


def test_a_mark_inside_a_file_goes_with_its_row() -> None:
    """Two marks before one row would make it no row; the first of the file is the file's."""
    bom = b"\xef\xbb\xbf"
    lines = read_lines(io.BytesIO(bom + b'{"a": 1}\n\n' + bom + b'{"a": 2}\n'))
    assert [(line.begin, line.end) for line in lines] == [(3, 12), (13, 25)]


def test_a_row_of_a_table_with_a_line_that_is_too_long_is_told() -> None:
    """It is no blank line: somebody's text stands there."""
    table = b"text,label\n" + b"a" * 40 + b",x\nb,x\n"
    lines = list(read_lines(io.BytesIO(table), delimiter=",", max_bytes=32))
    assert [(line.number, line.content is None) for line in lines] == [(2, True), (3, False)]
    assert "longer than" in lines[0].problem


def test_files_that_were_joined_bring_a_mark_each() -> None:
    """A byte order mark before any line of JSON says nothing, and a line of it alone is blank."""
    bom = b"\xef\xbb\xbf"
    joined = bom + b'{"text": "a"}\n' + bom + b'{"text": "b"}\n' + bom + b"\n"
    rows = [parse_row(line.content or b"") for line in read_lines(io.BytesIO(joined))]
    assert rows == [{"text": "a"}, {"text": "b"}]


def test_cells_of_other_keys_are_json_where_they_can_be() -> None:
    """Lists, numbers and truths are what they look like; empty cells are not there."""
    table = b'text,labels,deadline,explain,note\na,"[""x"", ""y""]",30,true,\nb,,,,maybe\n'
    first, second = (
        parse_row(line.content or b"") for line in read_lines(io.BytesIO(table), delimiter=",")
    )
    assert first == {"text": "a", "labels": ["x", "y"], "deadline": 30, "explain": True}
    assert second == {"text": "b", "note": "maybe"}


def test_a_row_that_does_not_fit_its_table_is_told_and_the_next_is_read() -> None:
    """Too many cells, or bytes that are no UTF-8: told with its line, its neighbours stand."""
    table = b"\xef\xbb\xbftext,label\na,x,y\nb,x\ncaf\xe9,x\n"
    lines = list(read_lines(io.BytesIO(table), delimiter=","))
    assert lines[0].problem == "has 3 cells, and the head of the table names 2"
    assert json.loads(lines[1].content or b"") == {"text": "b", "label": "x"}
    assert [line.number for line in lines] == [2, 3, 4]


@pytest.mark.parametrize(
    ("content", "remedy"),
    [
        (b'[{"text": "a"}]', "jq -c"),
        (b"[\n", "jq -c"),
        (b'"Text";"label"\n', ".csv or .tsv"),
        (b"\xff\xfe{", "iconv"),
        (b"\x1f\x8b\x08", "gunzip"),
        (b"PK\x03\x04", "save its rows as CSV"),
    ],
)
def test_a_file_in_another_form_is_known_by_its_first_line(content: bytes, remedy: str) -> None:
    """What it is and what to do is told once, and not a complaint for each line."""
    with pytest.raises(ForeignFile, match=remedy):
        list(read_lines(io.BytesIO(content)))


@given(st.binary(max_size=200), st.sampled_from([None, ",", "\t"]))
def test_no_file_raises_what_is_not_ours(content: bytes, delimiter: str | None) -> None:
    """Whatever bytes there are: rows, reasons, or one error that says what to do."""
    with suppress(ForeignFile):
        for line in read_lines(io.BytesIO(content), delimiter=delimiter, max_bytes=64):
            with suppress(RowError):
                parse_row(line.content or b"")
            assert line.problem


@pytest.mark.parametrize(
    ("name", "delimiter"), [("a.csv", ","), ("a.TSV", "\t"), ("a.jsonl", None), ("-", None)]
)
def test_a_table_is_known_by_its_name(name: str, delimiter: str | None) -> None:
    """The ending says how cells are parted; everything else is JSON Lines."""
    assert delimiter_of(Path(name)) == delimiter
