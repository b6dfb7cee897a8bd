"""The contract: what a job may hold, what is refused, and errors that never quote its text."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from smallfirst.answers import Answer, LabelAnswer, Span, SpansAnswer, VectorAnswer
from smallfirst.errors import InvalidJob, SmallfirstError
from smallfirst.jobs import (
    MAX_DEADLINE,
    MAX_METADATA_KEY_CHARS,
    MAX_METADATA_PAIRS,
    MAX_METADATA_VALUE_CHARS,
    MAX_TEXT_CHARS,
    Attempt,
    Job,
    Outcome,
    Priority,
    Result,
    Status,
    Tier,
    new_job_id,
)

CARD = "my card is 4111 1111 1111 1111"

#: Any text that JSON can carry: everything but lone surrogates, and not only white space.
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200).filter(
    lambda text: bool(text.strip())
)
jobs = st.builds(
    Job,
    id=st.from_regex(r"[0-9A-Za-z][0-9A-Za-z_.:\-]{0,127}", fullmatch=True),
    task=st.from_regex(r"[a-z][a-z0-9_\-]{0,63}", fullmatch=True),
    text=texts,
    priority=st.sampled_from(Priority),
    deadline=st.none()
    | st.integers(min_value=1, max_value=30 * 86_400_000).map(lambda ms: ms / 1000),
    first_tier=st.none() | st.just(Tier.RULE),
    last_tier=st.none() | st.sampled_from(Tier),
    explain=st.booleans(),
    metadata=st.dictionaries(texts.map(lambda text: text[:64]), texts, max_size=4),
)

#: A field, and the nearest value to what is allowed that is not.
BEYOND_BOUNDS: list[tuple[str, Any]] = [
    ("v", 2),
    ("id", ""),
    ("id", "-begins-with-a-dash"),
    ("id", "a/b"),
    ("id", "x" * 129),
    ("task", ""),
    ("task", "Topic"),
    ("task", "x" * 65),
    ("text", ""),
    ("text", " \n\t"),
    ("text", "x" * (MAX_TEXT_CHARS + 1)),
    ("text", 7),
    ("priority", "urgent"),
    ("deadline", 0),
    ("deadline", -1),
    ("deadline", MAX_DEADLINE.total_seconds() + 1),
    ("deadline", float("inf")),
    ("deadline", float("nan")),
    ("deadline", 10**400),
    ("deadline", "60"),
    ("deadline", True),
    ("first_tier", "xlm"),
    ("last_tier", "xlm"),
    ("explain", "yes"),
    ("explain", 1),
    ("metadata", {str(n): "" for n in range(MAX_METADATA_PAIRS + 1)}),
    ("metadata", {"": "x"}),
    ("metadata", {"k" * (MAX_METADATA_KEY_CHARS + 1): "x"}),
    ("metadata", {"k": "x" * (MAX_METADATA_VALUE_CHARS + 1)}),
    ("metadata", {"k": 1}),
    ("traceparent", "00-abc"),
    ("reply_to", "a b"),
    ("reply_to", "x" * 65),
    ("surprise", 1),
]


def refusal(fields: dict[str, Any]) -> ValidationError:
    """Read a job that must be refused, as it would come over the wire."""
    with pytest.raises(ValidationError) as caught:
        Job.model_validate_json(json.dumps(fields))
    return caught.value


@given(job=jobs)
def test_job_round_trip(job: Job) -> None:
    """A job written as JSON and read again is the same job."""
    assert Job.model_validate_json(job.model_dump_json()) == job
    assert Job.model_validate_json(job.model_dump_json(exclude_defaults=True)) == job


@given(job=jobs)
def test_job_fits_its_published_schema(job: Job) -> None:
    """What a job's JSON holds, its schema names, and the other way round."""
    schema = Job.model_json_schema(mode="serialization")

    assert set(json.loads(job.model_dump_json())) == set(schema["properties"])


