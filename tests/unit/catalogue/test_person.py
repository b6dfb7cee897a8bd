"""A step that asks a person: what may be said of it, and what it leaves alone."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.unit.catalogue.test_catalogue import TWO_LABELS

from smallfirst.acceptance import Acceptance
from smallfirst.catalogue import Backlog, Catalogue, Otherwise, PersonStep, step_specs
from smallfirst.catalogue.checking import check_catalogue
from smallfirst.catalogue.durations import format_duration, parse_duration
from smallfirst.fitting.candidates import with_people
from smallfirst.jobs import Tier

MODEL = {"model": "mini", "accept": 0.8}


def catalogue(*cascade: dict[str, Any], kind: str = "classify") -> Catalogue:
    """A catalogue with one task."""
    task: dict[str, Any] = {"kind": kind, "cascade": list(cascade)}
    if kind == "classify":
        task["labels"] = TWO_LABELS
    return Catalogue.model_validate(
        {
            "version": 1,
            "pools": {"cpu": {"tier": "slm", "max_parameters": "50M"}},
            "models": {"mini": {"source": "bundled:minilm"}},
            "tasks": {"topic": task},
        }
    )


def fault_of(*cascade: dict[str, Any], kind: str = "classify") -> str:
    """What is wrong with a catalogue."""
    with pytest.raises(ValidationError) as caught:
        catalogue(*cascade, kind=kind)
    return str(caught.value)


def test_a_person_is_asked_on_a_backlog_of_the_tasks_own() -> None:
    """Its tier is the dearest, every answer stands, and it has neither model nor threshold."""
    read = catalogue(MODEL, {"person": {"wait": "90m", "otherwise": "best"}})
    step = read.tasks["topic"].person_step

    assert isinstance(step, PersonStep)
    assert read.tier_of(step) is Tier.HUMAN
    assert step.destination({}, "topic") == Backlog("@people.topic", "person")
    assert (step.asks, step.acceptance, step.has_threshold) == ((), Acceptance(), False)
    assert (step.person.wait, step.person.otherwise) == (timedelta(minutes=90), Otherwise.BEST)


def test_two_reviewers_may_leave_a_best_answer_where_no_model_is_asked() -> None:
    """One of the two may have answered in time."""
    task = catalogue({"person": {"reviewers": 2, "otherwise": "best"}}).tasks["topic"]
    assert task.asks_several
    assert not catalogue({"person": {}}).tasks["topic"].asks_several


def test_a_person_is_waited_for_a_day_where_nobody_says() -> None:
    """And where none answers the job is abstained from."""
    step = catalogue({"person": {}}).tasks["topic"].person_step
    assert step is not None
    assert (step.person.wait, step.person.otherwise) == (timedelta(days=1), Otherwise.ABSTAIN)


@pytest.mark.parametrize(
    ("cascade", "kind", "rule"),
    [
        (({"person": {}}, MODEL), "classify", "a person is asked last, and once"),
        (({"person": {}}, {"person": {}}), "classify", "a person is asked last, and once"),
        ((MODEL, {"person": {}}), "embed", "a person cannot write the answer of an embed task"),
        (({"person": {"otherwise": "best"}},), "classify", "no other step answers"),
        (({"person": {"otherwise": "fail"}},), "classify", "must be `abstain` or `best`"),
        *(
            (({"person": {"reviewers": number}},), "classify", "must be 1 or 2: where two differ")
            for number in (0, 3, True, "two", [2], 2.5)
        ),
        (({"person": {"wait": 24}},), "classify", "a duration with its unit, such as 90s"),
        (({"person": {"wait": "1 fortnight"}},), "classify", "a duration with its unit"),
        (({"person": {"wait": "31d"}},), "classify", "must be from 1s to 30d"),
        (({"person": {"wait": "0s"}},), "classify", "must be from 1s to 30d"),
        (({"person": {"wait": f"{'9' * 400}d"}},), "classify", "fits a calendar"),
        (({"person": {"wiat": "1h"}},), "classify", "wiat"),
        (({"person": None},), "classify", "person"),
        (({"person": {}, "model": "mini"},), "classify", "a step needs one of"),
        (({"persn": {"wait": "1h"}},), "classify", "persn"),
    ],
)
def test_a_step_that_cannot_be_is_refused_with_its_rule(
    cascade: tuple[dict[str, Any], ...], kind: str, rule: str
) -> None:
    """The message says which, whatever is wrong."""
    assert rule in fault_of(*cascade, kind=kind)


@given(st.integers(1, 30 * 86_400))
def test_a_duration_is_read_as_it_is_written(seconds: int) -> None:
    """In whichever unit."""
    duration = timedelta(seconds=seconds)
    assert parse_duration(format_duration(duration)) == duration


def test_a_day_is_written_in_hours() -> None:
    """As people say it."""
    assert [format_duration(timedelta(hours=h)) for h in (1, 24, 48)] == ["1h", "24h", "2d"]


def test_a_persons_step_voids_no_promise() -> None:
    """The hashes that a promise is compared with are the same with it and without it."""
    alone, asking = catalogue(MODEL), catalogue(MODEL, {"person": {"wait": "2h"}})
    hashes = [step_specs(each.tasks["topic"], each.models) for each in (alone, asking)]
    assert hashes[0] == hashes[1]
    assert asking.without_people() == alone


def test_a_catalogue_that_asks_people_alone_is_served(tmp_path: Path) -> None:
    """It needs no pool and no model."""
    path = tmp_path / "catalogue.yaml"
    task = {"kind": "classify", "labels": TWO_LABELS, "cascade": [{"person": {"wait": "1h"}}]}
    path.write_text(yaml.safe_dump({"version": 1, "tasks": {"topic": task}}), "utf-8")
    assert check_catalogue(path).findings == ()


def test_a_cascade_that_is_fitted_keeps_its_person() -> None:
    """As the last step; where there was none, there is none."""
    there = catalogue(MODEL, {"person": {"wait": "2h"}})
    served = {"cascade": [{"model": "mini", "accept": "calibrated"}]}
    fitted = with_people(served, there, "topic")
    assert fitted["cascade"] == [*served["cascade"], {"person": {"wait": "2h"}}]
    assert with_people(served, catalogue(MODEL), "topic") == served
    assert with_people(served, there, "another") == served == with_people(served, None, "topic")


@pytest.mark.parametrize("command", ["calibrate", "evaluate"])
def test_people_are_not_measured(tmp_path: Path, command: str) -> None:
    """A task that asks people alone has nothing to calibrate, and a command says so."""
    path = tmp_path / "catalogue.yaml"
    task = {"kind": "classify", "labels": TWO_LABELS, "cascade": [{"person": {"wait": "1h"}}]}
    path.write_text(yaml.safe_dump({"version": 1, "tasks": {"topic": task}}), "utf-8")
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"text": "x", "label": "up"}\n', "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "smallfirst", command, "topic", "--data", rows, "--catalogue", path],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert "asks people alone" in done.stderr
