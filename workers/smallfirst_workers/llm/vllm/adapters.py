"""LoRA adapters of a large model: what is checked before vLLM sees them, and what it is told.

They lie in folders in the manner of peft: `adapter_config.json` beside `adapter_model.safetensors`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from smallfirst_workers.errors import ModelError

_CONFIG = "adapter_config.json"
_WEIGHTS = "adapter_model.safetensors"
#: Largest ranks that vLLM can make room for. Source: MaxLoRARanks in vllm/config/lora.py, 0.32.
_ROOMS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
#: The most adapters whose requests share a step; each takes room beside the model's weights.
_MAX_AT_ONCE = 8


def adapter_arguments(name: str, adapters: Mapping[str, str]) -> dict[str, Any]:
    """What vLLM is told at its start, so that it has room for these adapters.

    Args:
        name: Of the model, for errors.
        adapters: Folders by adapter name.

    Raises:
        ModelError: When an adapter cannot be served.
    """
    if not adapters:
        return {}
    ranks = [_rank(name, adapter, Path(folder)) for adapter, folder in adapters.items()]
    return {
        "enable_lora": True,
        "max_loras": min(len(adapters), _MAX_AT_ONCE),
        "max_cpu_loras": len(adapters),
        "max_lora_rank": next(room for room in _ROOMS if room >= max(ranks)),
    }


def adapter_requests(adapters: Mapping[str, str]) -> dict[str, Any]:
    """How a request names each adapter to vLLM: `LoRARequest` by adapter name.

    The number of an adapter is its place among the names in their order, from 1.
    """
    if not adapters:
        return {}
    from vllm.lora.request import LoRARequest  # noqa: PLC0415 - vLLM takes seconds to import

    return {
        adapter: LoRARequest(adapter, number, adapters[adapter])
        for number, adapter in enumerate(sorted(adapters), start=1)
    }


def _rank(name: str, adapter: str, folder: Path) -> int:
    """The largest rank of an adapter's matrices."""
    if not (folder / _WEIGHTS).is_file():
        reason = f"has no {_WEIGHTS} (pickled weights can run code)"
        raise _refused(name, adapter, reason)
    try:
        about = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
        rank = max(int(each) for each in (about["r"], *(about.get("rank_pattern") or {}).values()))
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as err:
        raise _refused(name, adapter, f"has no {_CONFIG} that says its rank `r`") from err
    if not 1 <= rank <= _ROOMS[-1]:
        raise _refused(name, adapter, f"is of rank {rank}; vLLM takes 1 to {_ROOMS[-1]}")
    return rank


def _refused(name: str, adapter: str, reason: str) -> ModelError:
    return ModelError(name, f"cannot use adapters.{adapter}, which {reason}")
