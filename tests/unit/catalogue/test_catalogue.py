"""The catalogue's meaning: which values fit, which fit together, and where a model is put."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from smallfirst.acceptance import Acceptance, RuleAcceptance
from smallfirst.answers import Span
from smallfirst.catalogue import (
    AnyStep,
    Catalogue,
    Example,
    Kind,
    Model,
    ModelStep,
    Pattern,
    Pool,
    RecordField,
    Rule,
    RuleStep,
    Task,
    place,
    place_text,
)
from smallfirst.catalogue.json_schema import catalogue_schema
from smallfirst.catalogue.sizes import format_count, parse_count
from smallfirst.jobs import Tier
from smallfirst.kinds.records import record_schema

TWO_LABELS = {"up": "It rose.", "down": "It fell."}
BY_MODEL = (ModelStep(model="mini"),)
MINI = Model(source="bundled:minilm")
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def catalogue(**tasks: Task) -> Catalogue:
    """Make a catalogue of these tasks, with a small model, a large one, and a pool for each."""
    return Catalogue(
        version=1,
        pools={
            "cpu": Pool(tier=Tier.SLM, max_parameters=50_000_000),
            "gpu": Pool(tier=Tier.LLM, max_parameters=8_000_000_000),
        },
        models={
            "mini": MINI,
            "big": Model(source="./big", tier=Tier.LLM, parameters=3_000_000_000),
        },
        tasks=tasks,
    )


@pytest.mark.parametrize(
    ("written", "count"),
    [("22.7M", 22_700_000), ("8B", 8 * 10**9), ("50k", 50_000), ("512", 512), (7e9, 7 * 10**9)],
)
def test_counts_as_people_write_them(written: str | float, count: int) -> None:
    """A size may be written with its unit, and means the number it stands for."""
    assert parse_count(written) == count


@pytest.mark.parametrize("written", ["22.7 m b", "M", "1e9", "-5M", "", "8GB"])
def test_other_counts_are_refused(written: str) -> None:
    """A size that is no number with a unit is refused, with examples of what is."""
    with pytest.raises(ValidationError, match=r"22\.7M or 8B"):
        Pool(tier=Tier.SLM, max_parameters=written)


@given(count=st.integers(min_value=1, max_value=10**13))
def test_counts_survive_being_printed(count: int) -> None:
    """A size printed for people and read again is within a twentieth of what it was."""
    printed = parse_count(format_count(count))

    assert isinstance(printed, int)
    assert abs(printed - count) <= count * 0.05


@pytest.mark.parametrize(
    ("kind", "labels", "rule"),
    [
        (Kind.CLASSIFY, {}, "needs labels"),
        (Kind.CLASSIFY, {"up": ""}, "at least two labels"),
        (Kind.MULTILABEL, {}, "needs labels"),
        (Kind.TAG, {}, "needs labels"),
        (Kind.EMBED, {"up": ""}, "an embed task has no labels"),
        (Kind.GENERATE, {"up": ""}, "a generate task has no labels"),
    ],
)
def test_labels_fit_the_kind(kind: Kind, labels: dict[str, str], rule: str) -> None:
    """Each kind of task has the labels that its answers need, and no others."""
    with pytest.raises(ValidationError, match=rule):
        Task(kind=kind, labels=labels, cascade=BY_MODEL)


@pytest.mark.parametrize(
    ("kind", "example", "rule"),
    [
        (Kind.CLASSIFY, Example(text="x"), "needs `label`"),
        (Kind.CLASSIFY, Example(text="x", label="upp"), "did you mean 'up'"),
        (Kind.MULTILABEL, Example(text="x", label="up"), "needs `labels`"),
        (Kind.MULTILABEL, Example(text="x", labels=("sideways",)), "not one of the task's labels"),
        (Kind.TAG, Example(text="x", label="up"), "needs `spans`"),
        (
            Kind.TAG,
            Example(text="x", spans=(Span(start=0, end=2, label="up"),)),
            "ends after its text",
        ),
    ],
)
def test_examples_fit_the_task(kind: Kind, example: Example, rule: str) -> None:
    """An example without the answer that its task asks for is refused, by its number."""
    fitting = Example(text="x", label="up", labels=(), spans=())

    with pytest.raises(ValidationError, match=rule) as caught:
        Task(kind=kind, labels=TWO_LABELS, examples=(fitting, example), cascade=BY_MODEL)

    assert "examples[1]" in str(caught.value)


@pytest.mark.parametrize(
    ("asked", "rule"),
    [
        ({"kind": "extract"}, "an extract task needs fields"),
        ({"kind": "judge"}, "a judge task needs a question"),
        ({"kind": "generate", "fields": {"total": {}}}, "no fields; that is for .* `extract`"),
        ({"kind": "generate", "question": "Is it so?"}, "no question; that is for .* `judge`"),
        ({"kind": "extract", "fields": {"no name": {}}}, "fields"),
        ({"kind": "generate", "max_answer_tokens": 0}, "max_answer_tokens"),
    ],
)
def test_written_answers_have_what_they_need(asked: dict[str, Any], rule: str) -> None:
    """A task whose answer is written says what to write, and nothing that its kind does not use."""
    with pytest.raises(ValidationError, match=rule):
        Task.model_validate({**asked, "cascade": BY_MODEL})


@pytest.mark.parametrize(
    ("asked", "right", "rule"),
    [
        ({"kind": "extract", "fields": {"a": {}}}, {}, "needs `record`"),
        ({"kind": "extract", "fields": {"a": {}}}, {"record": {"b": "x"}}, "fields are not"),
        ({"kind": "extract", "fields": {"a": {}}}, {"record": {"a": None}}, "'a' is no string"),
        (
            {"kind": "extract", "fields": {"a": {"type": "date"}}},
            {"record": {"a": "2026-13-01"}},
            "'a' is no date",
        ),
        (
            {"kind": "extract", "fields": {"a": {"type": "number"}}},
            {"record": {"a": True}},
            "'a' is no number",
        ),
        ({"kind": "judge", "question": "?"}, {"quote": "x"}, "needs `verdict`"),
        ({"kind": "judge", "question": "?"}, {"verdict": "no", "quote": "y"}, "literally"),
        ({"kind": "generate"}, {"label": "up"}, "needs `reply`"),
    ],
)
def test_written_examples_fit_the_task(
    asked: dict[str, Any], right: dict[str, Any], rule: str
) -> None:
    """An example of a written answer has one, of the task's own fields, types and text."""
    example = {"text": "x", **right}

    with pytest.raises(ValidationError, match=rule):
        Task.model_validate({**asked, "examples": [example], "cascade": BY_MODEL})


