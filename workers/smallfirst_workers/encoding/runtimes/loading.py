"""Loading what executes a forward pass: the runtime that the catalogue names, or its fallback.

All take the same arrays and give the same array back. Which one a model uses, and at what
precision, is the catalogue's choice; `benchmarks/slm_runtimes.py` measures what it costs.
"""

from pathlib import Path
from pkgutil import resolve_name

import structlog

from smallfirst.catalogue import Model
from smallfirst.catalogue.runtimes import RUNTIMES
from smallfirst_workers.encoding.model_folder import ModelFolder
from smallfirst_workers.encoding.runtimes.base import LoadRuntime, Runtime
from smallfirst_workers.errors import ConversionError, ModelError
from smallfirst_workers.processor import resolve_precision

log = structlog.get_logger()


def load_runtime(folder: ModelFolder, model: Model, *, cache: Path, threads: int) -> Runtime:
    """Load a model into the runtime that the catalogue names.

    Where that cannot take the model its fallback does, with a warning: slower is better than not at
    all, and the answers are the same.

    Raises:
        ModelError: When none can load it, or what one needs is not installed.
    """
    precision, name = resolve_precision(model.precision), model.runtime
    while True:
        load = _loader(name, folder.name)
        try:
            return load(folder, precision=precision, cache=cache, threads=threads)
        except ConversionError as err:
            fallback = RUNTIMES[name].fallback
            if fallback is None:
                raise
            log.warning(
                "model.conversion_failed",
                model=folder.name,
                reason=err.reason,
                consequence=f"it runs in {fallback}, which is slower",
                remedy=f"set `runtime: {fallback}` on the model to say so",
            )
            name = fallback
            if not RUNTIMES[name].has_int8 and precision == "int8":
                precision = resolve_precision("auto")


def _loader(name: str, model: str) -> LoadRuntime:
    """Import a runtime when it is asked for: a process pays for the one it uses."""
    implementation = RUNTIMES[name].implementation
    try:
        load: LoadRuntime = resolve_name(implementation.path)
    except ImportError as err:
        reason = f"needs a package that is missing: {implementation.install_hint}"
        raise ModelError(model, reason) from err
    return load
