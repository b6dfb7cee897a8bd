"""The faster runtime: the model converted once, kept on disk, and compiled for this processor."""

import sys
import warnings
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from queue import LifoQueue
from typing import Any

import numpy as np

from smallfirst.catalogue.build_once import build_once
from smallfirst_workers.encoding.model_folder import ModelFolder
from smallfirst_workers.encoding.runtimes.base import PASSES_AT_ONCE, Ids, States
from smallfirst_workers.encoding.runtimes.int8 import check_near, made_by_nncf, quantise
from smallfirst_workers.errors import ConversionError
from smallfirst_workers.processor import Precision, resolve_precision

#: What a folder of a conversion holds; its weights lie beside it.
_GRAPH = "model.xml"
#: Changes whenever a conversion would write another graph for the same model and versions.
_RECIPE = 1
#: For how many shapes of a pass the compiled kernels are kept, about a megabyte each. The default,
#: 5,000, let a process grow by a gigabyte in a minute of mixed lengths, and was no faster.
_MAX_SHAPES = 128
#: How far a converted model may be from torch in any number of its float32 output, which is of the
#: order of 1. Summing in another order accounts for 1e-5.
_TOLERANCE = 1e-3


def import_openvino() -> Any:
    """Import OpenVINO without its telemetry.

    Merely importing it sends an event to its makers and writes into the home directory, and there
    is no setting against that. It does without where the telemetry package is absent, so this
    process has none. Source: openvino/tools/ovc/telemetry_utils.py.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino  # noqa: PLC0415 - after the line above

    return openvino


@dataclass(frozen=True)
class OpenVinoRuntime:
    """A compiled model; see `Runtime`. It computes `PASSES_AT_ONCE`, each by a request of its own.

    Attributes:
        name: What executes, and at what precision.
        free: The requests that compute no pass; the last that did so comes first, since what it
            needs is in the processor's caches.
    """

    name: str
    free: "LifoQueue[Any]"

    @classmethod
    def load(
        cls, folder: ModelFolder, *, precision: Precision, cache: Path, threads: int
    ) -> "OpenVinoRuntime":
        """Load a model, converting it first if no process has yet.

        The graph keeps its weights in float32 whatever the precision: they are rounded when it is
        compiled, and one file serves every kind of processor. Only int8 has a graph of its own.

        Raises:
            ConversionError: When OpenVINO cannot take the model.
            ModelError: When its files do not make a model, or int8 lacks a package.
        """
        made_by = "-".join(version(name) for name in ("openvino", "torch", "transformers"))
        name = f"{folder.content_hash[:16]}-{made_by}-{_RECIPE}"
        made = cache / "openvino" / name
        build_once(made, lambda to: _convert(folder, to / _GRAPH))
        if precision != "int8":
            return cls(f"openvino-{precision}", _requests(made / _GRAPH, precision, threads))
        smaller = cache / "openvino-int8" / f"{name}-{made_by_nncf(folder)}"
        build_once(smaller, lambda to: _quantise(folder, made / _GRAPH, to / _GRAPH, cache))
        # What is not multiplied in eight bits, sums and norms, is as precise as elsewhere.
        rest = resolve_precision("auto")
        return cls(f"openvino-int8-{rest}", _requests(smaller / _GRAPH, rest, threads))

    def forward(self, input_ids: Ids, attention_mask: Ids) -> States:
        """Compute one forward pass; see `Runtime.forward`."""
        request = self.free.get()
        try:
            # Copied, since the request writes its next output over this one.
            return np.array(request.infer([input_ids, attention_mask])[0], np.float32)
        finally:
            self.free.put(request)


def _requests(graph: Path, precision: Precision, threads: int) -> "LifoQueue[Any]":
    """Make a request for each pass that may run at once; each has so many threads of its own."""
    compiled = _compile(graph, precision, threads, streams=PASSES_AT_ONCE)
    free: LifoQueue[Any] = LifoQueue()
    for _ in range(PASSES_AT_ONCE):
        free.put(compiled.create_infer_request())
    return free


def _compile(graph: Path, precision: Precision, threads: int, *, streams: int = 1) -> Any:
    openvino = import_openvino()
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": streams,
        "INFERENCE_NUM_THREADS": threads * streams,
        "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[precision],
        # Pinned, several processes of one thread each would all sit on the same core.
        "ENABLE_CPU_PINNING": False,
        "CPU_RUNTIME_CACHE_CAPACITY": _MAX_SHAPES,
    }
    return openvino.Core().compile_model(graph, "CPU", settings)


def _convert(folder: ModelFolder, to: Path) -> None:
    """Trace the model in torch, write its graph, and prove that it still is the model."""
    import torch  # noqa: PLC0415 - only the process that converts pays for it

    from smallfirst_workers.encoding.runtimes.torch_runtime import load_module  # noqa: PLC0415

    openvino = import_openvino()
    module = load_module(folder)
    example = tuple(map(torch.from_numpy, _probe(folder, 2, 16)))
    try:
        with torch.inference_mode(), warnings.catch_warnings():
            # A trace fixes what the model decides in Python, and says so; `_check` finds out
            # whether it matters. What is deprecated inside torch and transformers is theirs.
            warnings.simplefilter("ignore")
            graph = openvino.convert_model(module, example_input=example)
        openvino.save_model(graph, to, compress_to_fp16=False)
        request = _compile(to, "float32", 1).create_infer_request()
    except MemoryError:
        raise
    except Exception as err:
        raise ConversionError(folder.name, f"cannot be converted: {type(err).__name__}") from err
    _check(folder, module, request)


def _quantise(folder: ModelFolder, graph: Path, to: Path, cache: Path) -> None:
    """Write the same model with weights and activations of eight bits, and prove that it is."""
    openvino = import_openvino()
    made = quantise(folder, openvino.Core().read_model(graph), cache=cache)
    openvino.save_model(made.graph, to, compress_to_fp16=False)
    before, after = (_compile(path, "float32", 1).create_infer_request() for path in (graph, to))
    wanted, found = (
        [np.array(request.infer(list(row))[0], np.float32) for row in made.rows]
        for request in (before, after)
    )
    check_near(folder, wanted, found)


def _check(folder: ModelFolder, module: Any, request: Any) -> None:
    """Compare with torch on shapes that the trace has not seen."""
    import torch  # noqa: PLC0415

    for rows, length in ((1, 3), (3, 7), (5, 40)):
        ids, mask = _probe(folder, rows, length)
        with torch.inference_mode():
            wanted = module(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()
        found = request.infer([ids, mask])[0]
        if found.shape != wanted.shape:
            raise ConversionError(folder.name, "has another shape of output once converted")
        if wanted.shape[:2] == mask.shape:  # (batch, sequence, width): padding means nothing
            found, wanted = found[mask > 0], wanted[mask > 0]
        if not np.allclose(found, wanted, atol=_TOLERANCE, rtol=_TOLERANCE):
            raise ConversionError(folder.name, "answers differently once converted")


def _probe(folder: ModelFolder, rows: int, length: int) -> tuple[Ids, Ids]:
    """Ids from the vocabulary and a mask with padding, both `(rows, length)`."""
    words = max(1, int(folder.config.get("vocab_size", 100)) - 5)
    length = min(length, folder.max_positions or length)
    ids = np.arange(rows * length, dtype=np.int64).reshape(rows, length) * 7 % words + 5
    mask = np.ones_like(ids)
    mask[1:, length // 2 + 1 :] = 0
    return ids, mask