def test_the_schema_of_a_record() -> None:
    """Every field is required and in order; only an optional one may be null."""
    fields = {
        "number": RecordField(),
        "due": RecordField(type="date", optional=True),
        "total": RecordField(type="number"),
    }

    schema: Any = record_schema(fields)

    assert list(schema["properties"]) == schema["required"] == ["number", "due", "total"]
    assert schema["properties"]["total"] == {"type": "number"}
    assert {"type": "null"} in schema["properties"]["due"]["anyOf"]
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize("kind", [Kind.EXTRACT, Kind.JUDGE, Kind.GENERATE])
def test_no_small_model_writes(kind: Kind) -> None:
    """A step of tier slm is refused where the answer has to be written; one of tier llm is not."""
    asked_by_kind: dict[Kind, dict[str, Any]] = {
        Kind.EXTRACT: {"fields": {"total": {"type": "number"}}},
        Kind.JUDGE: {"question": "Is it so?"},
        Kind.GENERATE: {},
    }
    asked = asked_by_kind[kind]
    by_both = ({"model": "mini"}, {"model": "big"})
    task = Task.model_validate({"kind": kind, **asked, "cascade": by_both})
    written = Task.model_validate({"kind": kind, **asked, "cascade": by_both[1:]})

    with pytest.raises(ValidationError, match=rf"cascade\[0\].*cannot write .* {kind} task"):
        catalogue(written=task)
    assert catalogue(written=written).tasks["written"].kind is kind


