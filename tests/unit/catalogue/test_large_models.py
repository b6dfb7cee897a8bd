"""What the catalogue says of large models: where they run, how they are asked, what is refused."""

from typing import Any

import pytest
from pydantic import ValidationError

from smallfirst.catalogue import Catalogue, Model, ModelStep, Pool, place
from smallfirst.catalogue.placement import pools_of
from smallfirst.errors import CatalogueError
from smallfirst.jobs import Tier

ENDPOINT = "http://127.0.0.1:8000/v1"


def catalogue(step: dict[str, Any], *, kind: str = "classify", **models: Any) -> Catalogue:
    """Make a catalogue with one task, of one step."""
    answer: dict[str, dict[str, Any]] = {
        "classify": {"labels": {"up": "", "down": ""}},
        "multilabel": {"labels": {"up": "", "down": ""}},
        "tag": {"labels": {"up": "", "down": ""}},
        "extract": {"fields": {"total": {"type": "number"}}},
    }
    return Catalogue.model_validate(
        {
            "version": 1,
            "pools": {"gpu": {"tier": "llm", "max_parameters": "8B"}},
            "models": {
                "mini": {"source": "bundled:minilm"},
                "big": {"source": "./big", "tier": "llm", "adapters": {"law": "./law"}},
                "pooled": {"source": "./big", "tier": "llm", "runner": "pooling"},
                **models,
            },
            "tasks": {"task": {"kind": kind, **answer.get(kind, {}), "cascade": [step]}},
        }
    )


@pytest.mark.parametrize(
    ("model", "rule"),
    [
        ({"source": "bundled:minilm", "endpoint": ENDPOINT}, "endpoint: only a model of tier llm"),
        (
            {"source": "bundled:minilm", "tensor_parallel_size": 2},
            "tensor_parallel_size: only a model of",
        ),
        ({"source": "bundled:minilm", "precision": "float16"}, "runs in float32, bfloat16 or int8"),
        (
            {"source": "bundled:minilm", "precision": "int8", "runtime": "torch"},
            "precision: int8 is computed by `runtime: openvino`",
        ),
        ({"source": "./x", "tier": "llm", "precision": "int8"}, "is packed by `quantization`"),
        ({"source": "bundled:minilm", "pooling": "last"}, "pooling"),
        ({"source": "x", "tier": "llm", "endpoint": "vllm:8000"}, "endpoint"),
        ({"source": "x", "tier": "llm", "endpoint": "http://me:secret@vllm/v1"}, "endpoint"),
        (
            {"source": "x", "tier": "llm", "endpoint": ENDPOINT, "quantization": "fp8"},
            "quantization: is said where it runs",
        ),
        (
            {"source": "./x", "tier": "llm", "max_concurrency": 4},
            "max_concurrency: is said with an `endpoint`",
        ),
        ({"source": "./x", "tier": "llm", "gpu_memory_utilization": 1.5}, "gpu_memory_utilization"),
        ({"source": "./x", "tier": "llm", "adapters": {"law": "owner/law"}}, "must be a folder"),
        (
            {"source": "x", "tier": "llm", "endpoint": "http://vllm/v1", "ca_file": "/ca.pem"},
            "ca_file: verifies nothing",
        ),
        (
            {"source": "x", "tier": "llm", "endpoint": "https://vllm/v1", "ca_file": "ca.pem"},
            "ca_file: must be the path of a file",
        ),
        ({"source": "./x", "tier": "llm", "ca_file": "/ca.pem"}, "ca_file: is said with an"),
    ],
)
def test_a_model_says_only_what_its_place_heeds(model: dict[str, Any], rule: str) -> None:
    """What nobody would read is refused, and the key is named."""
    with pytest.raises(ValidationError, match=rule):
        Model.model_validate(model)


@pytest.mark.parametrize(
    ("kind", "step", "rule"),
    [
        ("classify", {"model": "mini", "vote": 3}, r"vote: only a model that writes"),
        ("classify", {"model": "big", "vote": 3}, "without `think` every vote"),
        ("classify", {"model": "big", "adapter": "lav"}, "did you mean 'law'"),
        (
            "classify",
            {"model": "pooled", "think": {"tokens": 9}},
            "think: only a model that",
        ),
        ("extract", {"model": "pooled"}, "whose runner is `pooling` cannot write"),
        ("tag", {"model": "pooled"}, "one vector a text, which cannot answer a tag task"),
        ("embed", {"model": "big"}, "wants a vector"),
        ("classify", {"model": "big", "think": {"tokens": 0}}, "think"),
        ("classify", {"rule": {"find": ["ssn"]}, "vote": 2}, "vote"),
    ],
)
def test_a_step_wants_what_its_model_can_do(kind: str, step: dict[str, Any], rule: str) -> None:
    """A step that its model could not serve is refused before any job is."""
    with pytest.raises(ValidationError, match=rule):
        catalogue(step, kind=kind)


def test_more_computing_for_an_answer_is_one_line() -> None:
    """Thinking and voting are said in the step."""
    step = catalogue({"model": "big", "think": {"tokens": 64}, "vote": 5}).tasks["task"].cascade[0]
    assert isinstance(step, ModelStep)
    assert step.think is not None
    assert (step.think.tokens, step.vote) == (64, 5)
    assert ModelStep(model="big").vote == 1


def test_remote_models_are_placed_on_remote_pools_only() -> None:
    """What runs elsewhere takes no GPU's place, whatever its size."""
    pools = {
        "gpu": Pool(tier=Tier.LLM, max_parameters=8_000_000_000),
        "outside": Pool(tier=Tier.LLM, remote=True),
    }
    assert place(0, Tier.LLM, pools) == "gpu"
    assert place(0, Tier.LLM, pools, is_remote=True) == "outside"
    assert place(9_000_000_000, Tier.LLM, pools) is None


def test_a_remote_model_without_a_remote_pool_is_refused() -> None:
    """The error says which pool is missing."""
    far = {"source": "gpt", "tier": "llm", "endpoint": ENDPOINT}
    made = catalogue({"model": "mini"}, far=far)
    only_far = made.model_copy(update={"models": {"far": made.models["far"]}})
    with pytest.raises(CatalogueError, match="no remote llm pool"):
        pools_of(only_far)


@pytest.mark.parametrize(
    "pool", [{"tier": "slm", "remote": True, "max_parameters": "1M"}, {"tier": "llm"}]
)
def test_a_pool_says_how_large_its_models_may_be_unless_they_run_elsewhere(
    pool: dict[str, Any],
) -> None:
    """A pool without a size, or a remote pool of small models, is a mistake."""
    with pytest.raises(ValidationError, match=r"max_parameters|remote"):
        Pool.model_validate(pool)


def test_a_remote_model_draws_its_labels_and_thinks_as_it_is_set_up() -> None:
    """So it may vote on labels, and how it reasons is not said here."""
    far = {"source": "big", "tier": "llm", "endpoint": ENDPOINT}
    step = catalogue({"model": "far", "vote": 3}, far=far).tasks["task"].cascade[0]
    assert isinstance(step, ModelStep)
    assert step.vote == 3
    with pytest.raises(ValidationError, match="think: whether a model that runs elsewhere"):
        catalogue({"model": "far", "think": {"tokens": 50}}, far=far)
