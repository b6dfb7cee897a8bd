"""Whatever an endpoint answers, it is one question's business, and is booked as it is."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.support.odd_endpoints import OddEndpoint, Said, Speech, chat, said

from smallfirst.answers import LabelAnswer, TextAnswer
from smallfirst.catalogue import Model, Task
from smallfirst.jobs import Problem
from smallfirst.step_options import NO_OPTIONS, StepOptions
from smallfirst_workers.engines import EngineRequest, EngineResult, LoadContext
from smallfirst_workers.llm.endpoint.completions import UNREADABLE as UNREADABLE_ANSWER
from smallfirst_workers.llm.endpoint.engine import EndpointEngine
from smallfirst_workers.problems import EXPIRED

LABELS = {"labels": {"a": "", "b": ""}}
FIELDS = {"fields": {"n": {"type": "integer"}}}
#: A task of each kind that can be written, with a good answer to it.
KINDS: Mapping[str, tuple[dict[str, Any], str]] = {
    "classify": (LABELS, '{"label": "a"}'),
    "multilabel": (LABELS, '{"labels": ["a"]}'),
    "tag": (LABELS, '{"spans": []}'),
    "extract": (FIELDS, '{"n": 1}'),
    "judge": ({"question": "?"}, '{"verdict": "yes", "quote": "odd"}'),
    "generate": ({}, "Hello."),
}
DEEP = b"[" * 100_000


def task(kind: str) -> Task:
    """One of this kind."""
    return Task.model_validate({"kind": kind, "cascade": [{"model": "far"}]} | KINDS[kind][0])


def answers(
    endpoint: OddEndpoint,
    *texts: str,
    kind: str = "classify",
    options: StepOptions = NO_OPTIONS,
    seconds_left: float = 60.0,
    **more: object,
) -> list[EngineResult]:
    """Ask about each text, all at once; what came of each, in order."""
    model = Model.model_validate(
        {
            "tier": "llm",
            "source": "m",
            "endpoint": f"http://127.0.0.1:{endpoint.port}/v1",
            "price_per_million_tokens": {"input": 1.0, "output": 3.0},
        }
        | more
    )
    engine = EndpointEngine.load("far", model, LoadContext(Path("/nowhere")))
    engine.prepare({"asked": task(kind)})
    asked = [
        EngineRequest(text, "asked", options=options, seconds_left=seconds_left) for text in texts
    ]
    try:
        found = list(engine.answer(asked))
    finally:
        engine.unload()
    return [next(part for part in found if place in part.places) for place in range(len(texts))]


def to_odd(odd: Said, kind: str = "classify") -> Speech:
    """Answer well, but to a text that is odd."""
    good = said(chat(KINDS[kind][1]))
    return lambda asked: odd if "odd" in asked["messages"][-1]["content"] else good


def with_logprobs(content: str, **odd: object) -> dict[str, Any]:
    """An answer whose every token is told of, one field of the first being odd."""
    told: list[dict[str, object]] = [
        {"token": each, "bytes": list(each.encode()), "logprob": -0.1, "top_logprobs": []}
        for each in content
    ]
    told[0] |= odd
    body = chat(content)
    body["choices"][0]["logprobs"] = {"content": told}
    return body


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        [],
        "many",
        {"total_tokens": 15},
        {"prompt_tokens": 10, "completion_tokens": None},
        {"prompt_tokens": "10", "completion_tokens": [5]},
        {"prompt_tokens": 10.5, "completion_tokens": -5},
        {"prompt_tokens": -(10**400), "completion_tokens": 10**400},
        {"prompt_tokens": True, "completion_tokens": math.nan},
    ],
)
def test_an_answer_is_one_whatever_is_said_of_its_usage(usage: object) -> None:
    """What is not told is booked as 0; what is told beside it is booked."""
    odd = said(chat('{"label": "a"}', usage=usage))
    with OddEndpoint(to_odd(odd)) as endpoint:
        found = answers(endpoint, "odd", "x", "y")
    assert [type(part.answers[0]) for part in found] == [LabelAnswer] * 3
    is_told = isinstance(usage, dict) and usage.get("prompt_tokens") == 10
    assert found[0].tokens == [10 if is_told else 0]
    assert len(endpoint.asked) == 3


UNREADABLE: Mapping[str, bytes] = {
    "no message": json.dumps({"choices": [{"index": 0}]}).encode(),
    "message null": json.dumps({"choices": [{"message": None}]}).encode(),
    "choices [null]": json.dumps({"choices": [None]}).encode(),
    "choice a string": json.dumps({"choices": ["a"]}).encode(),
    "content an object": json.dumps(chat({"label": "a"})).encode(),
    "content a number": json.dumps(chat(7)).encode(),
    "content no text": json.dumps(chat([{"type": "image"}])).encode(),
    "nested": DEEP,
    "nested within": b'{"choices": ' + DEEP,
}


@pytest.mark.parametrize("kind", ["classify", "generate"])
@pytest.mark.parametrize("odd", UNREADABLE)
def test_what_cannot_be_read_is_a_problem_of_one_question(odd: str, kind: str) -> None:
    """It is asked once more, and the others of its batch once."""
    with OddEndpoint(to_odd(Said(UNREADABLE[odd]), kind)) as endpoint:
        texts = ("odd", "one", "two")
        found = answers(endpoint, *texts, kind=kind)
    assert isinstance(found[0].answers[0], Problem)
    assert found[0].answers[0].code == "unreadable_answer"
    assert endpoint.num_asked("odd") == 2
    assert (endpoint.num_asked("one"), endpoint.num_asked("two")) == (1, 1)


@pytest.mark.parametrize("page", [b"<html>Welcome</html>", b"", b"[]", b"{}"])
def test_what_is_no_reply_at_all_is_asked_for_three_times(page: bytes) -> None:
    """While others are answered, the fault is taken to be the request's own soon."""
    with OddEndpoint(to_odd(Said(page))) as endpoint:
        found = answers(endpoint, "odd", "one", "two")
    codes = [getattr(part.answers[0], "code", None) for part in found]
    assert codes == ["endpoint_failed", None, None]
    assert endpoint.num_asked("odd") == 3