def test_what_nobody_set_is_not_on_the_wire() -> None:
    """A router that is older than an option reads the jobs that do without it."""
    plain = Job(id="a1", task="topic", text="hello")
    assert json.loads(plain.to_json()) == {"id": "a1", "task": "topic", "text": "hello"}
    assert "whole_distribution" in Job(task="topic", text="x", whole_distribution=True).to_json()


def test_smallest_job() -> None:
    """A task and a text make a job; the rest has defaults, and the id is new each time."""
    first, second = (Job(task="topic", text="hello") for _ in range(2))

    assert first.id != second.id
    assert (first.priority, first.deadline, first.metadata) == (Priority.BULK, None, {})


@pytest.mark.parametrize(("field", "value"), BEYOND_BOUNDS)
def test_bounds_are_kept(field: str, value: Any) -> None:
    """One step beyond a bound is refused, and the error names the field."""
    err = refusal({"task": "topic", "text": "hello", field: value})

    assert {detail["loc"][0] for detail in err.errors()} == {field}


@pytest.mark.parametrize("field", ["task", "text"])
def test_required_fields(field: str) -> None:
    """A job without a task or without a text is refused by the name of what is missing."""
    fields = {"task": "topic", "text": "hello"}
    del fields[field]

    assert refusal(fields).errors()[0]["loc"] == (field,)


def test_values_at_the_bounds() -> None:
    """The bounds themselves are allowed."""
    job = Job(
        id="x" * 128,
        task="t" * 64,
        text="x" * MAX_TEXT_CHARS,
        deadline=MAX_DEADLINE,
        metadata={
            f"{n:0{MAX_METADATA_KEY_CHARS}}": "v" * MAX_METADATA_VALUE_CHARS
            for n in range(MAX_METADATA_PAIRS)
        },
        reply_to="r" * 64,
    )

    assert Job.model_validate_json(job.model_dump_json()) == job


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb"])
def test_lone_surrogates_are_refused(text: str) -> None:
    """A text that cannot be written as UTF-8 is refused where it is made, not in a batch."""
    with pytest.raises(InvalidJob, match="unicode") as caught:
        Job(task="topic", text=text)

    assert caught.value.field == "text"


def test_tiers_in_order() -> None:
    """A first tier dearer than the last is refused: no step could be between them."""
    with pytest.raises(InvalidJob, match="first_tier must not be dearer"):
        Job(task="topic", text="hello", first_tier=Tier.LLM, last_tier=Tier.SLM)


@pytest.mark.parametrize(
    "fields",
    [
        {"text": CARD},
        {"task": CARD, "text": CARD},
        {"task": "topic", "text": CARD, "id": CARD},
        {"task": "topic", "text": [CARD]},
        {"task": "topic", "text": CARD + "\x00" * MAX_TEXT_CHARS},
        {"task": "topic", "text": CARD, "metadata": {"k": [CARD]}},
        {"task": "topic", "text": CARD, "priority": CARD, "deadline": CARD},
    ],
)
def test_errors_never_quote_the_input(fields: dict[str, Any]) -> None:
    """Whatever is wrong with a job, the error's text holds nothing of what was in it."""
    assert "4111" not in str(refusal(fields))


def test_a_job_is_immutable() -> None:
    """A job cannot change after it was made, so its fingerprint stays true."""
    job = Job(task="topic", text="hello")

    with pytest.raises(ValidationError, match="frozen"):
        job.text = "bye"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"text": ""}, "text", "text: must have at least 1 character; mend it"),
        ({"text": " \n"}, "text", "must hold something besides white space"),
        (
            {"text": "x" * (MAX_TEXT_CHARS + 1)},
            "text",
            "200000 characters; make several jobs of it",
        ),
        ({"text": "a", "prority": "bulk"}, "prority", "did you mean 'priority'?; mend it"),
        ({"text": "a", "metadata": {"k": 1}}, "metadata.k", "metadata.k: must be a valid string"),
        ({}, "text", "text: is required"),
    ],
)
def test_a_job_that_is_none_is_told_in_our_words(
    fields: dict[str, Any], field: str, said: str
) -> None:
    """Whoever makes one gets our own error, with the field, the rule and the remedy."""
    with pytest.raises(InvalidJob) as by_name:
        Job(task="topic", **fields)
    with pytest.raises(InvalidJob) as by_row:
        Job.from_fields({"task": "topic", **fields})
    assert by_name.value.args == by_row.value.args
    assert by_name.value.field == field
    assert said in str(by_name.value)
    assert "pydantic" not in str(by_name.value)
    assert isinstance(by_name.value, SmallfirstError)


