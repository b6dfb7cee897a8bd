"""Calibration of a real task through real fleets, by the command that a user would type."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.waiting import WaitUntil

from smallfirst import Client
from smallfirst.catalogue import Promise, promise_path
from smallfirst.catalogue.loading import load_catalogue
from smallfirst.evaluation.promises import write_promise
from smallfirst.jobs import Job, Outcome, Result, Status
from smallfirst.local.fleet import LocalFleet
from smallfirst_workers.errors import TaskError
from smallfirst_workers.models import Models

EXAMPLE = Path(__file__).parents[3] / "examples" / "support_mail"
CATALOGUE = """\
version: 1
pools:
  cpu: {tier: slm, max_parameters: 50M, price_per_hour: 0.05}
models:
  minilm: {source: bundled:minilm}
tasks:
  topic:
    kind: classify
    labels:
      billing: invoices, payments, refunds that did not arrive
      delivery: where a parcel is, late or lost, how it is sent
      return: sending something back, damaged or faulty goods, exchanges
      product_question: what a product is, does, fits or contains
      account: signing in, passwords, addresses, newsletters, data protection
      complaint: how somebody was treated, quality of service
      other: not for support at all
    examples: topic.jsonl
    cascade:
      - rule: {patterns: [{label: billing, pattern: "(?i)invoice number"}]}
      - model: minilm
        accept: calibrated
"""
TARGET = 0.2

# Two fleets are started, one after the other.
pytestmark = pytest.mark.timeout(600)


@dataclass(frozen=True)
class Calibrated:
    """A catalogue that was calibrated, and what the command said."""

    catalogue: Path
    rows: Path
    done: "subprocess.CompletedProcess[str]"

    @property
    def promise(self) -> Promise:
        """What stands beside the catalogue."""
        content = promise_path(self.catalogue, "topic").read_bytes()
        return Promise.model_validate_json(content, strict=True)


def calibrate(catalogue: Path, rows: Path, *more: str) -> "subprocess.CompletedProcess[str]":
    """Run the command."""
    command = [sys.executable, "-m", "smallfirst", "calibrate", "topic", "--data", str(rows)]
    command += ["--catalogue", str(catalogue), "--target-error", str(TARGET), "--json", *more]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory: pytest.TempPathFactory) -> Calibrated:
    """The support mail's topics, calibrated on its mails."""
    folder = tmp_path_factory.mktemp("calibrate")
    catalogue, rows = folder / "catalogue.yaml", folder / "mails.jsonl"
    catalogue.write_text(CATALOGUE)
    shutil.copy(EXAMPLE / "examples" / "topic.jsonl", folder)
    shutil.copy(EXAMPLE / "mails.jsonl", folder)
    done = calibrate(catalogue, rows)
    assert done.returncode == 0, done.stderr
    return Calibrated(catalogue, rows, done)


@dataclass(frozen=True)
class Served:
    """What a fleet answered, and where its Redis is."""

    results: list[Result]
    redis_url: str


