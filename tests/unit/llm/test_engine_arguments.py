"""What vLLM is told of a model: every key of the catalogue arrives, under vLLM's name for it."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from smallfirst.catalogue import Model
from smallfirst_workers.errors import ModelError
from smallfirst_workers.llm.vllm.adapters import adapter_arguments
from smallfirst_workers.llm.vllm.engine_arguments import ONE_PROCESS, engine_arguments
from smallfirst_workers.processor import processor_flags

FOLDER = Path("/models/big")


def told(**keys: Any) -> dict[str, Any]:
    """Tell vLLM of a model with these keys in the catalogue."""
    return engine_arguments("big", FOLDER, Model(source=str(FOLDER), tier="llm", **keys))


def make_adapter(folder: Path, config: str, *, weights: str = "adapter_model.safetensors") -> str:
    """Make the files of an adapter that are looked at before vLLM sees it."""
    folder.mkdir()
    (folder / weights).touch()
    (folder / "adapter_config.json").write_text(config)
    return str(folder)


def make_ranked(folder: Path, *ranks: int) -> dict[str, str]:
    """Make adapters of these ranks."""
    return {
        f"rank{rank}": make_adapter(folder / str(rank), json.dumps({"r": rank})) for rank in ranks
    }


@pytest.mark.parametrize(
    ("key", "value", "argument", "arrives"),
    [
        ("precision", "float16", "dtype", "float16"),
        ("quantization", "fp8", "quantization", "fp8"),
        ("tensor_parallel_size", 4, "tensor_parallel_size", 4),
        ("gpu_memory_utilization", 0.5, "gpu_memory_utilization", 0.5),
        ("max_tokens", 4096, "max_model_len", 4096),
        ("runner", "pooling", "runner", "pooling"),
    ],
)
def test_each_key_arrives(key: str, value: Any, argument: str, arrives: Any) -> None:
    """One key of the catalogue changes its own argument, and from another value."""
    assert told(**{key: value})[argument] == arrives
    assert told().get(argument) != arrives


def test_what_is_left_out_is_left_to_vllm() -> None:
    """A key that the catalogue does not have overrides no default and nothing in the files."""
    arguments = told()

    assert not arguments.keys() & {"quantization", "gpu_memory_utilization", "max_model_len"}
    assert not arguments.keys() & {"enable_lora", "pooler_config"}
    assert arguments["model"] == str(FOLDER)


def test_bfloat16_is_not_emulated() -> None:
    """Left to itself, a processor without it computes in float32; what is asked for is done."""
    has_it = bool(processor_flags() & {"avx512_bf16", "amx_bf16", "bf16"})

    assert told()["dtype"] == ("auto" if has_it or torch.cuda.is_available() else "float32")
    assert told(precision="bfloat16")["dtype"] == "bfloat16"


def test_one_process_computes_on_a_processor() -> None:
    """As on one GPU; a model that is cut into parts has a process for each of them."""
    name = "distributed_executor_backend"

    assert told().get(name) == (None if torch.cuda.is_available() else ONE_PROCESS)
    assert name not in told(tensor_parallel_size=2)


@pytest.mark.parametrize("runner", ["generate", "pooling"])
def test_no_code_and_no_pickles_of_a_model_are_run(runner: str) -> None:
    """However a model is run, its folder brings weights and nothing that executes."""
    arguments = told(runner=runner)

    assert arguments["trust_remote_code"] is False
    assert arguments["load_format"] == "safetensors"


@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
def test_a_model_that_pools_reads_each_text_whole(pooling: str) -> None:
    """States are pooled as the catalogue says, none of them taken from a cache."""
    arguments = told(runner="pooling", pooling=pooling)

    assert arguments["pooler_config"]["seq_pooling_type"] == pooling.upper()
    assert arguments["pooler_config"]["use_activation"] is False
    assert arguments["enable_prefix_caching"] is False


@pytest.mark.parametrize(
    ("ranks", "room"), [((1,), 1), ((8,), 8), ((9,), 16), ((4, 300), 320), ((512,), 512)]
)
def test_there_is_room_for_the_largest_adapter(
    tmp_path: Path, ranks: tuple[int, ...], room: int
) -> None:
    """The room is the least that vLLM has for the highest rank."""
    arguments = told(adapters=make_ranked(tmp_path, *ranks))

    assert arguments["enable_lora"] is True
    assert arguments["max_lora_rank"] == room


def test_many_adapters_are_held_and_some_run_at_once(tmp_path: Path) -> None:
    """Every adapter stays in memory; what runs side by side is bounded."""
    arguments = adapter_arguments("big", make_ranked(tmp_path, *range(1, 31)))

    assert arguments["max_cpu_loras"] == 30
    assert 1 < arguments["max_loras"] < 30


def test_the_rank_of_one_matrix_counts(tmp_path: Path) -> None:
    """An adapter may be of a higher rank in places."""
    config = json.dumps({"r": 8, "rank_pattern": {"q_proj": 60}})

    assert told(adapters={"law": make_adapter(tmp_path / "law", config)})["max_lora_rank"] == 64


@pytest.mark.parametrize(
    ("config", "rule"),
    [
        ("{}", "has no adapter_config.json that says its rank"),
        ('{"r": "many"}', "has no adapter_config.json that says its rank"),
        ("[]", "has no adapter_config.json that says its rank"),
        ('{"r": 513}', "is of rank 513; vLLM takes 1 to 512"),
        ('{"r": 0}', "is of rank 0; vLLM takes 1 to 512"),
    ],
)
def test_a_broken_adapter_is_refused_by_name(tmp_path: Path, config: str, rule: str) -> None:
    """The error names the model, the adapter and the rule."""
    adapters = {"law": make_adapter(tmp_path / "law", config)}

    with pytest.raises(ModelError) as refused:
        told(adapters=adapters)

    assert str(refused.value).startswith(f"models.big cannot use adapters.law, which {rule}")


def test_an_adapter_with_pickled_weights_is_refused(tmp_path: Path) -> None:
    """Weights are safetensors or they are none, for a pickle can run code."""
    folder = make_adapter(tmp_path / "law", '{"r": 8}', weights="adapter_model.bin")

    with pytest.raises(ModelError, match=r"models\.big cannot use adapters\.law, .*safetensors"):
        told(adapters={"law": folder})


@pytest.mark.parametrize("has_metrics", [True, False])
def test_vllm_measures_itself_only_where_somebody_reads(has_metrics: bool) -> None:  # noqa: FBT001
    """To keep its metrics takes time at each step."""
    model = Model(source=str(FOLDER), tier="llm")
    arguments = engine_arguments("big", FOLDER, model, has_metrics=has_metrics)
    assert arguments["disable_log_stats"] is not has_metrics
