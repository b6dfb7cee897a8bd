"""The rows of a file of jobs: what is read, what is refused, and with which words."""

import io
import json
from typing import Any

import pytest

from smallfirst.catalogue import Example, Kind
from smallfirst.catalogue.row_files import Line, read_lines
from smallfirst.cli.rows import BadRow, Defaults, Row, read_row
from smallfirst.jobs import Priority
from smallfirst.kinds import KINDS

TOPIC = Defaults(task="topic")


def row_of(found: object, defaults: Defaults = TOPIC) -> Row | BadRow:
    """Read one line that holds this."""
    content = found if isinstance(found, bytes) else json.dumps(found).encode()
    return read_row(Line(7, 0, content), defaults)


def good(found: object, defaults: Defaults = TOPIC) -> Row:
    """Read one line that is a job."""
    row = row_of(found, defaults)
    assert isinstance(row, Row), row
    return row


def reason(found: object, defaults: Defaults = TOPIC) -> str:
    """Read one line that is none, and return why."""
    row = row_of(found, defaults)
    assert isinstance(row, BadRow), row
    assert row.number == 7
    return row.reason


def numbers(content: bytes) -> list[tuple[int, bytes | None]]:
    """Read a file's lines."""
    return [(line.number, line.content) for line in read_lines(io.BytesIO(content))]


def test_lines_end_with_lf_or_crlf_and_blank_ones_do_not_count() -> None:
    """Every line keeps its number in the file, blank lines and a missing last LF included."""
    assert numbers(b'{"a":1}\r\n\n  \n{"b":2}') == [(1, b'{"a":1}\r\n'), (4, b'{"b":2}')]


def test_a_byte_order_mark_is_not_part_of_the_first_line() -> None:
    """A BOM at the start of the file is passed over, and nowhere else."""
    assert numbers(b"\xef\xbb\xbf{}\n") == [(1, b"{}\n")]
    assert numbers(b"\xef\xbb\xbf") == []


def test_an_endless_line_is_passed_over_and_the_next_is_read() -> None:
    """A line beyond the limit is given without its content, and does not hide its neighbours."""
    content = b"one\n" + b"x" * 200_000 + b"\ntwo\n" + b"y" * 50
    found = list(read_lines(io.BytesIO(content), max_bytes=20))
    assert [(line.number, line.content) for line in found] == [
        (1, b"one\n"),
        (2, None),
        (3, b"two\n"),
        (4, None),
    ]
    assert found[-1].end == len(content)


def test_a_line_beyond_the_limit_is_a_bad_row() -> None:
    """What is too long to be kept is reported with the limit."""
    assert read_row(Line(3, 0, None), TOPIC) == BadRow(3, "the line is longer than 8 MiB")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "not JSON: Expecting property name enclosed in double quotes at character 2"),
        (b"nonsense", "not JSON: Expecting value at character 1"),
        (b'{"text": "caf\xe9"}', "not UTF-8: byte 14 of the line cannot be read"),
        (b'{"text": "a", "text": "b"}', "says 'text' twice; which of them is meant?"),
        (b"[1, 2]", "not a row: a JSON object is needed, this is an array"),
        (b"null", "not a row: a JSON object is needed, this is null"),
        (b"[" * 100_000, "not a row: nested too deeply"),
        (b'{"text": "a", "deadline": NaN}', "not JSON: NaN is no JSON number"),
        (b'{"text": "a", "deadline": ' + b"9" * 5000 + b"}", "not JSON: Exceeds the limit"),
    ],
)
def test_what_is_no_json_object_is_told_where(content: bytes, words: str) -> None:
    """A line that cannot be parsed is a bad row whose reason names the place."""
    assert reason(content).startswith(words)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({"text": ""}, "text: must have at least 1 character"),
        ({"text": " \n"}, "text: must hold something besides white space"),
        ({"text": "a" * 200_001}, "text: must have at most 200000 characters"),
        ({"text": "\ud800"}, "text: "),
        ({"text": 5}, "text: must be a valid string"),
        ({}, "text: is required"),
        ({"text": "a", "id": "a b"}, "id: must match pattern"),
        ({"text": "a", "id": True}, "id: must be a string or a whole number"),
        ({"text": "a", "priority": "asap"}, "priority: must be 'interactive' or 'bulk'"),
        ({"text": "a", "deadline": -1}, "deadline: must be greater than 0 seconds"),
        ({"text": "a", "deadline": 9e6}, "deadline: must be less than or equal to 30 days"),
        ({"text": "a", "reply_to": "x"}, "the key 'reply_to' is not a row's to set"),
        ({"text": "a", "prioritty": "bulk"}, "unknown key 'prioritty', did you mean 'priority'?"),
        ({"Text": "a"}, "unknown key 'Text', did you mean 'text'?"),
        ({"text": "a", "gold": "billing"}, "gold: must be an object"),
        ({"text": "a", "label": 3}, "label: must be a string"),
        ({"text": "a", "labels": "b"}, "labels: must be an array of strings"),
        ({"text": "a", "spans": [{"start": 0}]}, "spans.0.end: is required"),
        ({"text": "a", "gold": {"topic": [1]}}, "gold.topic.0: "),
        ({"text": "a", "gold": {"topic": 1.5}}, "gold.topic: must be the right answer of"),
        ({"text": "a", "record": "b"}, "record: must be an object of fields and values"),
        ({"text": "a", "verdict": "perhaps"}, "verdict: must be one of yes, no, unsure"),
    ],
)
def test_what_is_no_job_is_told_why(found: dict[str, Any], words: str) -> None:
    """A row that is no job names the field and the rule; a misspelt key does not vanish."""
    assert reason(found).startswith(words)