@pytest.mark.parametrize(
    ("kind", "keys"),
    [(Kind.EMBED, {}), (Kind.JUDGE, {"question": "Is it?"})],
)
def test_only_tasks_with_labels_read_the_message_alone(kind: Kind, keys: dict[str, str]) -> None:
    """What no step would heed is refused where it is written."""
    with pytest.raises(ValidationError, match="is read whole"):
        Task(kind=kind, reads="message", cascade=(ModelStep(model="m"),), **keys)


def test_an_embed_task_takes_any_example() -> None:
    """Nothing is asked of an example where the answer is a vector."""
    task = Task(kind=Kind.EMBED, examples=(Example(text="x", label="y"),), cascade=BY_MODEL)

    assert len(task.examples) == 1


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({}, "one of `rule`, `model`, `models`"),
        ({"rule": {"find": ["ssn"]}, "model": "mini"}, "one of `rule`, `model`, `models`"),
        ({"rule": {"find": ["ssn"]}, "accept": 0.5}, "a rule accepts"),
        ({"model": "mini", "accept": "always"}, "a model accepts at a probability"),
        ({"model": "mini", "accept": 1.1}, "a probability from 0 to 1"),
        ({"model": "mini", "accept": True}, "a probability from 0 to 1"),
        ({"rule": {}}, "needs `find` or `patterns`"),
        ({"rule": {"find": ["sn"]}}, "unknown recognizer 'sn', did you mean 'ssn'"),
    ],
)
def test_steps_have_one_tool(fields: dict[str, Any], rule: str) -> None:
    """A step is a rule or a model, each with an `accept` of its own sort."""
    with pytest.raises(ValidationError, match=rule):
        TypeAdapter(AnyStep).validate_python(fields)


def test_what_a_step_accepts() -> None:
    """Without `accept` a model's every answer stands, and a rule's where something matched."""
    rule = Rule(find=("ssn",))

    assert ModelStep(model="mini").acceptance == Acceptance(threshold=0.0)
    assert ModelStep(model="mini", accept=1).acceptance == Acceptance(threshold=1.0)
    assert RuleStep(rule=rule).accept is RuleAcceptance.MATCH
    assert RuleStep(rule=rule, accept=RuleAcceptance.NEVER).accept is RuleAcceptance.NEVER


def test_rules_find_labels_of_their_task() -> None:
    """A rule that would answer with a label the task does not have is refused."""
    rule = Rule(find=("card",), patterns=(Pattern(label="order", pattern="A[0-9]+"),))

    with pytest.raises(ValidationError) as caught:
        Task(kind=Kind.TAG, labels={"ssn": ""}, cascade=(RuleStep(rule=rule),))

    assert "cascade[0].rule: finds 'card'" in str(caught.value)
    assert "cascade[0].rule: finds 'order'" in str(caught.value)


def test_rules_do_not_embed() -> None:
    """A rule in a task whose answer it cannot give is refused."""
    with pytest.raises(ValidationError, match="this one is embed"):
        Task(kind=Kind.EMBED, cascade=(RuleStep(rule=Rule(find=("ssn",))),))


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"source": "bundled:"}, "named like `bundled:minilm`"),
        ({"source": "owner/name"}, "the commit it is pinned to"),
        ({"source": "owner/name", "revision": "main"}, "the commit it is pinned to"),
        ({"source": "owner/../../etc", "revision": COMMIT}, "the id of a hub's model"),
        ({"source": "https://hub/owner/name", "revision": COMMIT}, "the id of a hub's model"),
    ],
)
def test_sources_are_found_and_pinned(fields: dict[str, str], rule: str) -> None:
    """A source has one of three forms, and one from the hub cannot change under the fleet."""
    with pytest.raises(ValidationError, match=rule):
        Model.model_validate(fields)


