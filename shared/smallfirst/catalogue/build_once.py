"""Folders that are dear to make and cheap to share: made once, by one of many processes.

It owns the lock and the atomic move. What goes into a folder is its caller's business.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_UNFINISHED = ".building-"


def build_once(folder: Path, build: Callable[[Path], None]) -> bool:
    """Make `folder` if it is not there yet, by calling `build` on an empty folder beside it.

    Processes that start together wait for the first of them and then find its work. A folder
    appears whole or not at all: its files reach the disk before it gets its name, so neither a kill
    nor a power cut leaves half of one.

    Returns:
        Whether this call built it.
    """
    if folder.is_dir():
        return False
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(folder.parent / ".lock"):
        if folder.is_dir():
            return False
        _sweep(folder.parent)
        _build_beside(folder, build)
    return True


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on `path`; the kernel drops it if this process dies."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _sweep(parent: Path) -> None:
    """Remove what a killed builder left. Only the holder of the lock builds here, so it is ours."""
    for leftover in parent.glob(f"{_UNFINISHED}*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _build_beside(folder: Path, build: Callable[[Path], None]) -> None:
    with tempfile.TemporaryDirectory(prefix=_UNFINISHED, dir=folder.parent) as beside:
        made = Path(beside) / "made"
        made.mkdir()
        build(made)
        for path in (*made.iterdir(), made):
            _flush(path)
        made.rename(folder)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
