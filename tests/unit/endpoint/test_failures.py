"""Whose fault it is that an endpoint gave no answer."""

from datetime import UTC, datetime

import httpx2
import pytest
from openai import APIConnectionError, APIStatusError, APITimeoutError

from smallfirst_workers.llm.endpoint.failures import (
    Fault,
    failure_of,
    misconfigured,
    refused_key,
)

NOW = datetime(2026, 11, 23, tzinfo=UTC)
REQUEST = httpx2.Request("POST", "http://vllm:8000/v1/chat/completions")


def status(number: int, body: object = None, **headers: str) -> APIStatusError:
    """An answer of this status, as the client raises it."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    response = httpx2.Response(number, request=REQUEST, headers=named)
    return APIStatusError("the secret text", response=response, body=body)


@pytest.mark.parametrize("number", [400, 413, 422])
def test_a_request_that_is_wrong_is_the_jobs_fault(number: int) -> None:
    """It would be as wrong a second time."""
    found = failure_of(status(number), NOW)
    assert (found.fault, found.can_pass) == (Fault.JOB, False)


@pytest.mark.parametrize("number", [401, 402, 403, 404])
def test_a_wrong_set_up_is_never_a_jobs_fault(number: int) -> None:
    """No other request would do better, and the remedy says what would."""
    found = failure_of(status(number), NOW)
    assert (found.fault, found.can_pass, found.opens_at_once) == (Fault.ENDPOINT, False, True)
    assert found.remedy.startswith("see that")


@pytest.mark.parametrize("number", [301, 302, 307, 308])
def test_a_redirect_is_the_endpoints_set_up(number: int) -> None:
    """It is not followed, and the remedy says what to do."""
    found = failure_of(status(number, location="http://elsewhere/v1"), NOW)
    assert (found.fault, found.can_pass, found.opens_at_once) == (Fault.ENDPOINT, False, True)
    assert "redirects" in found.remedy


@pytest.mark.parametrize("number", [429, 503])
def test_a_busy_endpoint_is_never_a_jobs_fault(number: int) -> None:
    """It is asked again, not before the time it asked for."""
    found = failure_of(status(number, retry_after="9"), NOW)
    assert (found.fault, found.can_pass, found.asked_seconds) == (Fault.ENDPOINT, True, 9.0)


@pytest.mark.parametrize("number", [408, 409, 500, 502, 504, 529])
def test_what_may_be_either_ones_fault_is_tried_again(number: int) -> None:
    """A server that fails at one text looks like a server that fails."""
    found = failure_of(status(number), NOW)
    assert (found.fault, found.can_pass, found.opens_at_once) == (Fault.EITHER, True, False)


def test_an_endpoint_that_is_not_there_opens_the_breaker_at_once() -> None:
    """A refused connection and one that never comes about are the same."""
    for cause in (httpx2.ConnectError("refused"), httpx2.ConnectTimeout("slow")):
        error = APIConnectionError(request=REQUEST)
        error.__cause__ = cause
        found = failure_of(error, NOW)
        assert (found.fault, found.opens_at_once) == (Fault.ENDPOINT, True)


def test_silence_may_be_either_ones_fault() -> None:
    """A text that is answered too slowly is no proof of an outage, nor is a broken connection."""
    for error in (APITimeoutError(request=REQUEST), APIConnectionError(request=REQUEST)):
        assert failure_of(error, NOW).fault is Fault.EITHER


def test_nothing_of_what_the_endpoint_said_is_kept_but_the_key_it_named() -> None:
    """Its message may quote the prompt."""
    body = {"message": "the secret text", "param": "logprobs"}
    found = failure_of(status(400, body), NOW)
    assert found.refused_key == "logprobs"
    assert "secret" not in repr(found)


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ({"param": "temperature"}, "temperature"),
        ({"param": "response_format.json_schema"}, "response_format"),
        ({"param": "messages[0].content"}, None),
        ({"param": "stop"}, None),
        ({"param": ["temperature"]}, None),
        ({"param": {"n": 1}}, None),
        ({"detail": [{"loc": ["body", "n"], "msg": "extra"}]}, "n"),
        ({"detail": [{"loc": ["body", "messages", 0]}]}, None),
        ({"detail": [None]}, None),
        ({"detail": [{"loc": ["body"]}]}, None),
        ({"message": "Unsupported parameter: 'temperature'"}, None),
        ("param", None),
        (None, None),
    ],
)
def test_a_key_of_ours_is_read_where_it_is_named(body: object, key: str | None) -> None:
    """From fields alone: a message may quote a text that names one."""
    assert refused_key(body) == key


def test_a_key_that_cannot_be_done_without_is_the_endpoints_set_up() -> None:
    """No job would do better, and the remedy names the key."""
    found = misconfigured(failure_of(status(400, {"param": "model"}), NOW))
    assert (found.fault, found.can_pass, found.opens_at_once) == (Fault.ENDPOINT, False, True)
    assert "`model`" in found.remedy
