"""Files that others read while they are written: nobody sees half of one."""

import os
from pathlib import Path


def write_whole(path: Path, content: str) -> None:
    """Write a file beside its place, and then move it there.

    Raises:
        OSError: When its folder cannot be written to.
    """
    half = path.with_name(f".{path.name}.{os.getpid()}")
    half.write_text(content, encoding="utf-8")
    half.replace(path)
