"""Reading a bundle: the signature first, then every byte behind it, each named by its file."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from hashlib import sha256
from typing import BinaryIO, Final

from smallfirst.audit_log.notes import VerifierKey, text_of
from smallfirst.bundling.archive import BLOCK_BYTES, END, header, name_in, padding, size_in
from smallfirst.bundling.manifest import MANIFEST, BundledFile, Manifest
from smallfirst.errors import BundleError

#: Where a file's content goes, opened when its turn comes; None where it is only looked at.
Sink = Callable[[BundledFile], AbstractContextManager[BinaryIO | None]]
#: The largest manifest that is read: some hundred thousand files.
MAX_MANIFEST_BYTES: Final = 64_000_000
_CHUNK_BYTES: Final = 1 << 20
_REMEDY: Final = "carry the bundle here anew"


def read_manifest(bundle: BinaryIO, verifier: VerifierKey) -> tuple[bytes, Manifest]:
    """Read the manifest at a bundle's beginning, as it stands and as what it says.

    Nothing else of the bundle is believed before this has returned.

    Raises:
        BundleError: When there is none, or this key has not signed it.
    """
    first = bundle.read(BLOCK_BYTES)
    size = size_in(first)
    if name_in(first) != MANIFEST or header(MANIFEST, size) != first:
        raise BundleError("the file", "is no bundle of smallfirst", "see what was carried here")
    if size > MAX_MANIFEST_BYTES:
        raise BundleError(MANIFEST, f"holds more than {MAX_MANIFEST_BYTES:,} bytes", _REMEDY)
    raw = bundle.read(size)
    if len(raw) < size:
        raise BundleError(MANIFEST, "is cut short", _REMEDY)
    _expect(bundle, padding(size), MANIFEST)
    return raw, Manifest.read(opened(raw, verifier))


def opened(note: bytes, verifier: VerifierKey) -> str:
    """Take the text of a signed manifest.

    Raises:
        BundleError: When this key has not signed it.
    """
    text = text_of(note)
    if text is None:
        raise BundleError(MANIFEST, "carries no signature", _REMEDY)
    if not verifier.has_signed(note):
        remedy = "ask who made it for its verifier key; if that is this one, the bundle was changed"
        raise BundleError(MANIFEST, f"is not signed by {verifier.line}", remedy)
    return text


def nowhere(_: BundledFile) -> AbstractContextManager[None]:
    """Keep nothing: to look whether a bundle is whole."""
    return nullcontext()


def read_files(bundle: BinaryIO, manifest: Manifest, sink: Sink) -> None:
    """Read every file behind the manifest, and then the end.

    Args:
        bundle: Stands behind its manifest, and is read to its end.
        manifest: As it was signed.
        sink: Where the contents go. What has gone there counts only once this has returned.

    Raises:
        BundleError: When a byte is not as the manifest has it; it names the file.
    """
    for file in manifest.files:
        _expect_header(bundle, file)
        with sink(file) as to:
            _copy(bundle, file, to)
        _expect(bundle, padding(file.size), file.path)
    _expect_end(bundle)


def _expect_header(bundle: BinaryIO, file: BundledFile) -> None:
    expected = header(file.path, file.size)
    block = bundle.read(len(expected))
    if block == expected:
        return
    found = name_in(block)
    if len(block) < BLOCK_BYTES:
        raise BundleError(file.path, "is missing: the bundle is cut short before it", _REMEDY)
    if found in {"", file.path}:
        reason = "was changed in its header" if found else "is missing: the bundle ends before it"
    else:
        reason = f"is missing, and {found!r} stands in its place"
    raise BundleError(file.path, reason, _REMEDY)


def _copy(bundle: BinaryIO, file: BundledFile, to: BinaryIO | None) -> None:
    content, left = sha256(), file.size
    while left and (chunk := bundle.read(min(left, _CHUNK_BYTES))):
        content.update(chunk)
        left -= len(chunk)
        if to is not None:
            to.write(chunk)
    if left:
        came = f"{file.size - left:,} of its {file.size:,} bytes"
        raise BundleError(file.path, f"is cut short: {came} are there", _REMEDY)
    if content.hexdigest() != file.sha256:
        raise BundleError(file.path, "was changed: it has not the SHA-256 that is signed", _REMEDY)


def _expect(bundle: BinaryIO, what: bytes, path: str) -> None:
    if bundle.read(len(what)) != what:
        raise BundleError(path, "was changed, or cut short, behind its content", _REMEDY)


def _expect_end(bundle: BinaryIO) -> None:
    found = bundle.read(len(END) + 1)
    if found == END:
        return
    name = name_in(found)
    if name and len(found) >= BLOCK_BYTES:
        raise BundleError(name, "is in the bundle, and nobody has signed it", _REMEDY)
    raise BundleError("the bundle", "does not end as it was written", _REMEDY)
