"""Signed notes and checkpoints: what a log or a bundle says of itself, and with which key.

A verifier key is one line, `NAME+HASH+KEY`, that may stand anywhere; the signing key is a file of
one line that only the log's writer reads. Both are written as Go's `golang.org/x/mod/sumdb/note`
writes them.
Source: https://c2sp.org/signed-note, https://c2sp.org/tlog-checkpoint
"""

import base64
import binascii
import os
import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from smallfirst.audit_log import openssl
from smallfirst.audit_log.merkle import HASH_BYTES
from smallfirst.errors import AuditLogError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

#: What a log may be called: as a URL without its scheme.
NAME_PATTERN: Final = r"^[!-*,-~]{1,128}$"
_ED25519: Final = b"\x01"
_PRIVATE: Final = "PRIVATE+KEY+"
_DASH: Final = "\u2014"


@dataclass(frozen=True)
class Checkpoint:
    """The state of a log: its name, how many records it has, and the root of their tree."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{_written(self.root)}\n"


@dataclass(frozen=True)
class VerifierKey:
    """By which it is known that a log has signed a checkpoint."""

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        """By which a signature says whose it is."""
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:4]

    @property
    def line(self) -> str:
        """As it is written."""
        return f"{self.name}+{self.key_id.hex()}+{_written(_ED25519 + self.public)}"

    @classmethod
    def read(cls, line: str) -> "VerifierKey":
        """Read a line.

        Raises:
            AuditLogError: When it is no Ed25519 verifier key.
        """
        name, _, rest = line.strip().partition("+")
        told_id, _, key = rest.partition("+")
        kind_and_key = _read(key)
        found = cls(name, kind_and_key[1:])
        is_sound = kind_and_key[:1] == _ED25519 and len(found.public) == HASH_BYTES
        if not (is_sound and re.fullmatch(NAME_PATTERN, name) and told_id == found.key_id.hex()):
            raise AuditLogError("the verifier key", "is no NAME+HASH+KEY of Ed25519", _KEY_REMEDY)
        return found

    def opened(self, note: bytes) -> Checkpoint:
        """Read a checkpoint that this key has signed.

        Raises:
            AuditLogError: When it is no checkpoint, or not signed by this key.
        """
        text = text_of(note)
        found = None if text is None else _checkpoint_of(text.removesuffix("\n"))
        if found is None:
            raise AuditLogError("checkpoint", "is no signed checkpoint", _NOTE_REMEDY)
        if not self.has_signed(note):
            raise AuditLogError("checkpoint", f"is not signed by {self.line}", _NOTE_REMEDY)
        return found

    def has_signed(self, note: bytes) -> bool:
        """Whether this key has signed a note.

        Raises:
            AuditLogError: When nothing is installed that can tell.
        """
        text = text_of(note)
        if text is None:
            return False
        signatures = note.decode().removeprefix(f"{text}\n")
        return any(self._is_ours(line, text) for line in signatures.splitlines())

    def _is_ours(self, line: str, signed: str) -> bool:
        parts = line.split(" ")
        if len(parts) != 3 or parts[:2] != [_DASH, self.name]:
            return False
        signature = _read(parts[2])
        if signature[:4] != self.key_id:
            return False
        return _has_signed(self.public, signature[4:], signed.encode())


@dataclass(frozen=True, repr=False)
class SigningKey:
    """By which a log signs; nobody else may have it."""

    name: str
    seed: bytes

    @property
    def verifier(self) -> VerifierKey:
        """The key by which others see what was signed."""
        return VerifierKey(self.name, self._key.public_key().public_bytes_raw())

    @property
    def _key(self) -> "Ed25519PrivateKey":
        key: Ed25519PrivateKey = _ed25519().Ed25519PrivateKey.from_private_bytes(self.seed)
        return key

    def signed(self, checkpoint: Checkpoint) -> bytes:
        """The checkpoint as a signed note."""
        return self.signed_text(checkpoint.text)

    def signed_text(self, text: str) -> bytes:
        """A text of whole lines, none of them empty, as a signed note."""
        signature = self.verifier.key_id + self._key.sign(text.encode())
        return f"{text}\n{_DASH} {self.name} {_written(signature)}\n".encode()


def text_of(note: bytes) -> str | None:
    """The text of a signed note, whoever has signed it; None where it is none."""
    text, blank, signatures = note.decode("utf-8", "replace").rpartition("\n\n")
    is_whole = bool(blank) and note.endswith(b"\n")
    return f"{text}\n" if is_whole and note == f"{text}\n\n{signatures}".encode() else None


def named_verifier(given: str) -> VerifierKey:
    """The verifier key that is given: itself, or a file that holds it, or its signing key.

    Raises:
        AuditLogError: When it is none of them.
    """
    if "+" in given:
        return VerifierKey.read(given)
    path = Path(given)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise AuditLogError(given, f"cannot be read: {error.strerror}", _KEY_REMEDY) from error
    is_signing_key = raw.startswith(_PRIVATE.encode())
    text = raw.decode("utf-8", "replace")
    return read_key(path).verifier if is_signing_key else VerifierKey.read(text)


def make_key(name: str, path: Path) -> SigningKey:
    """Make a signing key and write it to a file that only its owner reads.

    Raises:
        AuditLogError: When the name is none, or the file is there already or cannot be written.
    """
    if not re.fullmatch(NAME_PATTERN, name):
        rule = "must be 1 to 128 characters of ASCII, without spaces and `+`"
        raise AuditLogError("the log's name", rule, "such as example.com/smallfirst")
    key = SigningKey(name, os.urandom(HASH_BYTES))
    line = f"{_PRIVATE}{name}+{key.verifier.key_id.hex()}+{_written(_ED25519 + key.seed)}\n"
    try:
        place = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise AuditLogError(
            str(path), f"cannot be made: {error.strerror}", "name another"
        ) from error
    with os.fdopen(place, "w") as file:
        file.write(line)
    return key


def read_key(path: Path) -> SigningKey:
    """Read a signing key.

    Raises:
        AuditLogError: When there is none.
    """
    try:
        line = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise AuditLogError(str(path), "cannot be read", _KEY_REMEDY) from error
    name, _, rest = line.removeprefix(_PRIVATE).partition("+")
    told_id, _, written = rest.partition("+")
    key = SigningKey(name, _read(written)[1:])
    is_sound = line.startswith(_PRIVATE) and len(key.seed) == HASH_BYTES
    if not is_sound or key.verifier.key_id.hex() != told_id:
        raise AuditLogError(str(path), "holds no signing key of Ed25519", _KEY_REMEDY)
    return key


_KEY_REMEDY: Final = "smallfirst audit-log key FILE makes one, and prints its verifier key"
_NOTE_REMEDY: Final = "see who can write to the log's folder, and bring back a copy of it"


def _ed25519() -> Any:
    """What signs; not every fleet has it.

    Raises:
        AuditLogError: When it is not installed.
    """
    try:
        from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415 - see above
    except ModuleNotFoundError as error:
        remedy = "pip install 'smallfirst[audit-log]'"
        raise AuditLogError("signing", "needs what makes signatures", remedy) from error
    return ed25519


def _has_signed(public: bytes, signature: bytes, text: bytes) -> bool:
    """Verify a signature; where no package can, the program `openssl` does."""
    try:
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - see above
    except ModuleNotFoundError:
        return openssl.has_signed(public, signature, text)
    try:
        _ed25519().Ed25519PublicKey.from_public_bytes(public).verify(signature, text)
    except InvalidSignature:
        return False
    return True


def _checkpoint_of(text: str) -> Checkpoint | None:
    lines = text.split("\n")
    if len(lines) != 3 or not re.fullmatch(r"0|[1-9][0-9]{0,18}", lines[1]) or not lines[0]:
        return None
    root = _read(lines[2])
    return Checkpoint(lines[0], int(lines[1]), root) if len(root) == HASH_BYTES else None


def _written(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _read(written: str) -> bytes:
    """What is written in base 64, the one way in which it may be; else nothing."""
    try:
        raw = base64.b64decode(written, validate=True)
    except (binascii.Error, ValueError):
        return b""
    return raw if _written(raw) == written else b""
