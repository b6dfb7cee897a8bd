"""Laying a bundle out in a folder: beside its place, and moved there when every byte was right."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from stat import S_ISDIR
from typing import Any, BinaryIO, Final

from smallfirst.audit_log.notes import VerifierKey
from smallfirst.bundling.manifest import MANIFEST, BundledFile, Manifest
from smallfirst.bundling.reading import nowhere, opened, read_files, read_manifest
from smallfirst.errors import BundleError

#: Says where in a bundle everything is.
DESCRIPTION: Final = "bundle.json"
#: What must be left on the disk beside the bundle's files, in bytes.
_SPARE_BYTES: Final = 64_000_000


@dataclass(frozen=True)
class Unpacked:
    """A bundle that was verified.

    Attributes:
        manifest: Every file with its size and hash.
        folder: Where its files are; None where it was only looked at.
        is_new: Whether they were put there just now.
    """

    manifest: Manifest
    folder: Path | None
    is_new: bool

    def place_of(self, part: str) -> Path | None:
        """Where a part of the bundle is: `catalogue`, `chart`, `images`, `hub` or `requirements`.

        None where this bundle has none.
        """
        if self.folder is None:
            return None
        told: dict[str, Any] = json.loads((self.folder / DESCRIPTION).read_bytes())
        path = told.get(part)
        return self.folder / path if isinstance(path, str) else None


def verify_bundle(file: Path, verifier: VerifierKey) -> Unpacked:
    """Look at every byte of a bundle, and keep nothing.

    Raises:
        BundleError: When one is not as it was signed.
    """
    with _opened(file) as bundle:
        _, manifest = read_manifest(bundle, verifier)
        read_files(bundle, manifest, nowhere)
    return Unpacked(manifest, None, is_new=False)


def unpack(file: Path, verifier: VerifierKey, folder: Path) -> Unpacked:
    """Lay a bundle out; where it lies there already, see that it does so whole.

    Nothing stands in the folder before the last byte was verified.

    Raises:
        BundleError: When the bundle is not as it was signed, or the folder holds something else.
    """
    folder = folder.resolve()
    with _opened(file) as bundle:
        raw, manifest = read_manifest(bundle, verifier)
        if _is_taken(folder):
            _check_same(folder, raw, verifier)
            return Unpacked(manifest, folder, is_new=False)
        with _half(folder) as half:
            _check_room(half, manifest)
            read_files(bundle, manifest, lambda entry: _sink(half, entry))
            (half / MANIFEST).write_bytes(raw)
            half.rename(folder)
    return Unpacked(manifest, folder, is_new=True)


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    try:
        bundle = file.open("rb")
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
        raise BundleError(str(file), reason, "name the bundle") from error
    with bundle:
        yield bundle


def _is_taken(folder: Path) -> bool:
    if folder.is_dir():
        return any(folder.iterdir())
    if folder.exists():
        raise BundleError(str(folder), "is no folder", "name another place with --to")
    return False


def _check_same(folder: Path, raw: bytes, verifier: VerifierKey) -> None:
    """See that a folder holds this bundle, each file of it as it was signed."""
    try:
        own = (folder / MANIFEST).read_bytes()
    except OSError:
        own = b""
    if own != raw:
        held = "another bundle" if own else "something else"
        raise BundleError(str(folder), f"holds {held}", "name a new folder with --to")
    for file in Manifest.read(opened(own, verifier)).files:
        if not _is_whole(folder / file.path, file):
            remedy = "name a new folder with --to, or remove this one first"
            raise BundleError(str(folder / file.path), "is not as the bundle has it", remedy)


def _is_whole(path: Path, file: BundledFile) -> bool:
    try:
        with path.open("rb") as opened_file:
            digest = file_digest(opened_file, "sha256").hexdigest()
    except OSError:
        return False
    return digest == file.sha256


@contextmanager
def _half(folder: Path) -> Iterator[Path]:
    """A folder of this process's beside a place, which is removed unless it was moved there.

    What a process that was killed left of one is removed here.
    """
    half = folder.with_name(f".{folder.name}.partial")
    half.mkdir(parents=True, exist_ok=True)
    about = half.lstat()
    if not S_ISDIR(about.st_mode) or about.st_uid != os.geteuid():
        # Whoever owns it could change what was verified.
        raise BundleError(
            str(half), "is not a folder of this user's", "remove it, or name another --to"
        )
    with _locked(half, folder):
        try:
            _empty(half)
            yield half
        except BaseException:
            shutil.rmtree(half, ignore_errors=True)
            raise


@contextmanager
def _locked(half: Path, folder: Path) -> Iterator[None]:
    """Keep a folder to this process, for as long as that lives."""
    lock = os.open(half, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        reason = "is being unpacked by another process"
        raise BundleError(str(folder), reason, "wait until it is done") from error
    try:
        yield
    finally:
        os.close(lock)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _check_room(folder: Path, manifest: Manifest) -> None:
    free = shutil.disk_usage(folder).free
    if free < manifest.num_bytes + _SPARE_BYTES:
        reason = f"has room for {free:,} bytes, and the bundle's files are {manifest.num_bytes:,}"
        raise BundleError(str(folder.parent), reason, "make room, or name another place with --to")


@contextmanager
def _sink(folder: Path, file: BundledFile) -> Iterator[BinaryIO]:
    place = folder / file.path
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("xb") as to:
        yield to
