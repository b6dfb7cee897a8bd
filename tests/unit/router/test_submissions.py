"""What producers send, read with suspicion."""

import hashlib
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallfirst.jobs import Job
from smallfirst_router.submissions import Cancellation, Refusal, read_submission

MAX_BYTES = 10_000
CANARY = "canary-7f3a"

BROKEN = {
    "not_json": (b'{"id": "a1", "task": "topic", "text": "canary-7f3a', "not_json", ""),
    "bad_utf8": (b'{"id": "a1", "text": "\xff canary-7f3a"}', "not_json", ""),
    "null": (b"null", "invalid", "job"),
    "list": (b"[1, 2]", "invalid", "job"),
    "deep": (b"[" * 5000, "not_json", ""),
    "no_text": (b'{"id": "a1", "task": "topic"}', "invalid", "text"),
    "wrong_type": (b'{"id": "a1", "task": "topic", "text": 5}', "invalid", "text"),
    "blank": (b'{"id": "a1", "task": "topic", "text": "  "}', "invalid", "text"),
    "surrogate": (b'{"id": "a1", "task": "topic", "text": "canary-7f3a \\ud800"}', "not_json", ""),
    "extra": (
        b'{"id": "a1", "task": "topic", "text": "a", "canary-7f3a": "b"}',
        "invalid",
        "unknown field sha256:",
    ),
    "metadata_key": (
        b'{"id": "a1", "task": "topic", "text": "a", "metadata": {"canary-7f3a": 5}}',
        "invalid",
        "metadata.sha256:",
    ),
    "version": (b'{"v": 2, "id": "a1", "task": "topic", "text": "a"}', "invalid", "v"),
    "deadline": (
        b'{"id": "a1", "task": "topic", "text": "a", "deadline": -1}',
        "invalid",
        "deadline",
    ),
    "nan": (b'{"id": "a1", "task": "topic", "text": "a", "deadline": NaN}', "invalid", "deadline"),
    "priority": (
        b'{"id": "a1", "task": "topic", "text": "a", "priority": "canary-7f3a"}',
        "invalid",
        "priority",
    ),
    "bad_id": (b'{"id": "../etc", "task": "topic", "text": "a"}', "invalid", "id"),
    "tiers": (
        b'{"id": "a1", "task": "topic", "text": "a", "first_tier": "llm", "last_tier": "slm"}',
        "invalid",
        "first_tier",
    ),
    "too_large": (b'{"id": "a1", "text": "' + b"x" * MAX_BYTES + b'"}', "too_large", "bytes"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_job_is_refused_with_its_field_and_rule(case: str) -> None:
    """Each kind of bad input has its code, and its message names the field."""
    raw, code, named = BROKEN[case]
    refusal = read_submission({b"job": raw}, MAX_BYTES)
    assert isinstance(refusal, Refusal)
    assert refusal.problem.code == code
    assert named in refusal.problem.message


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"deadline": -1}, "deadline: must be greater than 0 seconds"),
        ({"deadline": math.nan}, "deadline: must be a number of seconds that fits a duration"),
        (
            {"prority": "bulk"},
            "unknown field sha256:a7f3 (7 characters), did you mean 'priority'?",
        ),
    ],
)
def test_a_refusal_speaks_plain_words(fields: dict[str, object], words: str) -> None:
    """A producer reads the words that the command line has for the same fault, and no Python's.

    But for the names of foreign fields: the command line has shown them to nobody else.
    """
    raw = json.dumps({"id": "a1", "task": "topic", "text": "a", **fields}).encode()
    refusal = read_submission({b"job": raw}, MAX_BYTES)
    assert isinstance(refusal, Refusal)
    assert refusal.problem.message == words


@pytest.mark.parametrize("case", BROKEN)
def test_a_refusal_never_quotes_what_was_sent(case: str) -> None:
    """A refusal is logged and kept; the text must not be in it."""
    refusal = read_submission({b"job": BROKEN[case][0]}, MAX_BYTES)
    assert isinstance(refusal, Refusal)
    assert CANARY not in refusal.problem.message


@pytest.mark.parametrize("case", sorted(set(BROKEN) - {"null", "list", "deep", "bad_id"}))
def test_a_refusal_finds_the_id_where_there_is_one(case: str) -> None:
    """A producer hears of its broken job under the id it gave it."""
    refusal = read_submission({b"job": BROKEN[case][0]}, MAX_BYTES)
    assert isinstance(refusal, Refusal)
    assert refusal.job_id == "a1"


def test_a_bad_id_is_not_taken_for_one() -> None:
    """What is no id names no key."""
    refusal = read_submission({b"job": BROKEN["bad_id"][0]}, MAX_BYTES)
    assert isinstance(refusal, Refusal)
    assert refusal.job_id == ""


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        (b'{"id": "a1", "task": "t", "text": "one", "text": "two"}', "text"),
        (b'{"id": "a1", "id": "a1", "task": "t", "text": "one"}', "id"),
        (b'{"id":"a1","task":"t","text":"a:b","metadata":{"k":"1","k":"2"}}', "metadata.sha256:"),
    ],
)  # fmt: skip
def test_a_field_that_stands_twice_is_refused(raw: bytes, named: str) -> None:
    """Nobody knows which of the two is meant, so neither is taken; the refusal has the id."""
    refusal = read_submission({b"job": raw}, MAX_BYTES)
    assert isinstance(refusal, Refusal)
    assert refusal.problem.message.startswith(named)
    assert refusal.problem.message.endswith("stands twice; which of them is meant?")
    assert refusal.job_id == "a1"


