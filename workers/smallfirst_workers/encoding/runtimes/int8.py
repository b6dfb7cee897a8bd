"""A converted model with weights and activations of eight bits, by NNCF.

How wide each activation ranges is seen on texts that come with the product, so that the graph is a
function of the model alone: whatever tasks a worker serves, it answers by the same one.
"""

import contextlib
import io
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import numpy as np

from smallfirst.catalogue.implementations import Implementation
from smallfirst_workers.encoding.model_folder import ModelFolder
from smallfirst_workers.encoding.runtimes.base import Ids, States
from smallfirst_workers.encoding.tokenising import Reader
from smallfirst_workers.errors import ConversionError, ModelError

#: Changes whenever another graph would be written of the same model and versions: by other texts.
_RECIPE: Final = 1
#: How many of the texts, one after another, are read once more as one long text.
_TEXTS_TOGETHER: Final = 11
#: How far the graph's numbers may be from those it was made of, relative to these, over all texts.
#: MiniLM is at 0.08 (in bfloat16 at 0.006); where it is much more, a layer does not survive it.
TOLERANCE: Final = 0.25

_NNCF: Final = Implementation("nncf:quantize", ("nncf",), ("int8",))

Row = tuple[Ids, Ids]


@dataclass(frozen=True)
class Quantised:
    """A graph of eight bits, and how far it is from the one it was made of.

    Attributes:
        graph: Of OpenVINO.
        rows: Ids and mask, `(1, tokens)` each, that it was made by.
    """

    graph: Any
    rows: list[Row]


def made_by_nncf(folder: ModelFolder) -> str:
    """Name what decides which graph is made of a model's graph.

    Raises:
        ModelError: When NNCF is not installed.
    """
    if _NNCF.missing_packages():
        rule = f"`precision: int8` needs a package that is missing: {_NNCF.install_hint}"
        raise ModelError(folder.name, rule)
    return f"{version('nncf')}-{_RECIPE}"


def quantise(folder: ModelFolder, graph: Any, *, cache: Path) -> Quantised:
    """Quantise a graph of OpenVINO.

    Raises:
        ModelError: When the tokenizer cannot be had.
        ConversionError: When NNCF cannot take the model.
    """
    import nncf  # noqa: PLC0415 - only the process that converts needs it

    rows = list(_rows(Reader.load(folder, cache=cache, max_tokens=None)))
    try:
        with _silent():
            made = nncf.quantize(
                graph,
                nncf.Dataset([list(row) for row in rows]),
                model_type=nncf.ModelType.TRANSFORMER,
                preset=nncf.QuantizationPreset.MIXED,
                subset_size=len(rows),
            )
    except MemoryError:
        raise
    except Exception as err:
        reason = f"cannot be quantised: {type(err).__name__}"
        raise ConversionError(folder.name, reason) from err
    return Quantised(made, rows)


def check_near(folder: ModelFolder, wanted: list[States], found: list[States]) -> None:
    """See that a quantised model still is the model.

    Args:
        folder: The model.
        wanted: Its outputs for some rows, before.
        found: The same, after.

    Raises:
        ConversionError: When it is not.
    """
    error = sum(float(np.square(b - a).sum()) for a, b in zip(wanted, found, strict=True))
    size = sum(float(np.square(a).sum()) for a in wanted)
    if not error <= TOLERANCE**2 * size:
        share = np.sqrt(error / size) if size else np.inf
        reason = f"answers differently in int8: its numbers are off by {share:.0%}"
        raise ConversionError(folder.name, reason)


def _rows(reader: Reader) -> Iterator[Row]:
    """The texts as the model reads them, each alone and some of them as one."""
    for reading in reader.read(list(_texts())):
        for window in reading.windows:
            ids = reader.row(reading, window)[None]  # (1, tokens)
            yield ids, np.ones_like(ids)


def _texts() -> Iterator[str]:
    room = files("smallfirst_workers.encoding.runtimes")
    lines = (room / "texts_for_int8.txt").read_text("utf-8").splitlines()
    yield from lines
    for first in range(0, len(lines), _TEXTS_TOGETHER):
        yield " ".join(lines[first : first + _TEXTS_TOGETHER])


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Keep NNCF's progress bars and tables out of a worker's log."""
    logger = logging.getLogger("nncf")
    level, logger.level = logger.level, logging.ERROR
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.level = level
