"""The registries of engines and runtimes: what stands in them is there, and decides."""

from pkgutil import resolve_name
from typing import Any

import pytest
from pydantic import ValidationError

from smallfirst.catalogue import Model, Task, step_specs
from smallfirst.catalogue.engines import ENGINES
from smallfirst.catalogue.implementations import Implementation
from smallfirst.catalogue.json_schema import catalogue_schema
from smallfirst.catalogue.runtimes import RUNTIMES

ENDPOINT = "http://127.0.0.1:8000/v1"
IMPLEMENTATIONS = [spec.implementation for spec in ENGINES.values()]
IMPLEMENTATIONS += [spec.implementation for spec in RUNTIMES.values()]


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS, ids=lambda each: each.path)
def test_every_path_leads_to_what_loads(implementation: Implementation) -> None:
    """A wrong path would show only where a worker loads such a model."""
    if missing := implementation.missing_packages():
        pytest.skip(f"not installed: {', '.join(missing)}")
    assert callable(resolve_name(implementation.path))


@pytest.mark.parametrize("spec", ENGINES.values(), ids=ENGINES)
def test_every_key_is_one_of_a_models(spec: Any) -> None:
    """A key that no model has could never be refused, nor heeded."""
    assert spec.keys <= set(Model.model_fields)
    assert {each.key for each in spec.unfit} <= set(Model.model_fields)


@pytest.mark.parametrize("spec", RUNTIMES.values(), ids=RUNTIMES)
def test_every_fallback_is_a_runtime_without_one(spec: Any) -> None:
    """So the search for a runtime that takes a model has an end."""
    assert spec.fallback is None or RUNTIMES[spec.fallback].fallback is None


@pytest.mark.parametrize(
    ("said", "engine"),
    [
        ({"source": "bundled:minilm"}, "encoder"),
        ({"source": "./big", "tier": "llm"}, "vllm"),
        ({"source": "./big", "tier": "llm", "runner": "pooling"}, "vllm-pooling"),
        ({"source": "far", "tier": "llm", "endpoint": ENDPOINT}, "endpoint"),
        ({"source": "./big", "tier": "llm", "engine": "vllm"}, "vllm"),
    ],
)
def test_a_model_that_names_no_engine_has_the_one_that_fits(
    said: dict[str, Any], engine: str
) -> None:
    """Tier, runner and endpoint say it all; to name it besides changes nothing."""
    assert Model.model_validate(said).engine_name == engine


@pytest.mark.parametrize(
    ("said", "rule"),
    [
        ({"source": "bundled:minilm", "engine": "vllm"}, "engine: serves models of tier llm"),
        ({"source": "./x", "tier": "llm", "engine": "endpoint"}, "no `endpoint` is named"),
        (
            {"source": "x", "tier": "llm", "engine": "vllm", "endpoint": ENDPOINT},
            "engine: runs its models here",
        ),
        ({"source": "./x", "tier": "llm", "engine": "vllm-pooling"}, "`runner: pooling`"),
        ({"source": "./x", "tier": "llm", "engine": "vlm"}, "vllm"),
        ({"source": "./x", "runtime": "onnx"}, "'openvino' or 'torch'"),
    ],
)
def test_an_engine_that_cannot_serve_the_model_is_refused(said: dict[str, Any], rule: str) -> None:
    """Before any worker would try, and the error names what stands in the way."""
    with pytest.raises(ValidationError, match=rule):
        Model.model_validate(said)


def test_an_editor_knows_engines_and_runtimes() -> None:
    """The schema lists what stands in the registries."""
    model = catalogue_schema()["$defs"]["Model"]["properties"]
    assert model["runtime"]["enum"] == list(RUNTIMES)
    assert model["engine"]["anyOf"][0]["enum"] == list(ENGINES)


def test_what_is_missing_is_named_with_its_remedy() -> None:
    """Nothing is imported to find out, and the remedy names every extra that would do."""
    made_up = Implementation("nowhere:load", ("sys", "no_such_package"), ("one", "two"))
    assert made_up.missing_packages() == ("no_such_package",)
    assert made_up.install_hint == "pip install 'smallfirst[one]', or two"


def test_to_name_the_engine_that_serves_anyway_voids_no_promise() -> None:
    """What decides the answers is the same; another engine would be another thing."""
    task = Task.model_validate({"kind": "generate", "cascade": [{"model": "big"}]})
    said = {"source": "./big", "tier": "llm"}
    models = (Model.model_validate(said | more) for more in ({}, {"engine": "vllm"}))
    one, other = (step_specs(task, {"big": model}) for model in models)
    assert one == other
