"""Signatures of Ed25519, verified by the program `openssl` where no package is there to do it."""

import subprocess
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from smallfirst.errors import AuditLogError

#: What stands before the 32 bytes of a public key. Source: RFC 8410, section 4.
_DER_PREFIX: Final = bytes.fromhex("302a300506032b6570032100")
_COMMAND: Final = (
    *("openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-rawin"),
    *("-inkey", "key.der", "-in", "text", "-sigfile", "signature"),
)
_REMEDY: Final = "install OpenSSL 3, or pip install 'smallfirst[audit-log]'"


def has_signed(public: bytes, signature: bytes, text: bytes) -> bool:
    """Ask openssl whether a key has signed a text.

    Raises:
        AuditLogError: When there is none, or it does not know this kind of signature.
    """
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "key.der").write_bytes(_DER_PREFIX + public)
        (folder / "text").write_bytes(text)
        (folder / "signature").write_bytes(signature)
        done = None
        with suppress(FileNotFoundError):
            done = subprocess.run(_COMMAND, cwd=folder, capture_output=True, check=False)  # noqa: S603 - ours
    if done is None:
        raise AuditLogError("verifying", "needs what verifies signatures", _REMEDY)
    if done.returncode == 0:
        return True
    if b"Signature Verification Failure" in done.stdout + done.stderr:
        return False
    said = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()
    raise AuditLogError("openssl", f"cannot verify: {said[0] if said else 'failed'}", _REMEDY)
