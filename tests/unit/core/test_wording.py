"""What is wrong with what was sent, in plain words: the field, the rule, and never the value."""

import hashlib
import json
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from smallfirst.answers import Answer
from smallfirst.jobs import Job, Result
from smallfirst.wording import counted, faults_of, unknown_key

GOOD = {"id": "a1", "task": "topic", "text": "a"}


def faults(found: object) -> str:
    """Say what is wrong with a job, as JSON and as Python's values: the same."""
    with pytest.raises(ValidationError) as of_json:
        Job.model_validate_json(json.dumps(found))
    with pytest.raises(ValidationError) as of_values:
        Job.model_validate(found)
    said = faults_of(of_json.value, Job.model_fields)
    assert said == faults_of(of_values.value, Job.model_fields)
    return said


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"deadline": -1}, "deadline: must be greater than 0 seconds"),
        ({"deadline": 9e6}, "deadline: must be less than or equal to 30 days"),
        ({"deadline": "soon"}, "deadline: must be a number of seconds"),
        ({"prority": "bulk"}, "unknown key 'prority', did you mean 'priority'?"),
        ({"zzz": 1}, "unknown key 'zzz'"),
        ({"priority": "bulkk"}, "priority: must be 'interactive' or 'bulk', did you mean 'bulk'?"),
        ({"metadata": []}, "metadata: must be an object"),
        ({"metadata": {"a": 1}}, "metadata.a: must be a valid string"),
        ({"text": ""}, "text: must have at least 1 character"),
        ({"v": 2}, "v: must be 1"),
        (
            {"first_tier": "llm", "last_tier": "slm"},
            "job: first_tier must not be dearer than last_tier",
        ),
    ],
)
def test_a_fault_is_said_in_plain_words(changes: dict[str, Any], words: str) -> None:
    """A validation error names the field and the rule, in nobody's language but English."""
    assert faults({**GOOD, **changes}).startswith(words)


def test_what_is_missing_is_said() -> None:
    """Each missing field is named, in one line."""
    assert faults({"id": "a1"}) == "task: is required; text: is required"


@pytest.mark.parametrize("found", [None, 5, [1]])
def test_what_is_no_object_is_no_job(found: object) -> None:
    """The fault of the whole is said of the job."""
    assert faults(found) == "job: must be an object"


def test_only_the_first_faults_are_listed() -> None:
    """A submission of nonsense does not make a letter of a refusal."""
    said = faults({**GOOD, **{f"zz{number}": number for number in range(9)}})
    assert said.count("unknown key") == 5
    assert said.endswith("; and 4 more")


def test_a_foreign_name_is_cut_and_escaped() -> None:
    """The name of a field is the sender's: a few characters of it are shown, all printable."""
    assert unknown_key("x" * 500, ()) == f"unknown key '{'x' * 40}'"
    assert unknown_key("a\n\x1b", ()) == "unknown key 'a\\n\\x1b'"
    assert faults({**GOOD, "metadata": {"ä\n" * 99: 1}}).startswith("metadata.\\xe4\\n")


@pytest.mark.parametrize(
    "changes",
    [
        {"Mrs Jones": 1},
        {"metadata": {"Mrs Jones": 1}},
        {"metadata": {"4111111111111111": 1}},
        {"metadata": {"Mrs Jones" * 50: "a"}},
    ],
)
def test_a_name_that_others_read_of_is_hashed(changes: dict[str, Any]) -> None:
    """A refusal that is kept tells its sender which field it was, and nobody a name."""
    with pytest.raises(ValidationError) as caught:
        Job.model_validate({**GOOD, **changes})
    said = faults_of(caught.value, Job.model_fields, hides_names=True)
    (name,) = changes.get("metadata", changes)
    assert name[:9] not in said
    assert f"({len(name)} characters)" in said
    digest = hashlib.sha256(name.encode()).hexdigest()
    assert f"sha256:{digest[:4]} " in said


def test_a_place_is_said_from_where_the_reader_stands() -> None:
    """What was checked for itself is told under the name of what holds it."""
    with pytest.raises(ValidationError) as caught:
        Result.model_validate({"id": "a1"})
    assert faults_of(caught.value, at=("result",)).startswith("result.status: is required")


def test_the_tag_of_a_union_is_not_quoted() -> None:
    """An unknown kind is told which there are, and not what it was."""
    with pytest.raises(ValidationError) as caught:
        TypeAdapter[Any](Answer).validate_python({"kind": "canary"})
    said = faults_of(caught.value)
    assert "'label'" in said
    assert "canary" not in said


@pytest.mark.parametrize(
    ("number", "noun", "said"),
    [
        (0, "job", "0 jobs"),
        (1, "batch", "1 batch"),
        (1000, "batch", "1,000 batches"),
        (2, "copy", "2 copies"),
        (2, "key", "2 keys"),
    ],
)
def test_a_noun_goes_with_its_number(number: int, noun: str, said: str) -> None:
    """One of a thing is said in the singular, and every other number in the plural."""
    assert counted(number, noun) == said
