"""Promises beside a catalogue: what `accept: calibrated` stands for, and when it is void."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.promises import promise_for

from smallfirst.acceptance import Acceptance, Thresholds
from smallfirst.catalogue import (
    Cautious,
    EqualSingle,
    Promise,
    QuantityReference,
    Reference,
    promise_path,
)
from smallfirst.catalogue.audit_orders import audit_series
from smallfirst.catalogue.loading import load_catalogue, read_catalogue
from smallfirst.catalogue.watching import CatalogueWatch
from smallfirst.drift.bins import What
from smallfirst.errors import CatalogueError
from smallfirst.evaluation.promises import write_promise

CATALOGUE = """\
version: 1
pools:
  cpu: {tier: slm, max_parameters: 50M}
  gpu: {tier: llm, max_parameters: 10B, price_per_hour: 2}
models:
  mini: {source: bundled:minilm}
  large: {tier: llm, source: ./large, parameters: 1B}
tasks:
  topic:
    kind: classify
    instructions: Be brief.
    labels: {billing: Money., other: The rest.}
    examples:
      - {text: pay me, label: billing}
      - {text: hello, label: other}
    cascade:
      - rule: {patterns: [{label: billing, pattern: invoice}]}
      - model: mini
        accept: calibrated
      - model: large
        accept: calibrated
"""
REFERENCE = Reference(
    num_rows=350,
    num_distinct=350,
    quantities=(QuantityReference(what=What.LENGTH, counts={"0": 50, "32": 300}),),
)
NO_FILE = "is calibrated, and there is no"
CHANGED = "changed since it was calibrated"
#: Each example writes the file anew, so one folder serves them all.
FUZZED: Any = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.function_scoped_fixture],
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A catalogue whose promise was just made."""
    path = tmp_path / "catalogue.yaml"
    path.write_text(CATALOGUE)
    write_promise(promise_for(path), path)
    return path


def complaint(path: Path) -> str:
    """What is said about a catalogue that is refused."""
    with pytest.raises(CatalogueError) as caught:
        load_catalogue(path)
    return str(caught.value)


def test_calibrated_stands_for_what_was_promised(path: Path) -> None:
    """The steps of a loaded catalogue go by the thresholds, temperature and revision found."""
    rule, small, large = load_catalogue(path).tasks["topic"].cascade
    assert rule.promise is not None
    assert rule.acceptance.revision == "r0"
    assert small.promise is not None
    assert large.promise is not None
    assert small.acceptance == Acceptance(threshold=0.9, temperature=1.5, revision="r1")
    assert large.acceptance.is_never


def test_a_promise_survives_its_file(path: Path) -> None:
    """What is written is read back the same."""
    content = promise_path(path, "topic").read_bytes()
    assert Promise.model_validate_json(content, strict=True) == promise_for(path)


def test_which_single_step_is_equal_belongs_to_no_promise(path: Path) -> None:
    """An audit goes on that was begun under the same promise of a version that did not tell."""
    promise, series = promise_for(path), []
    for single in (None, EqualSingle(), EqualSingle(step=1)):
        write_promise(promise.model_copy(update={"equal_single": single}), path)
        found = load_catalogue(path)
        assert found.tasks["topic"].promise is not None
        assert found.tasks["topic"].promise.equal_single == single
        series.append(audit_series(found.tasks["topic"], found.models))
    assert len(set(series)) == 1


def test_what_the_rows_were_like_belongs_to_no_promise(path: Path) -> None:
    """An audit goes on that was begun under the same promise of a version that did not count."""
    promise, series = promise_for(path), []
    for reference in (None, REFERENCE):
        write_promise(promise.model_copy(update={"reference": reference}), path)
        found = load_catalogue(path)
        assert found.tasks["topic"].promise is not None
        assert found.tasks["topic"].promise.reference == reference
        series.append(audit_series(found.tasks["topic"], found.models))
    assert len(set(series)) == 1


