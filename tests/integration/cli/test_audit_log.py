"""`smallfirst audit-log`: a log kept by the process itself, proven, verified, and closed."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.ledgers import KEYS, ended
from tests.support.waiting import WaitUntil
from tlog_scales.backend import LocalBackend
from tlog_scales.reader import TilesReader
from tlog_scales.signing import Vkey

Smallfirst = Callable[..., Any]
NAME = "example.com/smallfirst"


@pytest.fixture
def key(smallfirst: Smallfirst, tmp_path: Path) -> str:
    """The verifier key of a log whose signing key lies beside it."""
    done = smallfirst("audit-log", "key", tmp_path / "key", "--name", NAME)
    assert done.code == 0
    return str(done.out.strip())


@pytest.fixture
def kept(
    redis: Any,
    key: str,
    environment: dict[str, str],
    tmp_path: Path,
    wait_until: WaitUntil,
) -> Iterator[Path]:
    """A log of three results, kept by its process until that was told to go."""
    told = {
        "SMALLFIRST_AUDIT_LOG": str(tmp_path / "log"),
        "SMALLFIRST_AUDIT_LOG_KEY": str(tmp_path / "key"),
        "SMALLFIRST_AUDIT_LOG_SECONDS": "0.05",
    }
    assert key
    program = [sys.executable, "-m", "smallfirst.audit_log"]
    with subprocess.Popen(program, env={**environment, **told}) as keeper:
        try:
            wait_until(lambda: redis.exists(KEYS.log), description="the log is open")
            for job_id in ("a1", "b1", "c1"):
                ended(redis, job_id)
            wait_until(lambda: redis.xlen(KEYS.log) == 0, description="all is taken up")
        finally:
            keeper.terminate()
    assert keeper.returncode == 0
    yield tmp_path / "log"
    redis.delete(KEYS.log, KEYS.log_head)


def test_a_log_is_kept_proven_and_verified(
    smallfirst: Smallfirst, redis: Any, kept: Path, key: str
) -> None:
    """By us, and its checkpoint by others; what is broken is named, and ends with 1."""
    of = ("--log", kept, "--key", key)
    checkpoint = TilesReader(LocalBackend(kept)).get_checkpoint()
    checkpoint.verify(Vkey.from_string(key))
    assert (checkpoint.origin, checkpoint.size) == (NAME, 3)
    done = smallfirst("audit-log", "verify", *of, "--since", kept / "checkpoint")
    assert (done.code, done.out) == (0, f"whole: 3 records of {NAME}\n")
    shown = smallfirst("audit-log", "show", "b1", *of, "--json").json
    written = smallfirst("audit-log", "show", "b1", *of).out
    assert written.startswith(f"record {shown['number']}, salt {shown['salt']}\n{{\n")
    assert json.loads(written.partition("\n")[2]) == shown["record"]
    assert (shown["number"], shown["record"]["status"]) == (1, "answered")
    proof = smallfirst("audit-log", "proof", "b1", *of).out
    assert proof.startswith("c2sp.org/tlog-proof@v1\nextra ")
    assert proof.endswith((kept / "checkpoint").read_text())
    assert smallfirst("audit-log", "proof", "z9", *of).code == 1
    bundle = kept / "tile/entries/000.p/3"
    bundle.write_bytes(bundle.read_bytes().replace(b"answered", b"answereD", 1))
    assert "broken on the way to record 0" in smallfirst("audit-log", "show", "a1", *of).err
    done = smallfirst("audit-log", "verify", "--log", kept, "--json")
    assert done.code == 1
    assert done.json["breaks"][0]["record"] == 0
    assert smallfirst("audit-log", "close").code == 0
    assert not redis.exists(KEYS.log, KEYS.log_head)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("keep",), "audit-log.key: cannot be read; smallfirst audit-log key FILE makes one"),
        (("verify", "--key", "nonsense+1+2"), "the verifier key: is no NAME+HASH+KEY"),
        (("verify",), "verifier-key: cannot be read: No such file or directory"),
        (("key", "k", "--name", "a b"), "the log's name: must be 1 to 128 characters"),
    ],
)
def test_what_is_missing_is_said(
    smallfirst: Smallfirst, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    """With what to do, in a line."""
    where = {"SMALLFIRST_AUDIT_LOG": str(tmp_path), "SMALLFIRST_AUDIT_LOG_KEY": "audit-log.key"}
    done = smallfirst("audit-log", *arguments, **where)
    assert done.code in {1, 2}
    assert said in done.err
