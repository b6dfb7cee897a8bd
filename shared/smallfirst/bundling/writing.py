"""Writing a bundle: of the same files and the same key the same bytes, as a stream."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import file_digest, sha256
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import BinaryIO, Final

from smallfirst.audit_log.notes import SigningKey
from smallfirst.bundling.archive import END, header, padding
from smallfirst.bundling.manifest import MANIFEST, BundledFile, Manifest
from smallfirst.errors import BundleError

_CHUNK_BYTES: Final = 1 << 20


@dataclass(frozen=True)
class Content:
    """What goes into a bundle: its path there, and its bytes or the file that has them."""

    path: str
    source: Path | bytes

    @contextmanager
    def opened(self) -> Iterator[BufferedReader | BytesIO]:
        """Open it for reading.

        Raises:
            BundleError: When it cannot be read.
        """
        if isinstance(self.source, bytes):
            yield BytesIO(self.source)
            return
        try:
            with self.source.open("rb") as file:
                yield file
        except OSError as error:
            reason = f"cannot be read: {error.strerror}"
            raise BundleError(str(self.source), reason, "let this user read it") from error


def write_bundle(out: Path, contents: Iterable[Content], key: SigningKey) -> Manifest:
    """Write a bundle; until it is whole it lies beside its place.

    Every file is read twice: for its hash, which stands before it, and for its bytes.

    Raises:
        BundleError: When a file cannot be read, changes meanwhile, or has a name that cannot be.
    """
    found = {each.path: each for each in contents}
    manifest = Manifest.of(tuple(_entry(each) for each in found.values()))
    half = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        with half.open("wb") as to:
            note = key.signed_text(manifest.text)
            _put(to, MANIFEST, len(note), BytesIO(note))
            for file in manifest.files:
                _put_file(to, file, found[file.path])
            to.write(END)
            to.flush()
            os.fsync(to.fileno())
        half.replace(out)
    finally:
        half.unlink(missing_ok=True)
    return manifest


def _entry(content: Content) -> BundledFile:
    with content.opened() as file:
        digest = file_digest(file, "sha256").hexdigest()
        return BundledFile(content.path, file.seek(0, os.SEEK_END), digest)


def _put_file(to: BinaryIO, file: BundledFile, content: Content) -> None:
    with content.opened() as source:
        if _put(to, file.path, file.size, source) != file.sha256:
            reason = "changed while the bundle was written"
            raise BundleError(file.path, reason, "write the bundle again")


def _put(to: BinaryIO, path: str, size: int, source: BinaryIO) -> str:
    """Write one file with what stands around it; return its SHA-256."""
    to.write(header(path, size))
    whole, left = sha256(), size
    while left and (chunk := source.read(min(left, _CHUNK_BYTES))):
        whole.update(chunk)
        left -= len(chunk)
        to.write(chunk)
    to.write(padding(size))
    return whole.hexdigest()
