"""Which keys of a catalogue name files and folders, and where those are. Pure.

The catalogue is plain data here, whatever else may be wrong with it.
"""

from collections.abc import Iterator
from contextlib import suppress
from os.path import abspath
from pathlib import Path
from typing import Any, Final

from smallfirst.catalogue.yaml_tree import Place

_FOLDERS: Final = ("./", "../", "/", "~")


def model_paths(data: Any) -> dict[Place, str]:
    """Find the folders and files that models name, as they are written, by the key that does."""
    return dict(_of_models(data))


def row_paths(data: Any) -> dict[Place, str]:
    """Find the files of rows that tasks name: their `examples`, and their audits' `golden`."""
    return dict(_of_tasks(data))


def absolute_path(written: str, base: Path) -> Path:
    """Make a path absolute without following symlinks, which Kubernetes swaps under a catalogue.

    Args:
        written: As the catalogue has it.
        base: The catalogue's folder.
    """
    folder = Path(written)
    with suppress(RuntimeError):
        folder = folder.expanduser()
    return Path(abspath(base / folder))  # noqa: PTH100 - `resolve` follows symlinks


def _of_models(data: Any) -> Iterator[tuple[Place, str]]:
    for name, model in _mappings(data, "models").items():
        for key in ("source", "ca_file"):
            if _is_path(model.get(key)):
                yield ("models", name, key), model[key]
        adapters = model.get("adapters")
        for adapter, folder in adapters.items() if isinstance(adapters, dict) else ():
            if _is_path(folder):
                yield ("models", name, "adapters", adapter), folder


def _of_tasks(data: Any) -> Iterator[tuple[Place, str]]:
    for name, task in _mappings(data, "tasks").items():
        audit = task.get("audit")
        if isinstance(task.get("examples"), str):
            yield ("tasks", name, "examples"), task["examples"]
        if isinstance(audit, dict) and isinstance(audit.get("golden"), str):
            yield ("tasks", name, "audit", "golden"), audit["golden"]


def _is_path(source: Any) -> bool:
    """Whether it is a path, and not a model's name somewhere else."""
    return isinstance(source, str) and (source in {".", ".."} or source.startswith(_FOLDERS))


def _mappings(data: Any, key: str) -> dict[str, dict[str, Any]]:
    """Find the mappings under one of the catalogue's keys."""
    entries = data.get(key) if isinstance(data, dict) else None
    pairs = entries.items() if isinstance(entries, dict) else ()
    return {name: entry for name, entry in pairs if isinstance(entry, dict)}
