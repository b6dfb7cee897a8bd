"""Files with their modification stamps, and one hash of all."""

import hashlib
import os
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

#: Modification time (nanoseconds), size (bytes) and inode: cheap to ask for, and different after an
#: edit, a rename over the file, or a swap of the symlink that leads to it. A change in place of the
#: same size within one tick of the file system's clock (about 4 ms) could still go unseen.
Stamp = tuple[int, int, int]


def stamp_of(path: Path) -> Stamp | None:
    """Ask for a file's stamp, through symlinks; None where there is no such file."""
    try:
        return _stamp(path.stat())
    except OSError:
        return None


def _stamp(stat: os.stat_result) -> Stamp:
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


class StampedFiles:
    """Reads files, each once, and remembers their stamps as of before the first byte was read.

    So a change during the reading differs from the stamp, and shows at the next look.
    """

    def __init__(self) -> None:
        self._stamps: dict[Path, Stamp | None] = {}
        self._contents: dict[Path, bytes] = {}

    @property
    def stamps(self) -> MappingProxyType[Path, Stamp | None]:
        """The stamp of every file asked for, None for one that could not be read."""
        return MappingProxyType(self._stamps)

    @property
    def revision(self) -> str:
        """Hash of all contents in the order of reading, 12 hex digits; names do not count."""
        whole = hashlib.sha256()
        for path in self._stamps:
            content = self._contents.get(path)
            whole.update(b"-" if content is None else hashlib.sha256(content).digest())
        return whole.hexdigest()[:12]

    def read(self, path: Path, max_bytes: int) -> bytes:
        """Read a file whole.

        Raises:
            OSError: When it cannot be read.
            ValueError: When it holds more than `max_bytes`.
        """
        if path not in self._contents:
            self._stamps[path] = None
            with path.open("rb") as file:
                self._stamps[path] = _stamp(os.fstat(file.fileno()))
                self._contents[path] = _read_bounded(file, max_bytes)
        return self._contents[path]


def _read_bounded(file: BinaryIO, max_bytes: int) -> bytes:
    content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise ValueError(f"holds more than {max_bytes:,} bytes")
    return content