@pytest.fixture(scope="module")
def served(calibrated: Calibrated, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A fleet that has answered the same mails, going by the promise."""
    folder = tmp_path_factory.mktemp("fleet")
    texts = [json.loads(line)["text"] for line in calibrated.rows.read_text().splitlines()]
    jobs = [Job(id=str(number), task="topic", text=text) for number, text in enumerate(texts)]
    with LocalFleet(calibrated.catalogue, folder, flower=False, persistent=False) as fleet:
        fleet.wait_ready(timedelta(minutes=4))
        with Client(fleet.redis_url) as client:
            yield Served(list(client.map(jobs)), fleet.redis_url)


@pytest.fixture(scope="module")
def results(served: Served) -> list[Result]:
    """What it answered."""
    return served.results


def test_the_promise_stands_beside_the_catalogue(calibrated: Calibrated) -> None:
    """What was printed is what was written, and it keeps its own word on the rows that tested."""
    promise = calibrated.promise
    assert json.loads(calibrated.done.stdout) == json.loads(
        promise.model_dump_json(exclude_none=True)
    )
    assert promise.num_tested < promise.num_rows
    assert promise.num_wrong <= TARGET * promise.num_accepted
    assert promise.error_bound <= TARGET
    assert [step.model for step in promise.steps] == ["rules", "minilm"]


def test_a_linear_model_is_compared_that_no_step_asks(calibrated: Calibrated) -> None:
    """On the rows that tested, with the seconds that it took."""
    single = calibrated.promise.equal_single
    assert single is not None
    assert single.words is not None
    assert single.words.num_rows == calibrated.promise.num_tested
    assert 0.6 < single.words.share_right < 1.0
    assert 0 < single.words.seconds < 0.1
    assert single.words.share_right_of_cascade == pytest.approx(
        1 - calibrated.promise.num_wrong / calibrated.promise.num_tested, abs=0.01
    )


def test_thresholds_for_a_drift_stand_beside_the_promise(calibrated: Calibrated) -> None:
    """They answer fewer of the rows, and no step by less."""
    promise = calibrated.promise
    assert promise.cautious is not None
    assert promise.cautious.target == TARGET / 2
    assert 0 < promise.cautious.share_answered <= promise.share_answered
    assert len(promise.cautious.thresholds) == len(promise.steps)


def test_the_fleet_goes_by_the_promise(calibrated: Calibrated, results: list[Result]) -> None:
    """Every answer of the model stands exactly where its tempered confidence reaches the promise.

    And so the fleet answers the share of these mails that was foretold.
    """
    small = calibrated.promise.steps[1]
    attempts = [r.trail[-1] for r in results if r.trail[-1].model == "minilm"]
    for attempt in attempts:
        assert attempt.threshold == small.acceptance.threshold
        assert attempt.revision == small.acceptance.revision
        is_sure = (attempt.confidence or 0) >= (attempt.threshold or 1)
        assert (attempt.outcome is Outcome.ACCEPTED) is is_sure
    answered = sum(result.status is Status.ANSWERED for result in results) / len(results)
    assert answered == pytest.approx(calibrated.promise.share_answered, abs=0.02)
    assert small.acceptance.temperature != 1.0


def test_rows_that_were_learned_are_refused(calibrated: Calibrated) -> None:
    """The task's own examples are named by their lines, and the old promise stays as it is."""
    before = promise_path(calibrated.catalogue, "topic").read_bytes()
    rows = calibrated.catalogue.parent / "seen.jsonl"
    seen = (calibrated.catalogue.parent / "topic.jsonl").read_text().splitlines()[0]
    rows.write_text(calibrated.rows.read_text() + seen + "\n")

    done = calibrate(calibrated.catalogue, rows)

    num_rows = len(rows.read_text().splitlines())
    assert done.returncode == 1
    assert (
        f"1 of {num_rows} rows were seen in training (tasks.topic.examples): lines" in done.stderr
    )
    assert promise_path(calibrated.catalogue, "topic").read_bytes() == before


def test_a_worker_refuses_a_promise_of_another_revision(
    calibrated: Calibrated, tmp_path: Path
) -> None:
    """A model that is not the one that was calibrated is refused with the command that helps."""
    folder = tmp_path / "moved"
    shutil.copytree(calibrated.catalogue.parent, folder)
    promise = calibrated.promise
    acceptance = promise.steps[1].acceptance.model_copy(update={"revision": "0123456789ab"})
    other = promise.steps[1].model_copy(update={"acceptance": acceptance})
    changed = promise.model_copy(update={"steps": (promise.steps[0], other)})
    write_promise(changed, folder / "catalogue.yaml")
    cache = Path(os.environ["SMALLFIRST_CACHE_DIR"])
    models = Models("cpu", cache=cache, threads=1)

    with pytest.raises(TaskError, match="is calibrated for revision 0123456789ab") as caught:
        models.serve(load_catalogue(folder / "catalogue.yaml"))

    assert "smallfirst calibrate topic" in str(caught.value)
    models.unload()


def test_jobs_are_counted_as_their_rows_were(
    calibrated: Calibrated, served: Served, wait_until: WaitUntil
) -> None:
    """Each mail counts once: where a testing row fell into a bin, its job fell into the same."""

    def told() -> Any:
        done = drift(calibrated.catalogue, served.redis_url)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["topic"]["quantities"]

    num_asked = sum(result.trail[-1].model == "minilm" for result in served.results)
    num_answered = sum(result.is_answered for result in served.results)
    # Work that was done twice counts twice.
    wanted = {"length": len(served.results), "label": num_answered, "confidence": num_asked}

    def is_complete() -> bool:
        # The router counts lengths, and workers what they answered; each writes in its own time.
        counts: dict[str, int] = {each["what"]: sum(each["now"].values()) for each in told()}
        return all(counts[what] >= number for what, number in wanted.items())

    wait_until(is_complete, description="what was seen is written", timeout=60, every=1)
    found = told()
    names = [(each["what"], each["step"]) for each in found]
    assert names == [
        *(("length", None), ("label", None), ("escalation", 0)),
        *(("confidence", 1), ("escalation", 1)),
    ]
    for each in found:
        assert each["state"] == "steady", each
        # A pass in another batch may say another sixth digit, on the other side of an edge.
        extra = sum(max(0, rows - each["now"][name]) for name, rows in each["reference"].items())
        assert extra <= 2, each


def drift(catalogue: Path, redis_url: str) -> "subprocess.CompletedProcess[str]":
    """Run the command that compares jobs with rows."""
    command = [sys.executable, "-m", "smallfirst", "--redis-url", redis_url, "drift", "--json"]
    command += ["--catalogue", str(catalogue)]
    return subprocess.run(command, capture_output=True, text=True, check=False)