def test_drift_needs_a_promise_that_says_what_its_rows_were_like(path: Path) -> None:
    """Else nothing would be watched, and nobody told: the catalogue is refused at the key."""
    path.write_text(f"{CATALOGUE}    drift: {{alarm: alert}}\n")
    said = complaint(path)
    assert "tasks.topic.drift: the task's promise was made by a version that did not count" in said
    assert "run `smallfirst calibrate topic --data ROWS`" in said
    write_promise(promise_for(path).model_copy(update={"reference": REFERENCE}), path)
    assert load_catalogue(path).tasks["topic"].drift is not None


def test_raised_thresholds_need_a_promise_that_has_them_and_belong_to_none(path: Path) -> None:
    """Else nothing could be raised: refused at the key. An audit goes on under either promise."""
    path.write_text(f"{CATALOGUE}    drift: {{alarm: raise_threshold}}\n")
    promise = promise_for(path).model_copy(update={"reference": REFERENCE})
    write_promise(promise, path)
    said = complaint(path)
    assert "tasks.topic.drift: the task's promise was made by a version that chose no" in said
    thresholds = tuple(Thresholds(threshold=0.99) for _ in promise.steps)
    cautious = Cautious(target=0.01, share_answered=0.5, thresholds=thresholds)
    with_cautious = promise.model_copy(update={"cautious": cautious})
    write_promise(with_cautious, path)
    found = load_catalogue(path)
    assert found.tasks["topic"].promise == with_cautious
    series = [audit_series(found.tasks["topic"], found.models)]
    path.write_text(CATALOGUE)
    write_promise(promise, path)
    found = load_catalogue(path)
    assert series == [audit_series(found.tasks["topic"], found.models)]


def test_without_a_promise_nothing_is_served(path: Path) -> None:
    """A missing file is told at the step's own line, with the command that makes it."""
    promise_path(path, "topic").unlink()
    said = complaint(path)
    assert f"{path}:19: tasks.topic.cascade[1].accept: {NO_FILE}" in said
    assert "run `smallfirst calibrate topic --data ROWS`" in said


@pytest.mark.parametrize(
    ("old", "new", "step"),
    [
        ("bundled:minilm", "bundled:minilm, max_tokens: 64", 1),
        ("bundled:minilm", "bundled:minilm, precision: float32", 1),
        ("bundled:minilm", "bundled:minilm, pooling: cls", 1),
        ("source: ./large", "source: ./larger", 2),
        ("text: hello", "text: goodbye", 1),
        ("Be brief.", "Be long.", 2),
        ("Money.", "Coins.", 2),
        ("{billing: Money., other: The rest.}", "{other: The rest., billing: Money.}", 1),
        ("pattern: invoice", "pattern: bill", 0),
        ("- model: large", "- model: large\n        think: {tokens: 9}", 2),
        ("- model: large", "- model: large\n        vote: 3\n        think: {tokens: 9}", 2),
        ("accept: calibrated\n      - model: large", "accept: 0.5\n      - model: large", 1),
    ],
)
def test_a_promise_is_void_of_another_cascade(path: Path, old: str, new: str, step: int) -> None:
    """Whatever could change an answer is refused at its step, with the command that helps."""
    assert old in CATALOGUE
    path.write_text(CATALOGUE.replace(old, new))
    said = complaint(path)
    assert f"tasks.topic.cascade[{step}].accept: the step" in said
    assert CHANGED in said
    assert "smallfirst calibrate topic" in said


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("price_per_hour: 2", "price_per_hour: 3"),
        ("parameters: 1B", "parameters: 2B"),
        ("source: ./large", "source: /elsewhere/large"),
        ("      - {text: hello, label: other}", "      - {text: hello, label: other, id: x}"),
    ],
)
def test_a_promise_outlives_what_changes_no_answer(path: Path, old: str, new: str) -> None:
    """Prices, sizes and places may change."""
    assert old in CATALOGUE
    path.write_text(CATALOGUE.replace(old, new))
    assert load_catalogue(path).tasks["topic"].cascade[1].acceptance.threshold == 0.9


