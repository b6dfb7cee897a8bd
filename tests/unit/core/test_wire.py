"""What one version wrote another reads: unknown fields, values, kinds. Writers are strict."""

import copy
import json
import pickle
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue, ValidationError

from smallfirst import JobLocation, State, results
from smallfirst.acceptance import Acceptance, Thresholds
from smallfirst.agreement.measuring import PairRecord
from smallfirst.answers import (
    Answer,
    Evidence,
    Explanation,
    ExplanationMethod,
    LabelAnswer,
    LabelsAnswer,
    LikeExample,
    RecordAnswer,
    Span,
    SpansAnswer,
    Stretch,
    TextAnswer,
    UnknownAnswer,
    VectorAnswer,
)
from smallfirst.audit.drawing import AuditOrder
from smallfirst.audit.reporting import AlarmReport, AuditReport, ReviewerReport
from smallfirst.jobs import Attempt, Job, Outcome, Priority, Problem, Result, Status, Tier
from smallfirst.ledger.alarms import StandingAlarm
from smallfirst.ledger.checks import BlindAnswer, Check, CheckRecord
from smallfirst.ledger.decisions import Decision
from smallfirst.ledger.entries import StreamEntry
from smallfirst.ledger.held_jobs import read_held_job
from smallfirst.ledger.history import Reading, StepReading
from smallfirst.ledger.producers import Producer
from smallfirst.ledger.records import (
    GapRecord,
    PrunedRecord,
    RecordedAttempt,
    ResultRecord,
    VoidRecord,
)
from smallfirst.ledger.routing_slips import BatchMessage, DeadLetter, RoutingSlip, StepRequest
from smallfirst.shadow.pairing import Judged, Judgement, ShadowAnswer
from smallfirst.step_options import StepOptions
from smallfirst.wire import Wire

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
EVIDENCE = (Evidence(start=0, end=3, weight=1.5),)
ALIKE = (LikeExample(number=7, labels=("up",), likeness=0.5),)
WHY = Explanation(
    method=ExplanationMethod.WEIGHTS, label="up", score=2.0, bias=0.25, rest=0.25, alike=ALIKE
)
UP = {"up": 0.9}
ANSWERS: list[Answer] = [
    LabelAnswer(label="up", confidence=0.9, distribution=UP, evidence=EVIDENCE, explanation=WHY),
    LabelsAnswer(
        labels=("up",), confidence=0.9, distribution=UP, evidence=EVIDENCE, explanation=WHY
    ),
    SpansAnswer(spans=(Span(start=0, end=3, label="name"),), confidence=0.9, evidence=EVIDENCE),
    VectorAnswer(vector=(0.6, 0.8)),
    TextAnswer(text="well", confidence=0.9),
    RecordAnswer(record={"due": {"day": [1, None]}}, confidence=0.9),
]
TRAIL = tuple(
    Attempt(
        step=number,
        tier=Tier.SLM,
        model="minilm",
        revision="2",
        pool="cpu",
        outcome=Outcome.ESCALATED,
        answer=answer,
    )
    for number, answer in enumerate(ANSWERS)
)
JOB = Job(
    id="one",
    task="topic",
    text="hello",
    priority=Priority.INTERACTIVE,
    deadline=timedelta(seconds=5),
    metadata={"order": "7"},
)
RESULT = Result(
    id="one",
    task="topic",
    status=Status.ANSWERED,
    answer=ANSWERS[0],
    tier=Tier.SLM,
    problem=Problem(code="unsure", message="nobody was sure"),
    trail=TRAIL,
    submitted_at=NOW,
    finished_at=NOW,
    metadata={"order": "7"},
)
SLIP = RoutingSlip(
    producer="default",
    task="topic",
    submitted_ms=1,
    expires_ms=2,
    num_chars=5,
    num_tokens=3,
    text_key="0a1b",
    request=StepRequest(
        step=0,
        model="minilm",
        pool="cpu",
        acceptance=Acceptance(by_label={"up": 0.5}),
        cautious=Thresholds(threshold=0.9, by_label={"up": 0.95}),
        options=StepOptions(vote=3),
        audit=AuditOrder(share=0.01, keep_seconds=60, series="0123456789abcdef"),
    ),
    trail=TRAIL,
    kept_spans=(Span(start=0, end=3, label="name"),),
)
HASH = "0" * 64
RECORDED = RecordedAttempt(
    step=0, tier=Tier.SLM, model="minilm", revision="2", outcome=Outcome.ACCEPTED
)
WIRE: list[Wire] = [
    Decision(person="r1", answer=ANSWERS[0], decided_ms=1, start=1),
    PairRecord(people=("r1", "r2"), said=("a", "b"), decided_ms=1),
    Check(series="0123456789abcdef", answer=ANSWERS[0]),
    ShadowAnswer(candidate="next", series="0123456789abcdef", text_key="0", answer=ANSWERS[0]),
    Judgement(live=Judged.RIGHT, answer=ANSWERS[0]),
    CheckRecord(
        series="0123456789abcdef",
        step=0,
        stratum=1,
        share=0.5,
        chance=0.25,
        is_wrong=True,
        person="r1",
        decided_ms=1,
        seconds=1.0,
        num_words=2,
        check="1-0",
        second_look=True,
        answers=(BlindAnswer(person="r1", is_wrong=True, seconds=1.0),),
    ),
    AuditReport(
        series="0123456789abcdef",
        at_ms=1,
        num_accepted=3,
        num_checks=2,
        num_waiting=1,
        num_drawn=3,
        num_dropped=0,
        rate=0.5,
        reviewers=(
            ReviewerReport(
                person="r1", num_answers=2, num_golden=1, num_golden_wrong=0, num_hasty=0
            ),
        ),
        alarm=AlarmReport(since_ms=1, num_checks=0),
    ),
    StandingAlarm(promise="0123456789abcdef", since_ms=1),
    RESULT,
    SLIP,
    BatchMessage(batch="b", model="minilm", pool="cpu", entries={"bulk": ("1-0",)}, starts=1),
    DeadLetter(reason="poison", size=1, digest="sha256:0"),
    Reading(steps=(StepReading(step=0, tier=Tier.SLM, num_accepted=1, num_attempts=2),)),
    Producer(weight=2),
    JobLocation(id="one", state=State.DONE, status=Status.ANSWERED),
    ResultRecord(kind="result", producer="default", job=HASH, salt="0" * 16, trail=(RECORDED,)),
    GapRecord(kind="gap", lost=2),
    VoidRecord(kind="void", of="1-0"),
    PrunedRecord(kind="pruned", below=256),
]
#: Whose keys are a producer's, a task's or a model's own, and no fields.
MAPS = {"metadata", "distribution", "by_label", "record", "entries"}
#: What a newer version may add: under a name of its own, or under one that stands elsewhere.
ADDED = ("zz_added", "status", "outcome", "kind", "answer", "v", "id", "text")


