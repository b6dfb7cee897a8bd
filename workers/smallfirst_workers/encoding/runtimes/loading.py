"""What executes a forward pass: torch, the reference, or OpenVINO, which is faster.

Both take the same arrays and give the same array back. Which one a model uses, and at what
precision, is the catalogue's choice; `benchmarks/slm_runtimes.py` measures what it costs.
"""

from pathlib import Path

import structlog

from smallfirst.catalogue import Model
from smallfirst_workers.encoding.model_folder import ModelFolder
from smallfirst_workers.encoding.runtimes.base import Runtime
from smallfirst_workers.errors import ConversionError
from smallfirst_workers.processor import Precision, resolve_precision

log = structlog.get_logger()


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


def _openvino(folder: ModelFolder, precision: Precision, *, cache: Path, threads: int) -> Runtime:
    # Imported when asked for, as torch below: a process pays for the runtime it uses.
    from smallfirst_workers.encoding.runtimes.openvino_runtime import OpenVinoRuntime  # noqa: PLC0415

    return OpenVinoRuntime.load(folder, precision=precision, cache=cache, threads=threads)


def _torch(folder: ModelFolder, precision: Precision, *, threads: int) -> Runtime:
    from smallfirst_workers.encoding.runtimes.torch_runtime import TorchRuntime  # noqa: PLC0415

    return TorchRuntime.load(folder, precision=precision, threads=threads)
