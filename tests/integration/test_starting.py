"""A process that is told to end while it starts ends at once, in a container too."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.waiting import WaitUntil

from smallfirst.process.exit_codes import EXIT_TOLD

CATALOGUE = """
version: 1
pools: {cpu: {tier: slm, max_parameters: 50M}}
models: {minilm: {source: "bundled:minilm"}}
tasks: {similar: {kind: embed, cascade: [{model: minilm}]}}
"""


@pytest.fixture
def worker(tmp_path: Path, redis_url: str) -> "Iterator[subprocess.Popen[bytes]]":
    """Start a worker that has its model still to convert."""
    (tmp_path / "catalogue.yaml").write_text(CATALOGUE)
    own = {
        "SMALLFIRST_CACHE_DIR": str(tmp_path / "cache"),
        "SMALLFIRST_CATALOGUE": str(tmp_path / "catalogue.yaml"),
        "SMALLFIRST_HEALTH_DIR": str(tmp_path / "health"),
        "SMALLFIRST_POOL": "cpu",
        "SMALLFIRST_REDIS_URL": redis_url,
    }
    command = [sys.executable, "-m", "smallfirst_workers"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, env={**os.environ, **own}, stdout=log, stderr=log)
    yield process
    process.kill()
    process.wait()


def handles_sigterm(pid: int) -> bool:
    """Whether a process has a handler of its own for SIGTERM."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (caught,) = (int(line.split()[1], 16) for line in lines if line.startswith("SigCgt"))
    return bool(caught >> (signal.SIGTERM - 1) & 1)


def test_a_worker_that_loads_ends_when_told(
    worker: "subprocess.Popen[bytes]", tmp_path: Path, wait_until: WaitUntil
) -> None:
    """By a handler of its own, since a container's first process gets no signal without one."""
    wait_until((tmp_path / "health" / "alive").exists, description="the worker loads", timeout=60)
    assert handles_sigterm(worker.pid)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == EXIT_TOLD
    assert not (tmp_path / "health" / "ready").exists()
