"""The manifest: each file of a bundle with its size and SHA-256, in a text that is signed. Pure.

`sha256sum --check` reads it too, and takes the lines that begin with `#` for comments.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from smallfirst.errors import BundleError

#: What the manifest itself is called; the first file of every bundle.
MANIFEST: Final = "manifest.txt"
_TITLE: Final = "# smallfirst bundle 1"
_SIZE: Final = re.compile(r"# (0|[1-9][0-9]{0,15}) bytes")
_LINE: Final = re.compile(r"([0-9a-f]{64})  (.+)")
_REMEDY: Final = "carry the bundle here anew"


@dataclass(frozen=True, order=True)
class BundledFile:
    """One file of a bundle: its path there, its size in bytes, and its SHA-256 in 64 hex digits."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """Every file of a bundle but the manifest, in the order in which they stand there."""

    files: tuple[BundledFile, ...]

    @property
    def num_bytes(self) -> int:
        """The size of all files together."""
        return sum(file.size for file in self.files)

    @property
    def text(self) -> str:
        """What is signed."""
        lines = (f"# {file.size} bytes\n{file.sha256}  {file.path}" for file in self.files)
        return "\n".join([_TITLE, *lines, ""])

    @classmethod
    def of(cls, files: tuple[BundledFile, ...]) -> "Manifest":
        """Put files in their order.

        Raises:
            BundleError: When a path is one that no bundle may hold.
        """
        ordered = tuple(sorted(files))
        for path, reason in _path_problems(tuple(file.path for file in ordered)):
            raise BundleError(path, reason, "give the file another name")
        return cls(ordered)

    @classmethod
    def read(cls, text: str) -> "Manifest":
        """Read what was signed.

        Raises:
            BundleError: When it is not as a manifest is written, to the byte.
        """
        found = cls(tuple(_files_in(text.split("\n"))))
        if found.text != text:
            raise BundleError(MANIFEST, "is no manifest of a bundle of format 1", _NEWER)
        for path, reason in _path_problems(tuple(file.path for file in found.files)):
            raise BundleError(MANIFEST, f"{path!r} {reason}", _REMEDY)
        return found


_NEWER: Final = "unpack it by the smallfirst that wrote it, or a newer one"


def _files_in(lines: list[str]) -> Iterator[BundledFile]:
    """Read as far as lines have the form; whatever has not is missed when it is written again."""
    for told, line in zip(lines[1::2], lines[2::2], strict=False):
        size, entry = _SIZE.fullmatch(told), _LINE.fullmatch(line)
        if size is None or entry is None:
            return
        yield BundledFile(entry[2], int(size[1]), entry[1])


def _path_problems(paths: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Say which paths no bundle may hold, and why: they could escape, or hide each other."""
    for path in paths:
        if not is_inner(path):
            yield path, "must be a path below the bundle, of printable characters without `\\`"
        elif path == MANIFEST:
            yield path, "is the manifest's own name"
    for before, after in pairwise(paths):
        if before >= after:
            yield after, "stands there twice, or out of order"
    folders = {parent for path in paths for parent in _folders_of(path)}
    for path in folders.intersection(paths):
        yield path, "is a file and a folder at once"


def is_inner(path: str) -> bool:
    """Whether a path stays below where it is put, and is written in the one way it can be.

    Printable also means no lone surrogates, no line ends and no marks that turn writing around.
    """
    parts = path.split("/")
    is_plain = path.isprintable() and "\\" not in path
    return is_plain and not any(part in {"", ".", ".."} for part in parts)


def _folders_of(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path
