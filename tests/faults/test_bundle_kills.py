"""A kill of whoever unpacks a bundle leaves nothing that could be taken for one."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.support.waiting import WaitUntil

from smallfirst.audit_log.notes import SigningKey
from smallfirst.bundling.archive import END
from smallfirst.bundling.unpacking import unpack
from smallfirst.bundling.writing import Content, write_bundle

KEY = SigningKey("example.com/bundles", bytes(range(32)))
CONTENTS = (Content("bundle.json", b"{}"), Content("weights", bytes(3_000_000)))


def test_a_kill_in_mid_unpack_leaves_no_bundle(tmp_path: Path, wait_until: WaitUntil) -> None:
    """All but the last byte has come; the next one who unpacks it finds an empty place."""
    whole, slow, place = tmp_path / "b.tar", tmp_path / "slow", tmp_path / "place" / "fleet"
    write_bundle(whole, CONTENTS, KEY)
    os.mkfifo(slow)
    order = ("unbundle", str(slow), "--key", KEY.verifier.line, "--to", str(place))
    with subprocess.Popen([sys.executable, "-m", "smallfirst", *order]) as unpacking:
        with slow.open("wb") as to:
            to.write(whole.read_bytes()[: -len(END)])
            to.flush()
            wait_until(
                lambda: _size(place.parent / ".fleet.partial" / "weights") == 3_000_000,
                description="the last file is written",
                timeout=60,
            )
            unpacking.send_signal(signal.SIGKILL)
        unpacking.wait()
    assert not place.exists()
    assert unpack(whole, KEY.verifier, place).is_new
    assert [path.name for path in place.parent.iterdir()] == ["fleet"]


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