@pytest.mark.parametrize(
    ("change", "is_same"),
    [
        ({"id": "another"}, True),
        ({"priority": Priority.INTERACTIVE}, True),
        ({"deadline": timedelta(seconds=5)}, True),
        ({"metadata": {"k": "v"}}, True),
        ({"reply_to": "me"}, True),
        ({"task": "urgency"}, False),
        ({"text": "hello "}, False),
        ({"explain": True}, False),
        ({"whole_distribution": True}, False),
        ({"first_tier": Tier.SLM}, False),
        ({"last_tier": Tier.SLM}, False),
    ],
)
def test_fingerprint(change: dict[str, Any], *, is_same: bool) -> None:
    """The fingerprint changes with what is asked, and with nothing else."""
    job = Job(id="one", task="topic", text="hello")

    assert (job.model_copy(update=change).fingerprint == job.fingerprint) is is_same


def test_fingerprint_is_the_same_everywhere() -> None:
    """The fingerprint is part of the wire: no process, version or seed may change it."""
    assert Job(task="topic", text="hello").fingerprint == "05068c3ab909420dcf5a46c54106b589"


def test_new_ids_are_ids() -> None:
    """An id made here is one that a job may have, and no two are alike."""
    ids = {new_job_id() for _ in range(1000)}

    assert len(ids) == 1000
    assert all(Job(id=made, task="topic", text="hello").id == made for made in ids)


def test_tiers_are_ordered_by_price() -> None:
    """Rules are the cheapest tier, people the dearest."""
    tiers = [Tier.RULE, Tier.LINEAR, Tier.SLM, Tier.LLM, Tier.HUMAN]
    assert sorted(Tier, key=lambda tier: tier.rank) == tiers


@pytest.mark.parametrize(("start", "end"), [(3, 3), (4, 3), (-1, 3)])
def test_spans_hold_something(start: int, end: int) -> None:
    """A span that is empty, or begins before the text, is refused."""
    with pytest.raises(ValidationError):
        Span(start=start, end=end, label="name")


@pytest.mark.parametrize(
    "answer",
    [
        LabelAnswer(label="up", confidence=0.5, distribution={"up": 0.5, "down": 0.5}),
        SpansAnswer(spans=(Span(start=0, end=3, label="name"),), confidence=1.0),
        VectorAnswer(vector=(0.6, 0.8)),
    ],
)
def test_answers_tell_their_kind(answer: Answer) -> None:
    """An answer comes back from JSON as the kind it was."""
    adapter: TypeAdapter[Answer] = TypeAdapter(Answer)

    assert adapter.validate_json(adapter.dump_json(answer)) == answer


def test_result_round_trip() -> None:
    """A result with its trail comes back from JSON as it was, and its cost is the trail's."""
    answer = LabelAnswer(label="up", confidence=0.9)
    steps = [
        Attempt(step=0, tier=Tier.RULE, model="rules", revision="1", outcome=Outcome.ESCALATED),
        Attempt(
            step=1,
            tier=Tier.SLM,
            model="minilm",
            revision="2",
            pool="cpu",
            outcome=Outcome.ACCEPTED,
            cost=0.25,
            answer=answer,
        ),
    ]
    now = datetime(2026, 11, 1, 12, tzinfo=UTC)
    result = Result(
        id="one",
        task="topic",
        status=Status.ANSWERED,
        answer=answer,
        tier=Tier.SLM,
        trail=tuple(steps),
        submitted_at=now,
        finished_at=now + timedelta(seconds=1),
    )

    assert Result.model_validate_json(result.model_dump_json()) == result
    assert (result.cost, result.is_answered) == (0.25, True)
