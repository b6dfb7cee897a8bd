"""The catalogue changes under a running fleet."""

import os
import signal
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from tests.support.waiting import WaitUntil

from smallfirst import Client, Job
from smallfirst.answers import LabelAnswer
from smallfirst.jobs import Status
from smallfirst.local.fleet import LocalFleet

pytestmark = pytest.mark.timeout(300)

BEFORE = """
version: 1
pools: {cpu: {tier: slm, max_parameters: 50M}}
models:
  minilm: {source: "bundled:minilm"}
tasks:
  mood:
    kind: classify
    labels: {good: content, bad: cross}
    examples:
      - {text: thank you so much, label: good}
      - {text: this was lovely, label: good}
      - {text: I am furious, label: bad}
      - {text: this is terrible, label: bad}
    cascade: [{model: minilm}]
"""
NEW_TASK = """
  subject:
    kind: classify
    labels: {food: something to eat, travel: going somewhere}
    examples:
      - {text: a loaf of bread, label: food}
      - {text: soup for dinner, label: food}
      - {text: a train to Rome, label: travel}
      - {text: the flight was late, label: travel}
    cascade: [{model: other}]
"""
#: A second model, and a task that asks it: nothing of it was known when the worker started.
AFTER = (
    BEFORE.replace("models:\n", 'models:\n  other: {source: "bundled:minilm", runtime: torch}\n')
    + NEW_TASK
)
#: The same task, asking the model that the worker has loaded long since.
OF_LOADED_MODEL = BEFORE + NEW_TASK.replace("other", "minilm")


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    """A catalogue that is about to change."""
    path = tmp_path / "catalogue.yaml"
    path.write_text(BEFORE)
    return path


@pytest.fixture
def changing_fleet(catalogue: Path, tmp_path: Path) -> Iterator[LocalFleet]:
    """A fleet with one worker."""
    folder = tmp_path / "fleet"
    with LocalFleet(catalogue, folder, slm_processes=1, flower=False, persistent=False) as fleet:
        fleet.wait_ready(timedelta(minutes=4))
        yield fleet


def label_of(client: Client, task: str, text: str) -> str | None:
    """What the fleet answers; None where it does not know the task yet."""
    result = client.result(client.submit(Job(task=task, text=text)), timeout=60)
    if result.status is Status.REFUSED:
        return None
    assert isinstance(result.answer, LabelAnswer), result
    return result.answer.label


def test_a_model_and_a_task_are_taken_up_without_a_restart(
    changing_fleet: LocalFleet, catalogue: Path, wait_until: WaitUntil
) -> None:
    """Router and worker follow the file; what was served before goes on being served."""
    assert callable(wait_until)
    with Client(changing_fleet.redis_url) as client:
        assert label_of(client, "mood", "thanks, lovely") == "good"
        assert label_of(client, "subject", "bread and soup") is None
        catalogue.write_text(AFTER)
        wait_until(
            lambda: label_of(client, "subject", "bread and soup") == "food",
            description="the new task is answered by its new model",
            timeout=60,
        )
        assert label_of(client, "mood", "thanks, lovely") == "good"


def test_a_task_of_a_loaded_model_waits_for_its_worker(
    changing_fleet: LocalFleet, catalogue: Path, wait_until: WaitUntil
) -> None:
    """Jobs that the router plans before the worker knows their task are answered all the same."""
    assert callable(wait_until)
    worker = changing_fleet.children()["worker-cpu-1"].pid
    router_log = changing_fleet.logs / "router-1.log"
    with Client(changing_fleet.redis_url) as client:
        os.kill(worker, signal.SIGSTOP)
        catalogue.write_text(OF_LOADED_MODEL)
        wait_until(
            lambda: "catalogue.reloaded" in router_log.read_text(),
            description="the router plans by the new catalogue",
        )
        texts = [f"bread and soup, {number}" for number in range(20)]
        ids = [client.submit(Job(task="subject", text=text)) for text in texts]
        os.kill(worker, signal.SIGCONT)
        results = [client.result(each, timeout=60) for each in ids]
    assert {result.status for result in results} == {Status.ANSWERED}
    assert {len(result.trail) for result in results} == {1}


def test_a_wrong_catalogue_changes_nothing(
    changing_fleet: LocalFleet, catalogue: Path, wait_until: WaitUntil
) -> None:
    """Both keep the old one, and say where the new one is wrong."""
    assert callable(wait_until)
    with Client(changing_fleet.redis_url) as client:
        catalogue.write_text(BEFORE.replace("kind: classify", "knd: classify"))
        logs = changing_fleet.logs

        def is_rejected(name: str) -> bool:
            return "catalogue.rejected" in (logs / name).read_text()

        for name in ("router-1.log", "worker-cpu-1.log"):
            wait_until(partial(is_rejected, name), description=f"{name} says no")
        assert label_of(client, "mood", "I am furious") == "bad"