def test_a_step_less_is_another_cascade(path: Path) -> None:
    """A promise is of the whole cascade; a shorter one has none."""
    path.write_text(CATALOGUE.replace("      - model: large\n        accept: calibrated\n", ""))
    assert "was calibrated as a cascade of 3 steps, and there are 2" in complaint(path)


def test_the_promise_of_another_task_is_none(path: Path) -> None:
    """A file that was renamed is told as what it is."""
    where = promise_path(path, "topic")
    where.write_text(where.read_text().replace('"task": "topic"', '"task": "other"'))
    assert "the promise is of the task 'other'" in complaint(path)


def test_marking_the_steps_keeps_the_promise(path: Path) -> None:
    """Calibrated first and marked `calibrated` then, or the other way round: the same promise."""
    path.write_text(CATALOGUE.replace("        accept: calibrated\n", "        accept: 0.4\n"))
    write_promise(promise_for(path), path)
    path.write_text(CATALOGUE)
    assert load_catalogue(path).tasks["topic"].cascade[1].acceptance.threshold == 0.9


def test_a_rule_is_not_calibrated(path: Path) -> None:
    """A rule's answer is certain or none; there is nothing to promise of its confidence."""
    path.write_text(
        CATALOGUE.replace("pattern: invoice}]}", "pattern: invoice}]}\n        accept: calibrated")
    )
    assert (
        "a rule accepts `match`, `always`, `never`; it has no threshold and no promise"
        in complaint(path)
    )


def test_a_new_promise_is_taken_up_without_a_restart(path: Path) -> None:
    """The file of the promise is watched with the catalogue; a bad one leaves the old in force."""
    watch = CatalogueWatch(path)
    write_promise(promise_for(path, first=0.75), path)
    assert watch.refresh()
    assert watch.current.tasks["topic"].cascade[1].acceptance.threshold == 0.75

    promise_path(path, "topic").write_text("{}")
    assert not watch.refresh()
    assert watch.current.tasks["topic"].cascade[1].acceptance.threshold == 0.75


@settings(max_examples=60, **FUZZED)
@given(content=st.binary(max_size=200))
def test_bytes_that_are_no_promise_are_refused(path: Path, content: bytes) -> None:
    """Whatever stands in the file, it is told as a problem of the catalogue and nothing else."""
    promise_path(path, "topic").write_bytes(content)
    assert "tasks.topic.cascade[1].accept: is calibrated, and" in complaint(path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@settings(max_examples=80, **FUZZED)
@given(data=st.data())
def test_a_strange_value_is_refused_or_within_bounds(path: Path, data: st.DataObject) -> None:
    """Any value in any place gives a promise within its bounds, or a problem of its file."""
    promise: dict[str, Any] = json.loads(promise_for(path).model_dump_json())
    place: dict[str, Any] = promise
    if data.draw(st.booleans(), label="in a step"):
        place = promise["steps"][data.draw(st.integers(0, 2))]
    place[data.draw(st.sampled_from(sorted(place)))] = data.draw(JSON)
    promise_path(path, "topic").write_text(json.dumps(promise))
    reading = read_catalogue(path)
    if reading.catalogue is None:
        assert "tasks.topic.cascade" in str(reading.error)
    else:
        steps = reading.catalogue.tasks["topic"].cascade
        assert all(0 <= (step.acceptance.required(None) or 0) <= 1 for step in steps)
        assert all(step.promise is not None for step in steps)


def test_the_published_schema_takes_what_is_written(path: Path) -> None:
    """Every key of a written promise is in the JSON schema, and no other may be."""
    schema: Mapping[str, Any] = Promise.model_json_schema()
    written = json.loads(promise_path(path, "topic").read_bytes())
    assert set(written) <= set(schema["properties"])
    assert schema["additionalProperties"] is False