def test_a_reason_never_quotes_the_text() -> None:
    """What is wrong with a row is said without the row's words."""
    assert "secret" not in reason({"text": "secret " * 40_000})
    assert "secret" not in reason({"text": ["secret"]})


def test_a_row_without_any_task_is_told_how_to_name_one() -> None:
    """The task comes from the row or from --task; with neither the reason says both."""
    assert "--task" in reason({"text": "a"}, Defaults())


def test_a_row_says_more_than_the_defaults() -> None:
    """A row's own task and options win over those given for all rows."""
    defaults = Defaults(task="topic", options={"priority": "bulk", "deadline": 5.0})
    job = good({"text": "a", "task": "pii", "priority": "interactive"}, defaults).job
    assert (job.task, job.priority) == ("pii", Priority.INTERACTIVE)
    assert job.deadline is not None
    assert job.deadline.total_seconds() == 5


def test_an_id_is_kept_and_a_number_is_one_too() -> None:
    """A row's id is the job's; data sets number their rows, and the prefix sets tasks apart."""
    assert good({"text": "a", "id": "x-1"}).job.id == "x-1"
    assert good({"text": "a", "id": 12}).job.id == "12"
    assert good({"text": "a", "id": 12}, Defaults("topic", id_prefix="t.")).job.id == "t.12"


def test_a_made_id_is_the_same_for_the_same_row_alone() -> None:
    """Without an id the line and the content make one: the same again, another when changed."""
    first = good({"text": "a", "label": "billing"}).job.id
    assert first == good({"text": "a"}).job.id
    assert first.startswith("line-7-")
    others = [good({"text": "b"}), good({"text": "a"}, Defaults("pii"))]
    assert first not in [other.job.id for other in others]


@pytest.mark.parametrize(
    ("found", "gold"),
    [
        ({"label": "billing"}, "billing"),
        ({"labels": ["a", "b", "a"]}, frozenset({"a", "b"})),
        ({"spans": [{"start": 0, "end": 1, "label": "name"}]}, frozenset({(0, 1, "name")})),
        ({"gold": {"topic": "billing", "pii": []}}, "billing"),
        ({"gold": {"topic": ["a"]}}, frozenset({"a"})),
        ({"gold": {"topic": []}}, frozenset()),
        ({"gold": {"topic": [{"start": 0, "end": 1, "label": "n"}]}}, frozenset({(0, 1, "n")})),
        ({"gold": {"pii": []}}, None),
        ({"gold": {"topic": {"total": 3}}}, {"total": 3}),
        ({"label": None}, None),
        ({}, None),
    ],
)
def test_gold_is_read_for_the_task_of_the_row(found: dict[str, Any], gold: object) -> None:
    """The right answer comes from the key of its kind, or from `gold` under the task's name."""
    assert good({"text": "a", **found}).gold == gold


@pytest.mark.parametrize("kind", Kind)
def test_a_file_of_examples_is_a_file_of_jobs(kind: Kind) -> None:
    """Whatever an example of a kind may say is let through, and its answer is the row's gold."""
    answers: dict[Kind, dict[str, Any]] = {
        Kind.CLASSIFY: {"label": "a"},
        Kind.MULTILABEL: {"labels": ["a"]},
        Kind.TAG: {"spans": [{"start": 0, "end": 1, "label": "name"}]},
        Kind.EXTRACT: {"record": {"total": 3}},
        Kind.JUDGE: {"verdict": "no", "quote": "a"},
        Kind.GENERATE: {"reply": "b"},
    }
    written = {"text": "a", **answers.get(kind, {})}
    example = Example.model_validate_json(json.dumps(written))

    assert good(written).gold == KINDS[kind].gold_of(example)
