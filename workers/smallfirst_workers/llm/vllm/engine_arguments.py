"""What vLLM is told of a model when it starts: the catalogue's words put into vLLM's."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from smallfirst.catalogue import Model
from smallfirst.catalogue.encoder_files import pooling_of
from smallfirst_workers.llm.vllm.adapters import adapter_arguments
from smallfirst_workers.llm.vllm.memory import MemoryTrimExtension
from smallfirst_workers.processor import resolve_precision

#: vLLM's executor that computes in the engine's own process.
ONE_PROCESS = "vllm.v1.executor.uniproc_executor.UniProcExecutor"


def engine_arguments(
    name: str, folder: Path, model: Model, *, has_metrics: bool = False
) -> dict[str, Any]:
    """What vLLM is told of a model. No code of the model's own is ever run.

    `gpu_memory_utilization` counts on GPUs. On a processor the cache has the size that the
    environment variable VLLM_CPU_KVCACHE_SPACE says, and vLLM heeds no share beside it.

    Args:
        name: Of the model, for errors.
        folder: Its files.
        model: What the catalogue says of it.
        has_metrics: Whether somebody reads vLLM's own metrics; to keep them costs every step.

    Raises:
        ModelError: When one of its adapters cannot be served.
    """
    wanted = {
        "quantization": model.quantization,
        "gpu_memory_utilization": model.gpu_memory_utilization,
        "max_model_len": model.max_tokens,
    }
    return {
        "model": str(folder),
        "trust_remote_code": False,
        "load_format": "safetensors",
        "dtype": _precision(model.precision),
        "tensor_parallel_size": model.tensor_parallel_size,
        # Compilation takes minutes at each start and pays on GPUs, where it is switched on.
        "enforce_eager": not has_gpu(),
        "disable_log_stats": not has_metrics,
        "worker_extension_cls": _path_of(MemoryTrimExtension),
        **{argument: value for argument, value in wanted.items() if value is not None},
        **adapter_arguments(name, model.adapters),
        **_runner_arguments(folder, model),
        **_executor_arguments(model),
    }


def _executor_arguments(model: Model) -> dict[str, str]:
    """Have one process compute on a processor, as on a GPU, where vLLM would start one more.

    It does so to bind threads to cores, which it is told not to do. By its short name the executor
    is refused. Source: CpuPlatform.check_and_update_config in vllm/platforms/cpu.py, 0.32.
    """
    if has_gpu() or model.tensor_parallel_size > 1:
        return {}
    return {"distributed_executor_backend": ONE_PROCESS}


def _path_of(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _runner_arguments(folder: Path, model: Model) -> dict[str, Any]:
    if model.runner == "generate":
        # Without free white space a model that has lost its way cannot fill its bound with blanks.
        # Only the engine's own setting is heeded, not that of a request, and only by a backend
        # that is named. Source: vllm/v1/structured_output/backend_xgrammar.py, 0.32.
        form = {"backend": "xgrammar", "disable_any_whitespace": True}
        return {
            "runner": "generate",
            "enable_prefix_caching": True,
            "structured_outputs_config": form,
        }
    pooling = pooling_of(model, folder)
    return {
        "runner": "pooling",
        # States that are read from the cache are not there to be pooled.
        "enable_prefix_caching": False,
        # vLLM makes a `PoolerConfig` of it; without activation, vectors keep their length.
        "pooler_config": {"seq_pooling_type": pooling.upper(), "use_activation": False},
    }


def _precision(asked: str) -> str:
    """Settle `auto` where no GPU is: a processor without bfloat16 emulates it, slowly."""
    is_emulated = not has_gpu() and resolve_precision("auto") == "float32"
    return "float32" if asked == "auto" and is_emulated else asked


def has_gpu() -> bool:
    """Whether vLLM will run on a GPU; where torch is not installed, nor is vLLM."""
    if find_spec("torch") is None:
        return False
    import torch  # noqa: PLC0415 - heavy, and only here where vLLM brings it anyway

    return bool(torch.cuda.is_available())