def levels(value: JsonValue) -> Iterator[dict[str, JsonValue]]:
    """Find every object in JSON that is a model."""
    if isinstance(value, list):
        for each in value:
            yield from levels(each)
    if isinstance(value, dict):
        yield value
        for name, each in value.items():
            if name not in MAPS:
                yield from levels(each)


@pytest.mark.parametrize("model", WIRE, ids=lambda model: type(model).__name__)
@given(data=st.data())
def test_an_unknown_field_is_passed_over(model: Wire, data: st.DataObject) -> None:
    """At any depth, whatever it is called and holds, and the rest is read as it was."""
    written = model.model_dump(mode="json", exclude_none=True)
    level = data.draw(st.sampled_from(list(levels(written))))
    known = {*type(model).model_fields, *level}
    names = st.sampled_from([name for name in ADDED if name not in known] or ["zz_added"])
    values = st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=5,
    )
    level[data.draw(names)] = data.draw(values)
    assert type(model).model_validate_json(json.dumps(written)) == model


def test_every_level_is_passed_over_at_once() -> None:
    """Of the models above none is left out, nor any model of the wire but the submission."""
    seen = set[type]()
    for model in WIRE:
        written = model.model_dump(mode="json", exclude_none=True)
        for level in list(levels(written)):
            level["zz_added"] = {"zz": []}
        assert type(model).model_validate_json(json.dumps(written)) == model
        seen |= {type(model), *models_in(model)}
    product = {each for each in below(Wire) if each.__module__.startswith("smallfirst.")}
    product = {each for each in product if not each.__name__.startswith("_")}
    assert product - seen == {Job, Stretch, UnknownAnswer}


def below(model: type[Wire]) -> Iterator[type[Wire]]:
    """Find the models that are made from one, at any depth."""
    for each in model.__subclasses__():
        yield each
        yield from below(each)


def models_in(value: object) -> Iterator[type]:
    """Find the models within a model."""
    for each in vars(value).values() if isinstance(value, Wire) else ():
        for inner in each if isinstance(each, tuple) else (each,):
            if isinstance(inner, Wire):
                yield type(inner)
                yield from models_in(inner)


def test_a_submission_is_read_strictly() -> None:
    """A field that a producer misspelt is refused, and not passed over."""
    with pytest.raises(ValidationError, match="zz_added"):
        Job.model_validate_json(json.dumps({"task": "topic", "text": "hi", "zz_added": 1}))


def test_inside_the_fleet_a_job_is_read_leniently() -> None:
    """A router of a newer version has let it in already."""
    job = {**json.loads(JOB.to_json()), "zz_added": {"zz": 1}}
    fields = {b"job": json.dumps(job).encode(), b"slip": SLIP.to_json().encode()}
    assert read_held_job(StreamEntry("s", "1-0", fields)).job == JOB


