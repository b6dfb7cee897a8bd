"""Signatures are verified where no package is there to do it, and never taken unseen."""

import shutil
from pathlib import Path

import pytest

from smallfirst.audit_log import openssl
from smallfirst.errors import AuditLogError

#: Source: RFC 8032, section 7.1, test 2.
PUBLIC = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
SIGNATURE = bytes.fromhex(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)
TEXT = b"\x72"

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not here")


@needs_openssl
def test_the_example_of_the_specification_is_taken() -> None:
    """And nothing that differs from it in one byte, or is no signature at all."""
    assert openssl.has_signed(PUBLIC, SIGNATURE, TEXT)
    assert not openssl.has_signed(PUBLIC, SIGNATURE, b"\x73")
    assert not openssl.has_signed(PUBLIC, SIGNATURE[:-1] + b"\x01", TEXT)
    assert not openssl.has_signed(PUBLIC[:-1] + b"\x0d", SIGNATURE, TEXT)
    assert not openssl.has_signed(PUBLIC, b"", TEXT)


def test_where_nothing_verifies_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the program, and with one that does not know this kind of signature."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AuditLogError, match="needs what verifies signatures; install OpenSSL 3"):
        openssl.has_signed(PUBLIC, SIGNATURE, TEXT)
    program = tmp_path / "openssl"
    program.write_text("#!/bin/sh\necho 'pkeyutl: Unknown option: -rawin' >&2\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(AuditLogError, match="cannot verify: pkeyutl: Unknown option"):
        openssl.has_signed(PUBLIC, SIGNATURE, TEXT)