@pytest.mark.parametrize(
    ("source", "form"),
    [
        ("bundled:minilm", "bundled"),
        ("./x", "local"),
        ("../x", "local"),
        ("/x", "local"),
        ("~/x", "local"),
        ("owner/name", "hub"),
        ("name", "hub"),
    ],
)
def test_forms_of_a_source(source: str, form: str) -> None:
    """Every source has exactly one form."""
    model = Model(source=source, revision=COMMIT)
    forms = {"bundled": model.is_bundled, "local": model.is_local, "hub": model.is_hub}

    assert [name for name, holds in forms.items() if holds] == [form]


def test_all_unknown_models_are_named() -> None:
    """Every step that names a model which is not there is told of, with the nearest that is."""
    task = Task(
        kind=Kind.CLASSIFY,
        labels=TWO_LABELS,
        cascade=(ModelStep(model="mni"), ModelStep(model="huge")),
    )

    with pytest.raises(ValidationError) as caught:
        catalogue(trend=task)

    assert "tasks.trend.cascade[0].model: 'mni' is not one of `models`, did you mean 'mini'?" in (
        str(caught.value)
    )
    assert "tasks.trend.cascade[1].model: 'huge'" in str(caught.value)


def test_cascades_climb() -> None:
    """A step cheaper than one before it is refused: nobody would ever be glad of its answer."""
    task = Task(
        kind=Kind.CLASSIFY,
        labels=TWO_LABELS,
        cascade=(ModelStep(model="big"), ModelStep(model="mini")),
    )

    with pytest.raises(ValidationError, match=r"cascade\[1\]: a step of tier slm stands after one"):
        catalogue(trend=task)


def test_tier_of_a_step() -> None:
    """A step's tier is its model's, or `rule` where it has none."""
    steps = (RuleStep(rule=Rule(find=("ssn",))), ModelStep(model="mini"), ModelStep(model="big"))
    served = catalogue(ids=Task(kind=Kind.TAG, labels={"ssn": ""}, cascade=steps))

    assert [served.tier_of(step) for step in steps] == [Tier.RULE, Tier.SLM, Tier.LLM]


@pytest.mark.parametrize(
    ("size", "tier", "pool"),
    [
        (50, Tier.SLM, "small"),
        (51, Tier.SLM, "middle"),
        (5000, Tier.SLM, "middle"),
        (5001, Tier.SLM, None),
        (50, Tier.LLM, "large"),
    ],
)
def test_smallest_pool_that_holds(size: int, tier: Tier, pool: str | None) -> None:
    """A model goes to the smallest pool of its own tier that holds it, whatever their order."""
    pools = {
        "middle": Pool(tier=Tier.SLM, max_parameters=5000),
        "small": Pool(tier=Tier.SLM, max_parameters=50),
        "large": Pool(tier=Tier.LLM, max_parameters=10**9),
    }

    assert place(size, tier, pools) == pool


def test_places_read_like_the_file() -> None:
    """A place is written with dots between keys and brackets around indexes."""
    assert place_text(("tasks", "topic", "cascade", 0, "accept")) == "tasks.topic.cascade[0].accept"


def fields_of(schema: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """List every field of every part of the catalogue, with its schema."""
    parts = {"Catalogue": schema, **schema["$defs"]}
    return [
        (f"{part}.{name}", field)
        for part, definition in parts.items()
        for name, field in definition.get("properties", {}).items()
        if part != "Span"
    ]


def test_the_schema_describes_every_field() -> None:
    """An editor can show a sentence about each field, and knows no field that is not there."""
    schema = catalogue_schema()

    assert [name for name, field in fields_of(schema) if not field.get("description")] == []
    assert schema["additionalProperties"] is False


def test_the_schema_is_of_the_file_as_written() -> None:
    """In the file, examples may be a path, a size may have a unit, and names keep their form."""
    schema = catalogue_schema()
    task, pool = schema["$defs"]["Task"]["properties"], schema["$defs"]["Pool"]["properties"]

    assert {choice["type"] for choice in task["examples"]["anyOf"]} == {"string", "array"}
    sizes = {choice["type"] for choice in pool["max_parameters"]["anyOf"]}
    assert sizes == {"integer", "string", "null"}
    assert schema["properties"]["tasks"]["additionalProperties"] is False
