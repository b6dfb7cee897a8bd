"""What is said of a bundle that was verified, unpacked or installed."""

from collections.abc import Iterator
from typing import Final

from smallfirst.audit_log.notes import VerifierKey
from smallfirst.bundling.installing import Installed
from smallfirst.bundling.unpacking import Unpacked

#: The parts that are told of, in the order of lines.
PARTS: Final = ("catalogue", "chart", "images")


def lines_of(bundle: Unpacked, installed: Installed | None, verifier: VerifierKey) -> Iterator[str]:
    """Say what a bundle holds and where it is now."""
    files, size = len(bundle.manifest.files), bundle.manifest.num_bytes
    yield f"whole: {files:,} files of {size:,} bytes, signed by {verifier.name}"
    if bundle.folder is not None:
        yield f"{'unpacked' if bundle.is_new else 'there already'}: {bundle.folder}"
    for part in PARTS:
        if (place := bundle.place_of(part)) is not None:
            yield f"{part}: {place}"
    if (hub := bundle.place_of("hub")) is not None:
        yield f"models of the hub: export HF_HUB_CACHE={hub}"
    if installed is not None:
        yield f"{'installed' if installed.is_new else 'installed already'}: {installed.command}"
        for line in installed.missing:
            yield f"missing: {line}"
