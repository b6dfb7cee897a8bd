"""Checkpoints of the audit log are signed notes as others write and read them."""

import re
from pathlib import Path

import pytest
from tlog_scales import tlog
from tlog_scales.signing import Vkey

from smallfirst.audit_log.notes import Checkpoint, SigningKey, VerifierKey, make_key, read_key
from smallfirst.errors import AuditLogError

KEY = SigningKey("example.com/log", bytes(range(32)))
STATE = Checkpoint("example.com/log", 20852163, bytes(range(1, 33)))


def test_a_checkpoint_is_taken_by_a_verifier_that_is_not_ours() -> None:
    """With the verifier key as we print it."""
    found = tlog.Checkpoint.from_text(KEY.signed(STATE).decode())
    found.verify(Vkey.from_string(KEY.verifier.line))
    assert (found.origin, found.size, found.root_hash) == (STATE.origin, STATE.size, STATE.root)


def test_the_example_of_the_specification_is_read() -> None:
    """Its signature is of a key that it does not tell, so that it is not taken."""
    line = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    key = VerifierKey.read(line)
    assert key.line == line
    note = (
        "If you think cryptography is the answer to your problem,\n"
        "then you don't know what your problem is.\n\n"
        "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqd"
        "otpRZb6KE6RyyBwJnAM=\n"
    )
    with pytest.raises(AuditLogError, match="no signed checkpoint"):
        key.opened(note.encode())


def test_every_changed_byte_of_a_checkpoint_is_seen() -> None:
    """Whichever it is; and so is one that is gone, or one more."""
    note = KEY.signed(STATE)
    assert KEY.verifier.opened(note) == STATE
    for at in range(len(note)):
        for changed in (
            note[:at] + bytes([note[at] ^ 1]) + note[at + 1 :],
            note[:at] + note[at + 1 :],
            note[:at] + b"0" + note[at:],
        ):
            if changed != note:
                with pytest.raises(AuditLogError):
                    KEY.verifier.opened(changed)


def test_a_checkpoint_may_have_further_signatures() -> None:
    """As of a witness; and ours alone is asked for."""
    witness = SigningKey("witness.example", bytes(32)).signed(STATE).decode().splitlines()[-1]
    note = KEY.signed(STATE) + f"{witness}\n".encode()
    assert KEY.verifier.opened(note) == STATE
    with pytest.raises(AuditLogError, match="not signed by"):
        SigningKey("example.com/log", bytes(32)).verifier.opened(note)


def test_a_key_is_read_back_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    """And none is ever overwritten."""
    path = tmp_path / "key"
    key = make_key("example.com/log", path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_key(path).verifier == key.verifier
    assert VerifierKey.read(key.verifier.line) == key.verifier
    assert key.seed.hex() not in repr(key)
    with pytest.raises(AuditLogError, match="cannot be made"):
        make_key("example.com/log", path)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "ä", "a" * 129])
def test_a_name_that_no_note_may_have_is_refused(tmp_path: Path, name: str) -> None:
    """Before a file is made."""
    with pytest.raises(AuditLogError, match="the log's name"):
        make_key(name, tmp_path / "key")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", ["", "nonsense", "PRIVATE+KEY+a+00000000+AQ==", "a+b+c"])
def test_what_is_no_key_is_refused(tmp_path: Path, content: str) -> None:
    """Of either kind, without a word of it in the message."""
    path = tmp_path / "key"
    path.write_text(content)
    with pytest.raises(AuditLogError, match="holds no signing key") as refused:
        read_key(path)
    assert not content or content not in str(refused.value)
    with pytest.raises(AuditLogError, match=re.escape("NAME+HASH+KEY")):
        VerifierKey.read(content)