@pytest.mark.parametrize(
    "make",
    [
        lambda: Result(**{**vars(RESULT), "zz_added": 1}),
        lambda: StepOptions(votes=3),  # type: ignore[call-arg]
        lambda: RoutingSlip(**{**vars(SLIP), "zz_added": 1}),
        lambda: Attempt(**{**vars(TRAIL[0]), "outcome": "partial"}),
        lambda: Result(**{**vars(RESULT), "status": "partial"}),
        lambda: Result(**{**vars(RESULT), "answer": {"kind": "table", "confidence": 1.0}}),
    ],
)
def test_writers_are_strict(make: Callable[[], Wire]) -> None:
    """What this version makes holds no field, value or kind that it does not know."""
    with pytest.raises(ValidationError):
        make()


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ((), "status"),
        ((), "tier"),
        (("trail", 0), "tier"),
        (("trail", 0), "outcome"),
    ],
)
def test_an_unknown_value_is_kept(path: tuple[str | int, ...], field: str) -> None:
    """A value of a newer version is itself, equals no member, and is written as it was read."""
    written = RESULT.model_dump(mode="json", exclude_none=True)
    place: Any = written
    for part in path:
        place = place[part]
    place[field] = "novel"
    read = Result.model_validate_json(json.dumps(written))
    found = getattr(read.trail[0] if path else read, field)
    assert (found, str(found), found.is_known) == ("novel", "novel", False)
    assert found not in {*Status, *Tier, *Outcome}
    assert json.loads(read.to_json()) == written
    assert pickle.loads(pickle.dumps(read)) == copy.deepcopy(read) == read  # noqa: S301 - our own


def test_a_known_value_is_its_member() -> None:
    """What both versions know is compared by identity, as ever."""
    read = Result.model_validate_json(RESULT.to_json())
    assert read.status is Status.ANSWERED
    assert (read.tier is Tier.SLM, read.status.is_known) == (True, True)
    assert Status.read("failed") is Status.FAILED


@pytest.mark.parametrize("value", ["", "x" * 129, 7, None, ["answered"], {}])
def test_a_value_is_a_word(value: JsonValue) -> None:
    """What is no word of any version is an error still."""
    written = {**RESULT.model_dump(mode="json", exclude_none=True), "status": value}
    with pytest.raises(ValidationError):
        Result.model_validate_json(json.dumps(written))


TABLE: dict[str, JsonValue] = {"kind": "table", "confidence": 0.75, "rows": [[1, None], ["a", {}]]}


def test_an_unknown_kind_of_answer_is_kept() -> None:
    """It has its kind, its confidence and all its fields, and is written as it was read."""
    written = {**RESULT.model_dump(mode="json", exclude_none=True), "answer": TABLE}
    written["trail"][0]["answer"] = TABLE
    read = Result.model_validate_json(json.dumps(written))
    assert read.answer == UnknownAnswer(kind="table", confidence=0.75, fields=TABLE)
    assert (read.trail[0].answer, read.is_answered) == (read.answer, True)
    assert json.loads(read.to_json()) == written
    assert json.loads(read.model_dump_json(exclude_none=True)) == written


@pytest.mark.parametrize("said", [None, "high", 7, True, -1.0])
def test_an_unknown_kind_may_be_sure_in_another_way(said: JsonValue) -> None:
    """A confidence that is no probability is none."""
    written = RESULT.model_dump(mode="json", exclude_none=True)
    written["answer"] = {"kind": "table", "confidence": said}
    answer = Result.model_validate_json(json.dumps(written)).answer
    assert isinstance(answer, UnknownAnswer)
    assert answer.confidence == 0.0


@pytest.mark.parametrize("answer", [{}, {"kind": 7}, {"kind": "label"}, "table", []])
def test_a_broken_answer_is_an_error(answer: JsonValue) -> None:
    """A known kind without its fields is not taken for an unknown one."""
    written = {**RESULT.model_dump(mode="json", exclude_none=True), "answer": answer}
    with pytest.raises(ValidationError):
        Result.model_validate_json(json.dumps(written))


def test_a_stranger_s_validator_reads_newer_results_too() -> None:
    """The published schema of a result is as open as our own reading of it."""
    schema = json.dumps(Result.model_json_schema(mode="serialization"))
    assert '"additionalProperties": false' not in schema
    closed = json.dumps(Job.model_json_schema(mode="validation"))
    assert '"additionalProperties": false' in closed


def test_endings_are_written_strictly() -> None:
    """What a fleet writes when it ends a job is what it reads."""
    ended = results.unanswered(
        JOB, Status.FAILED, RESULT.problem or results.EXPIRED, submitted_ms=1, now_ms=2, trail=TRAIL
    )
    assert Result.model_validate_json(ended.to_json()) == ended
