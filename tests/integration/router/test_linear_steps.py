"""A router that answers by a linear model itself: no pool, no worker, one result."""

from pathlib import Path
from typing import Any

import pytest
from tests.support import routers

from smallfirst.answers import LabelAnswer
from smallfirst.jobs import Job, Status, Tier
from smallfirst_router.cascade import LocalModel
from smallfirst_router.router import Router

CATALOGUE = """
version: 1
router: {price_per_hour: 3600}
pools:
  cpu: {tier: slm, max_parameters: 50M, batch_jobs: 4}
models:
  words: {tier: linear, source: "bundled:words"}
  minilm: {source: "bundled:minilm"}
tasks:
  topic:
    kind: classify
    labels: {billing: money, delivery: parcels}
    examples: examples.jsonl
    cascade:
      - {model: words, accept: 0.5}
      - {model: minilm}
"""
EXAMPLES = """
{"text": "where is my refund", "label": "billing"}
{"text": "the invoice is wrong", "label": "billing"}
{"text": "where is my parcel", "label": "delivery"}
{"text": "the courier is late", "label": "delivery"}
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the model is, once the first router has had it trained."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def router(redis_url: str, tmp_path: Path, cache: Path) -> Router:
    """A router as it is run, its model trained at its start."""
    (tmp_path / "examples.jsonl").write_text(EXAMPLES)
    return routers.hasty_router(redis_url, tmp_path, CATALOGUE, cache_dir=cache)


def test_what_it_is_sure_of_ends_in_triage(router: Router, redis: Any) -> None:
    """The answer, how sure, and what it cost stand in the trail; no worker has a part in it."""
    routers.submit(redis, Job(id="a1", task="topic", text="my parcel", explain=True))
    router.step()
    result = routers.result_of(redis, "a1")
    assert (result.status, result.tier) == (Status.ANSWERED, Tier.LINEAR)
    assert isinstance(result.answer, LabelAnswer)
    assert result.answer.label == "delivery"
    assert result.answer.evidence
    [attempt] = result.trail
    assert (attempt.model, attempt.pool, attempt.threshold) == ("words", None, 0.5)
    assert attempt.cost == pytest.approx(attempt.seconds)


def test_a_read_is_answered_at_once_and_each_for_itself(router: Router, redis: Any) -> None:
    """Beside broken, long and foreign jobs, and one that wants all labels, each has its own end."""
    routers.submit(redis, Job(id="b1", task="topic", text="my parcel"))
    redis.xadd(routers.OWN.jobs, {"job": '{"id": "b2", "task": "topic"}'})
    routers.submit(redis, Job(id="b3", task="gone", text="my parcel"))
    routers.submit(redis, Job(id="b4", task="topic", text="parcel " * 20_000))
    routers.submit(redis, Job(id="b5", task="topic", text="my refund", whole_distribution=True))
    router.step()
    found = {name: routers.result_of(redis, name) for name in ("b1", "b2", "b3", "b5")}
    assert [str(each.status) for each in found.values()] == [
        "answered",
        "refused",
        "refused",
        "answered",
    ]
    first, last = found["b1"].answer, found["b5"].answer
    assert isinstance(first, LabelAnswer)
    assert isinstance(last, LabelAnswer)
    assert (first.label, last.label) == ("delivery", "billing")
    assert list(last.distribution) == ["billing", "delivery"]
    assert redis.xlen(routers.BULK) == 1


def test_what_it_cannot_read_is_parked_for_the_next_model(router: Router, redis: Any) -> None:
    """The trail says why it was passed over."""
    routers.submit(redis, Job(id="a2", task="topic", text="\u4f60\u597d"))
    router.step()
    assert redis.xlen(routers.BULK) == 1
    assert redis.get(routers.OWN.result("a2")) is None


def test_a_model_of_new_examples_is_taken_up_once_it_is_trained(
    router: Router, redis: Any, tmp_path: Path, wait_until: Any
) -> None:
    """Meanwhile the router answers by the one before."""
    routers.submit(redis, Job(id="b1", task="topic", text="my parcel"))
    more = '{"text": "my parcel my parcel", "label": "billing"}\n' * 3
    (tmp_path / "examples.jsonl").write_text(EXAMPLES + more)
    router.reload()
    router.step()
    before = routers.result_of(redis, "b1").trail[0].revision

    def is_taken_up() -> bool:
        router.reload()
        destination = router._plan.tasks["topic"].steps[0].destination
        return isinstance(destination, LocalModel) and destination.revision != before

    wait_until(is_taken_up, description="the new model is at work", timeout=60)
    routers.submit(redis, Job(id="b2", task="topic", text="my parcel"))
    router.step()
    assert routers.result_of(redis, "b2").trail[0].revision != before
