"""Files that one process adds to while another takes lines out of them: each has the file alone.

Whoever takes lines out puts a new file in the old one's place. So whoever has waited for the lock
may have that of a file that is gone, and asks again.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal


@contextmanager
def locked(path: Path, mode: Literal["ab", "r+b"]) -> Iterator[BinaryIO]:
    """Open a file to which nobody else who locks it writes until it is closed.

    Args:
        path: Of the file.
        mode: To add to it, where it is made if it is not there; or to read it and replace it.

    Raises:
        OSError: When it cannot be opened, written or locked.
    """
    while True:
        with path.open(mode) as opened:
            fcntl.flock(opened, fcntl.LOCK_EX)
            if _is_at(path, opened.fileno()):
                yield opened
                return


def _is_at(path: Path, descriptor: int) -> bool:
    """Whether an open file is the one that has this name now."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