@pytest.mark.parametrize(
    ("content", "read"),
    [
        ([{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo."}], "Hello."),
        ([{"type": "thinking", "thinking": [{"text": "Hm"}]}, {"text": "Hello."}], "Hello."),
        (["Hel", "lo."], "Hello."),
    ],
)
def test_parts_of_text_are_joined(content: object, read: str) -> None:
    """Whatever stands between them, such as a thought, is no part of the answer."""
    with OddEndpoint(lambda _: said(chat(content))) as endpoint:
        [found] = answers(endpoint, "x", kind="generate")
    assert isinstance(found.answers[0], TextAnswer)
    assert found.answers[0].text == read


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "odd",
    [
        {"logprob": None},
        {"logprob": math.nan},
        {"logprob": math.inf},
        {"logprob": 5.0},
        {"logprob": 1e6},
        {"logprob": 10**309},
        {"logprob": "-0.1"},
        {"token": None, "bytes": None},
        {"token": None, "bytes": [300]},
        {"token": None, "bytes": "x"},
    ],
    ids=lambda odd: repr(odd)[:40],
)
def test_an_answer_whose_tokens_tell_nonsense_is_not_sure_at_all(
    odd: dict[str, object], kind: str
) -> None:
    """It is an answer, of confidence 0."""
    body = with_logprobs(KINDS[kind][1], **odd)
    with OddEndpoint(lambda _: said(body)) as endpoint:
        [found] = answers(endpoint, "odd", kind=kind)
    assert not isinstance(found.answers[0], Problem)
    assert found.answers[0].confidence == 0.0
    assert len(endpoint.asked) == 1


@pytest.mark.parametrize(
    "others",
    [None, {}, [None], [{"token": "b"}], [{"token": "b", "logprob": math.nan}], [{"bytes": [300]}]],
)
def test_what_might_have_stood_there_is_read_as_far_as_it_can_be(others: object) -> None:
    """Nonsense beside a token is left out, and the token still tells."""
    body = with_logprobs('{"label": "a"}', top_logprobs=others)
    with OddEndpoint(lambda _: said(body)) as endpoint:
        [found] = answers(endpoint, "x")
    assert isinstance(found.answers[0], LabelAnswer)
    assert found.answers[0].confidence > 0.5


@pytest.mark.parametrize("kind", ["classify", "extract", "generate"])
@pytest.mark.parametrize("end", ["eos_token", None, "tool_calls", "stop_sequence", 7, ["stop"]])
def test_no_ending_but_a_bound_makes_an_answer_too_long(end: object, kind: str) -> None:
    """What is whole is asked for once, whatever the server calls its ending."""
    with OddEndpoint(lambda _: said(chat(KINDS[kind][1], end=end))) as endpoint:
        [found] = answers(endpoint, "odd", kind=kind)
    assert not isinstance(found.answers[0], Problem)
    assert len(endpoint.asked) == 1


def refusing(*keys: str, then: Said, status: int = 400) -> Speech:
    """Refuse a request that has one of these keys, as its `param` says."""

    def speech(asked: Mapping[str, Any]) -> Said:
        key = next((key for key in keys if key in asked), None)
        error = {"error": {"message": "Unsupported value", "param": key, "code": None}}
        return then if key is None else said(error, status=status)

    return speech


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize(
    "key",
    ["temperature", "max_completion_tokens", "response_format", "n", "logprobs", "top_logprobs"],
)
def test_a_key_of_ours_that_is_refused_is_left_out(key: str, status: int) -> None:
    """It is no job's fault: every job is answered, and the operator is told once."""
    speech = refusing(key, then=said(chat('{"label": "a"}')), status=status)
    with OddEndpoint(speech) as endpoint, capture_logs() as logs:
        found = answers(endpoint, "x", "y", "z")
    assert [type(part.answers[0]) for part in found] == [LabelAnswer] * 3
    assert [(entry["event"], entry["key"]) for entry in logs] == [("endpoint.key_refused", key)]
    assert ("max_tokens" in endpoint.asked[-1]) == (key == "max_completion_tokens")


def test_a_key_that_nobody_can_do_without_waits_for_its_operator() -> None:
    """The jobs are not failed: the endpoint is said to be down, with the remedy."""
    speech = refusing("model", then=said(chat('{"label": "a"}')))
    with OddEndpoint(speech) as endpoint, capture_logs() as logs:
        found = answers(endpoint, "x", "y", seconds_left=0.5)
    assert [part.answers[0] for part in found] == [EXPIRED] * 2
    [down] = [entry for entry in logs if entry["event"] == "endpoint.down"]
    assert "`model`" in down["remedy"]


def test_a_bound_that_was_taken_before_is_refused_for_the_jobs_length() -> None:
    """A server that counts prompt and answer together names the bound; then the text is too long.

    It is asked under both names, since an older server says the same of the newer one; but that
    the older one is to be used is learnt from an answer alone.
    """

    def speech(asked: Mapping[str, Any]) -> Said:
        key = "max_tokens" if "max_tokens" in asked else "max_completion_tokens"
        is_long = "odd" in asked["messages"][-1]["content"]
        error = {"error": {"message": "too large", "param": key}}
        return said(error, status=400) if is_long else said(chat('{"label": "a"}'))

    with OddEndpoint(speech) as endpoint:
        found = answers(endpoint, "x", "odd", "y", max_concurrency=1)
    codes = [getattr(part.answers[0], "code", None) for part in found]
    assert codes == [None, "endpoint_refused", None]
    assert "max_completion_tokens" in endpoint.asked[-1]


@pytest.mark.parametrize("kind", KINDS)
def test_an_endpoint_that_writes_one_answer_a_request_is_asked_for_the_rest(kind: str) -> None:
    """Each vote is drawn and booked, and one answer is never taken for all of them."""
    with OddEndpoint(lambda _: said(chat(KINDS[kind][1]))) as endpoint, capture_logs() as logs:
        [found] = answers(endpoint, "odd", kind=kind, options=StepOptions(vote=5))
    assert not isinstance(found.answers[0], Problem)
    assert found.answers[0].confidence == (0.0 if kind == "judge" else 1.0)
    assert [asked["temperature"] for asked in endpoint.asked] == [0.7] * 5
    assert found.tokens == [75]
    assert found.charges == pytest.approx([5 * 25e-6])
    assert [entry["key"] for entry in logs] == ["n"]


@pytest.mark.parametrize("odd", UNREADABLE)
def test_votes_that_cannot_be_read_are_asked_for_once_more(odd: str) -> None:
    """All of them at once, and nothing is learnt of how the endpoint takes votes."""
    with OddEndpoint(lambda _: Said(UNREADABLE[odd])) as endpoint:
        [found] = answers(endpoint, "x", options=StepOptions(vote=5))
    assert found.answers == [UNREADABLE_ANSWER]
    assert [asked["n"] for asked in endpoint.asked] == [5, 5]


def test_votes_that_fail_are_votes_for_nothing() -> None:
    """What was answered counts against all that was asked for."""
    good, bad = said(chat('{"label": "a"}')), said({"error": {}}, status=400)
    said_already: list[int] = []

    def speech(_: Mapping[str, Any]) -> Said:
        said_already.append(1)
        return good if len(said_already) == 1 else bad

    with OddEndpoint(speech) as endpoint:
        [found] = answers(endpoint, "x", options=StepOptions(vote=5))
    assert isinstance(found.answers[0], LabelAnswer)
    assert found.answers[0].confidence == 0.2


def test_a_redirect_is_not_followed() -> None:
    """Texts and key go where the catalogue says, and the operator is told."""
    with OddEndpoint(lambda _: said(chat('{"label": "a"}'))) as elsewhere:
        there = f"http://127.0.0.1:{elsewhere.port}/v1/chat/completions"
        away = Said(b"", 307, {"location": there})
        with OddEndpoint(lambda _: away) as endpoint, capture_logs() as logs:
            [found] = answers(endpoint, "x", seconds_left=0.5)
    assert found.answers == [EXPIRED]
    assert elsewhere.asked == []
    [down] = [entry for entry in logs if entry["event"] == "endpoint.down"]
    assert (down["reason"], "redirects" in down["remedy"]) == ("HTTP 307", True)


@pytest.mark.parametrize(
    "body",
    [b"", b"[", b'{"error": ' + DEEP, b'{"error": {"param": [[1]], "code": {"a": []}}}', b"\xff"],
)
def test_no_error_can_be_so_odd_that_it_is_another_jobs(body: bytes) -> None:
    """An error is read as far as it can be."""
    with OddEndpoint(to_odd(Said(body, 400))) as endpoint:
        found = answers(endpoint, "odd", "x")
    codes = [getattr(part.answers[0], "code", None) for part in found]
    assert codes == ["endpoint_refused", None]
    assert len(endpoint.asked) == 2
