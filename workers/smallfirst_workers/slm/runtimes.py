"""What executes a forward pass: torch, the reference, or OpenVINO, which is faster.

Both take the same arrays and give the same array back. Which one a model uses, and at what
precision, is the catalogue's choice; `benchmarks/slm_runtimes.py` measures what it costs.
"""

import functools
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import structlog
from numpy.typing import NDArray

from smallfirst.catalogue import Model
from smallfirst_workers.errors import ConversionError
from smallfirst_workers.slm.model_folder import ModelFolder

Precision = Literal["float32", "bfloat16"]
Ids = NDArray[np.int64]
States = NDArray[np.float32]

#: Flags of processors that multiply bfloat16 in hardware (x86, x86 with tiles, Arm).
_BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})

log = structlog.get_logger()


class Runtime(Protocol):
    """A model that is ready to compute."""

    @property
    def name(self) -> str:
        """What executes, and at what precision: `openvino-bfloat16`."""

    def forward(self, input_ids: Ids, attention_mask: Ids) -> States:
        """Compute one forward pass on the CPU.

        Args:
            input_ids: `(batch, sequence)`, padded on the right.
            attention_mask: `(batch, sequence)`, 1 for a token and 0 for padding.

        Returns:
            float32. An encoder's last hidden states `(batch, sequence, hidden)`; for a model with
            a classifier of its own, logits: `(batch, labels)` of a text, or `(batch, sequence,
            labels)` of its tokens.
        """


def load_runtime(folder: ModelFolder, model: Model, *, cache: Path, threads: int) -> Runtime:
    """Load a model into the runtime that the catalogue names.

    Where OpenVINO cannot take the model it runs in torch, with a warning: slower is better than
    not at all, and the answers are the same.

    Raises:
        ModelError: When torch cannot load it either.
    """
    precision = resolve_precision(model.precision)
    if model.runtime == "openvino":
        try:
            return _openvino(folder, precision, cache=cache, threads=threads)
        except ConversionError as err:
            log.warning(
                "model.conversion_failed",
                model=folder.name,
                reason=err.reason,
                consequence="it runs in torch, which is slower",
                remedy="set `runtime: torch` on the model to say so",
            )
    return _torch(folder, precision, threads=threads)


def resolve_precision(asked: str) -> Precision:
    """Settle `auto`: bfloat16 where the processor multiplies it in hardware, else float32."""
    if asked == "auto":
        return "bfloat16" if _BFLOAT16_FLAGS & processor_flags() else "float32"
    return "bfloat16" if asked == "bfloat16" else "float32"


@functools.cache
def processor_flags() -> frozenset[str]:
    """The processor's features as Linux names them; none where it does not say."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    named = (line.partition(":")[2] for line in lines if line.startswith(("flags", "Features")))
    return frozenset(next(named, "").split())


def _openvino(folder: ModelFolder, precision: Precision, *, cache: Path, threads: int) -> Runtime:
    # Imported when asked for, as torch below: a process pays for the runtime it uses.
    from smallfirst_workers.slm.openvino_runtime import OpenVinoRuntime  # noqa: PLC0415

    return OpenVinoRuntime.load(folder, precision=precision, cache=cache, threads=threads)


def _torch(folder: ModelFolder, precision: Precision, *, threads: int) -> Runtime:
    from smallfirst_workers.slm.torch_runtime import TorchRuntime  # noqa: PLC0415

    return TorchRuntime.load(folder, precision=precision, threads=threads)
