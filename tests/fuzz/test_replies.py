"""Whatever an endpoint replies is an answer of the contract, a problem, or no reply."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from tests.support.odd_bodies import ANSWERED, ODD_REPLIES, TASKS, TEXT, good_body

from smallfirst.answers import Answer
from smallfirst.jobs import Problem
from smallfirst_workers.llm.endpoint.completions import read_completion
from smallfirst_workers.llm.endpoint.dialect import OWN_KEYS
from smallfirst_workers.llm.endpoint.failures import refused_key
from smallfirst_workers.llm.endpoint.replies import read_reply
from smallfirst_workers.llm.endpoint.requests import template_of

#: Two thousand bodies here and in CI, a hundred thousand in the long form (`make fuzz`).
NUM_BODIES = 50 * settings().max_examples
TEMPLATES = {kind: template_of(task) for kind, task in TASKS.items()}
ANSWER: TypeAdapter[Any] = TypeAdapter(Answer)


@pytest.mark.parametrize("kind", ANSWERED)
def test_the_body_that_all_are_made_from_is_answered(kind: str) -> None:
    """Else it would be no wonder that nothing is read from those that are odd."""
    reply = read_reply(json.dumps(good_body(kind)).encode())
    assert reply is not None
    for num in (1, 2):
        found = read_completion(TEMPLATES[kind], TEXT, reply.choices, num_asked=num)
        assert not isinstance(found, Problem)
        assert found.confidence > 0


@settings(max_examples=NUM_BODIES)
@given(ODD_REPLIES, st.integers(1, 3))
def test_no_reply_raises(kind_and_body: tuple[str, bytes], num_asked: int) -> None:
    """What is read is booked at no less than 0, and can be written as JSON and read again."""
    kind, body = kind_and_body
    reply = read_reply(body)
    if reply is None:
        return
    assert reply.usage.read >= 0 <= reply.usage.written
    found = read_completion(TEMPLATES[kind], TEXT, reply.choices, num_asked=num_asked)
    if isinstance(found, Problem):
        assert found.message
    else:
        assert ANSWER.validate_json(found.model_dump_json()) == found


@settings(max_examples=NUM_BODIES // 10)
@given(ODD_REPLIES)
def test_no_error_raises(kind_and_body: tuple[str, bytes]) -> None:
    """The same bodies, as the client hands over those of errors."""
    try:
        body = json.loads(kind_and_body[1])
    except (ValueError, RecursionError):
        body = kind_and_body[1].decode(errors="replace")
    for odd in (body, {"detail": [{"loc": ["body", body]}]}, {"detail": body}, {"param": body}):
        assert refused_key(odd) in {None, *OWN_KEYS}
