"""What is a message of Celery's, and what is dropped before Celery stumbles over it."""

import base64
import json
from typing import Any

import pytest

from smallfirst.broker.transport import why_malformed


def message(call: object = ([{"batch": "b"}], {}, {}), **parts: Any) -> dict[str, Any]:
    """A message as the router's Celery writes it, some parts of it otherwise."""
    return {
        "body": base64.b64encode(json.dumps(call).encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"id": "b", "task": "slm.minilm"},
        "properties": {
            "body_encoding": "base64",
            "delivery_info": {"exchange": "", "routing_key": "cpu"},
            "delivery_tag": "t",
        },
        **parts,
    }


def without(part: str, name: str) -> dict[str, Any]:
    """A message that lacks one thing."""
    found = message()
    del found[part][name]
    return found


def test_a_message_of_the_routers_is_one() -> None:
    """What the router publishes is handed on."""
    assert why_malformed(message()) is None


@pytest.mark.parametrize(
    ("malformed", "problem"),
    [
        (None, "is no object"),
        ([1, 2], "is no object"),
        ({}, "has no headers"),
        (message(headers=None), "has no headers"),
        (without("headers", "id"), "has no headers.id"),
        (without("headers", "task"), "has no headers.task"),
        (without("properties", "delivery_tag"), "has no properties.delivery_tag"),
        (without("properties", "delivery_info"), "has no properties.delivery_info"),
        (without("properties", "body_encoding"), "has no call as its body"),
        (message(body="%%%"), "has no call as its body"),
        (message(body=None), "has no call as its body"),
        (message(body=base64.b64encode(b"[" * 100_000).decode()), "has no call as its body"),
        (message(call={"args": []}), "has no call as its body"),
        (message(call=[[], {}]), "has no call as its body"),
        (message(**{"content-type": "application/x-python-serialize"}), "has no call as its body"),
    ],
)
def test_whatever_else_is_told_apart(malformed: object, problem: str) -> None:
    """Each way of being no message has its reason, and none of them raises."""
    assert why_malformed(malformed) == problem
