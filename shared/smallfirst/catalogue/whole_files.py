"""Files that others read while they are written: nobody sees half of one."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def write_whole(path: Path, content: str) -> None:
    """Write a file beside its place, and then move it there.

    Raises:
        OSError: When its folder cannot be written to.
    """
    half = _half_of(path)
    half.write_text(content, encoding="utf-8")
    half.replace(path)


@contextmanager
def replaced(path: Path) -> Iterator[BinaryIO]:
    """Write what a file is to be instead, beside it; at the end it takes its place, or not at all.

    Whoever may read and write the file may do so afterwards: its owner and mode stay.

    Raises:
        OSError: When its folder cannot be written to, or the file is another user's.
    """
    half, was = _half_of(path), path.stat()
    try:
        with half.open("wb") as file:
            os.fchmod(file.fileno(), stat.S_IMODE(was.st_mode))
            now = os.fstat(file.fileno())
            if (now.st_uid, now.st_gid) != (was.st_uid, was.st_gid):
                os.fchown(file.fileno(), was.st_uid, was.st_gid)
            yield file
            file.flush()
            os.fsync(file.fileno())
        half.replace(path)
    finally:
        half.unlink(missing_ok=True)


def _half_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}")
