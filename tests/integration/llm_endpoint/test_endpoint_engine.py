"""The engine of models elsewhere by itself, with a real server behind it."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.support.waiting import WaitUntil

from smallfirst.answers import LabelAnswer
from smallfirst.catalogue import Model, Task
from smallfirst.jobs import Problem
from smallfirst_workers.engines import EngineRequest, EngineResult, LoadContext
from smallfirst_workers.errors import EndpointDown, ModelError, TaskError
from smallfirst_workers.llm.endpoint.engine import EndpointEngine
from smallfirst_workers.problems import EXPIRED

pytestmark = pytest.mark.timeout(1500)

#: An engine that only asks makes use of nothing of its worker's.
NOTHING = LoadContext(Path("/nowhere"))
TASK = Task.model_validate(
    {"kind": "classify", "labels": {"a": "", "b": ""}, "cascade": [{"model": "far"}]}
)


def model(port: int, **said: Any) -> Model:
    """A model behind this port."""
    endpoint = f"http://127.0.0.1:{port}/v1"
    return Model.model_validate({"tier": "llm", "source": "babble", "endpoint": endpoint} | said)


@pytest.fixture
def engine(proxy: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[EndpointEngine]:
    """One that asks through the proxy, two requests at once."""
    monkeypatch.setenv("FAR_KEY", "sesame\n")
    said = model(proxy.port, api_key_variable="FAR_KEY", max_concurrency=2)
    engine = EndpointEngine.load("far", said, NOTHING)
    engine.prepare({"topic": TASK})
    yield engine
    engine.unload()


def asked(*texts: str, seconds_left: float = 300.0) -> list[EngineRequest]:
    """Questions of the one task."""
    return [EngineRequest(text, "topic", seconds_left=seconds_left) for text in texts]


def answers(portions: Iterator[EngineResult]) -> dict[int, object]:
    """Each question's answer, by its place."""
    return {place: portion.answers[0] for portion in portions for place in portion.places}


def said_of(found: Sequence[object]) -> list[str]:
    """What kind of answer each is."""
    return [each.code if isinstance(each, Problem) else type(each).__name__ for each in found]


def test_a_missing_key_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its variable; and what cannot be a key is not shown."""
    monkeypatch.delenv("FAR_KEY", raising=False)
    with pytest.raises(ModelError, match="FAR_KEY"):
        EndpointEngine.load("far", model(1, api_key_variable="FAR_KEY"), NOTHING)
    monkeypatch.setenv("FAR_KEY", "sésame")
    with pytest.raises(ModelError, match="FAR_KEY") as caught:
        EndpointEngine.load("far", model(1, api_key_variable="FAR_KEY"), NOTHING)
    assert "same" not in str(caught.value)


def test_thinking_is_settled_elsewhere() -> None:
    """A step that asks for it is refused with the rule, and what was prepared is still served."""
    engine = EndpointEngine.load("far", model(1), NOTHING)
    thinking = {"model": "far", "think": {"tokens": 50}}
    task = Task.model_validate({"kind": "generate", "cascade": [thinking]})
    with pytest.raises(TaskError, match=r"tasks\.reply has a step with `think`"):
        engine.prepare({"reply": task})
    engine.unload()


def test_every_question_is_answered_once(engine: EndpointEngine) -> None:
    """More of them than may be at the endpoint at once."""
    found = answers(engine.answer(asked(*map(str, range(20)))))
    assert sorted(found) == list(range(20))
    assert all(isinstance(answer, LabelAnswer) for answer in found.values())


def test_a_deadline_ends_a_question(engine: EndpointEngine, proxy: Any) -> None:
    """Also one that waits for an endpoint which is down."""
    proxy.refuse = lambda _: 503
    found = answers(engine.answer(asked("x", "y", seconds_left=1.0)))
    assert said_of([*found.values()]) == [EXPIRED.code, EXPIRED.code]


def test_a_text_that_breaks_the_endpoint_fails_alone(engine: EndpointEngine, proxy: Any) -> None:
    """Others are answered, so the fault is its own, however the endpoint puts it."""
    proxy.refuse = lambda body: 500 if b"poison" in body else None
    with ThreadPoolExecutor() as pool:
        poisonous = pool.submit(answers, engine.answer(asked("poison")))
        while not poisonous.done():
            found = answers(engine.answer(asked("fine", "fine")))
            assert said_of([*found.values()]) == ["LabelAnswer"] * 2
    assert said_of([*poisonous.result().values()]) == ["endpoint_failed"]


def test_an_endpoint_without_probabilities_still_answers(
    engine: EndpointEngine, proxy: Any
) -> None:
    """Where it refuses to tell them it is not asked again, and nothing is sure."""
    proxy.refuse = lambda body: 400 if b"logprobs" in body else None
    proxy.complaint = b'{"error": {"message": "not for this model", "param": "logprobs"}}'
    with capture_logs() as logs:
        found = answers(engine.answer(asked("x"))) | answers(engine.answer(asked("y")))
    assert {answer.confidence for answer in found.values() if isinstance(answer, LabelAnswer)} == {
        0.0
    }
    assert [entry["event"] for entry in logs] == ["endpoint.key_refused"]
    assert proxy.num_refused == 1


def test_a_wrong_key_opens_the_breaker_and_fails_nobody(
    proxy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said once, with the remedy, and without the key."""
    monkeypatch.setenv("FAR_KEY", "not-the-key")
    engine = EndpointEngine.load("far", model(proxy.port, api_key_variable="FAR_KEY"), NOTHING)
    engine.prepare({"topic": TASK})
    with capture_logs() as logs:
        found = answers(engine.answer(asked(*"abcdef", seconds_left=4.0)))
    assert set(said_of([*found.values()])) == {EXPIRED.code}
    [said] = [entry for entry in logs if entry["event"] == "endpoint.down"]
    assert (said["reason"], "api_key_variable" in said["remedy"]) == ("HTTP 401", True)
    assert "not-the-key" not in repr(logs)
    engine.unload()


@pytest.mark.parametrize("give_up", ["stop_waiting", "unload"])
def test_what_waits_is_given_back_when_the_worker_has_to_go(
    engine: EndpointEngine, proxy: Any, give_up: str, wait_until: WaitUntil
) -> None:
    """What was answered stands; the rest raises, for the batch to give back."""
    proxy.refuse = lambda body: 503 if b"wait" in body else None
    portions = engine.answer(asked("fine", "wait for me"))
    assert next(portions).places == (0,)
    wait_until(lambda: engine._endpoint.gate.is_open, description="it is down", timeout=60)
    getattr(engine, give_up)()
    with pytest.raises(EndpointDown):
        next(portions)


def test_an_engine_that_was_let_go_of_gives_back_what_comes_late(proxy: Any) -> None:
    """A batch may have been handed it the moment before a new catalogue replaced it."""
    engine = EndpointEngine.load("far", model(proxy.port), NOTHING)
    engine.prepare({"topic": TASK})
    engine.unload()
    with pytest.raises(EndpointDown):
        next(engine.answer(asked("x")))