def test_colons_and_words_in_a_text_are_no_fields() -> None:
    """A text may say anything, JSON too."""
    text = '{"id": 1, "id": 2}: "text": "text"'
    job = read_submission({b"job": json.dumps({"task": "t", "text": text}).encode()}, MAX_BYTES)
    assert isinstance(job, Job)
    assert job.text == text


@pytest.mark.parametrize("name", ["metadata", "explain", "priority", "deadline", "reply_to"])
def test_null_is_a_field_left_out(name: str) -> None:
    """Writers in many languages cannot leave a field out."""
    fields = {"id": "a1", "task": "topic", "text": "hello"}
    job = read_submission({b"job": json.dumps({**fields, name: None}).encode()}, MAX_BYTES)
    assert job == Job.model_validate(fields)


def test_a_number_for_an_id_is_answered_under_its_digits() -> None:
    """It is refused, since an id is text; who asks for the result by that number finds out."""
    raw = json.dumps({"id": 17, "task": "topic", "text": "hello"}).encode()
    refusal = read_submission({b"job": raw}, MAX_BYTES)
    assert isinstance(refusal, Refusal)
    assert refusal.job_id == "17"
    raw = json.dumps({"id": True, "task": "topic", "text": "hello"}).encode()
    assert getattr(read_submission({b"job": raw}, MAX_BYTES), "job_id", None) == ""


@pytest.mark.parametrize(
    "fields", [{"id": "<m1@host>"}, {"id": "bad id"}, {"id": None}, {"deadline": -1}]
)
def test_who_waits_on_a_channel_hears_of_a_job_without_an_id(fields: dict[str, object]) -> None:
    """It is answered under a name made of its own bytes, which is a valid id; else it has none."""
    for waits in (True, False):
        told = {"reply_to": "me"} if waits else {}
        raw = json.dumps({"task": "topic", "text": "hello", **fields, **told}).encode()
        refusal = read_submission({b"job": raw}, MAX_BYTES)
        assert isinstance(refusal, Refusal)
        name = f"refused-{hashlib.sha256(raw).hexdigest()[:32]}"
        assert refusal.job_id == (name if waits else "")
    cut = b'{"reply_to": "me", "text": "' + b"x" * MAX_BYTES + b'"}'
    large = read_submission({b"job": cut}, MAX_BYTES)
    assert isinstance(large, Refusal)
    digest = hashlib.sha1(cut, usedforsecurity=False).hexdigest()
    assert large.job_id == f"refused-{digest[:32]}"


def test_the_reply_stream_of_a_broken_job_is_found() -> None:
    """A refusal reaches the producer that waits on its own stream."""
    raw = b'{"id": "a1", "task": "topic", "reply_to": "me"}'
    refusal = read_submission({b"job": raw}, MAX_BYTES)
    assert isinstance(refusal, Refusal)
    assert refusal.reply_to == "me"


def test_a_good_job_is_read_as_it_was_written() -> None:
    """What a producer built is what the router reads."""
    job = Job(task="topic", text="where is my parcel?")
    assert read_submission({b"job": job.model_dump_json().encode()}, MAX_BYTES) == job


def test_only_id_task_and_text_are_needed() -> None:
    """A producer in any language writes three fields."""
    raw = json.dumps({"id": "a1", "task": "topic", "text": "hello"}).encode()
    job = read_submission({b"job": raw}, MAX_BYTES)
    assert job == Job(id="a1", task="topic", text="hello")


def test_a_cancellation_names_a_job() -> None:
    """The field `cancel` holds the id of the job to cancel."""
    assert read_submission({b"cancel": b"a1"}, MAX_BYTES) == Cancellation("a1")


def test_a_cancellation_of_what_is_no_id_is_refused() -> None:
    """What cannot be an id is refused by name."""
    refusal = read_submission({b"cancel": b"\xff\x00"}, MAX_BYTES)
    assert isinstance(refusal, Refusal)
    assert refusal.problem.message.startswith("cancel:")


def test_an_entry_without_a_job_is_refused() -> None:
    """An entry that was not meant for us is kept, not dropped."""
    refusal = read_submission({b"payload": b"1"}, MAX_BYTES)
    assert isinstance(refusal, Refusal)
    assert "`job`" in refusal.problem.message


@pytest.mark.parametrize("raw", [b'{"id": "a1", "reply_to": "me", "task": "t", "text": "x"}', b"{"])
def test_an_entry_that_is_both_a_job_and_a_cancellation_is_neither(raw: bytes) -> None:
    """Nobody can tell which was meant; the job's producer hears of it where it can be made out."""
    refusal = read_submission({b"job": raw, b"cancel": b"a2"}, MAX_BYTES)
    assert isinstance(refusal, Refusal)
    assert (refusal.problem.code, refusal.raw) == ("invalid", raw)
    assert refusal.problem.message.startswith("the entry has both `job` and `cancel`")
    assert (refusal.job_id, refusal.reply_to) == (("a1", "me") if len(raw) > 1 else ("", ""))


@given(st.binary(max_size=400))
def test_no_bytes_raise(raw: bytes) -> None:
    """Whatever is written to the stream ends as a job or a refusal."""
    assert isinstance(read_submission({b"job": raw}, MAX_BYTES), Job | Refusal)


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists, max_leaves=8))
def test_no_json_raises(value: object) -> None:
    """Whatever JSON is written in a job's fields ends as a job or a refusal."""
    raw = json.dumps({"id": "a1", "task": "topic", "text": value, "metadata": value}).encode()
    assert isinstance(read_submission({b"job": raw}, MAX_BYTES), Job | Refusal)
