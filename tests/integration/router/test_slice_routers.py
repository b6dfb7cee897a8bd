"""The routers of several slices in one process: how one that hangs is seen, and one that fails."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from redis import Redis
from tests.support.routers import CATALOGUE
from tests.support.waiting import WaitUntil

from smallfirst.health import ALIVE, Health, why_not_live, why_not_ready
from smallfirst.ledger.slices import keys_of_slices
from smallfirst.process.exit_codes import EXIT_CONFIG
from smallfirst.settings import RouterSettings
from smallfirst_router.__main__ import build
from smallfirst_router.slice_routers import SliceRouters, thread_of

NUM_SLICES = 2
#: What the probe of these tests allows: far less than it does by default.
MAX_AGE_SECONDS = 3.0


@pytest.fixture
def settings(redis: Redis, redis_url: str, tmp_path: Path) -> RouterSettings:
    """Of a router of two slices, each of which is given a catalogue of its own."""
    assert not redis.dbsize()
    values = {"redis_url": redis_url, "slices": NUM_SLICES, "catalogue": tmp_path / "0.yaml"}
    for number in range(NUM_SLICES):
        (tmp_path / f"{number}.yaml").write_text(CATALOGUE)
    return RouterSettings.model_validate(values)


def test_a_slice_that_hangs_makes_the_router_unhealthy(
    settings: RouterSettings, tmp_path: Path, wait_until: WaitUntil
) -> None:
    """The probe names its thread, though all others go their rounds."""
    folder, path = tmp_path / "health", tmp_path / "1.yaml"
    health = Health(folder)
    health.open()
    names = [thread_of(number) for number in range(NUM_SLICES)]
    routers = SliceRouters(
        [
            build(
                settings.model_copy(update={"catalogue": tmp_path / f"{number}.yaml"}),
                health=health.of_thread(names[number]),
                keys=keys,
            )
            for number, keys in enumerate(keys_of_slices("sf", NUM_SLICES))
        ]
    )
    (folder / ALIVE).unlink()
    thread = threading.Thread(target=routers.run, name=names[0])
    thread.start()
    try:
        (folder / ALIVE).symlink_to(folder / f"{ALIVE}-{names[0]}")
        wait_until(lambda: why_not_ready(folder, MAX_AGE_SECONDS) is None, description="ready")
        path.unlink()
        os.mkfifo(path)
        wait_until(lambda: why_not_live(folder, MAX_AGE_SECONDS), description="it is seen")
        found = why_not_live(folder, MAX_AGE_SECONDS)
        assert f"{ALIVE}-{names[1]} is " in str(found)
    finally:
        routers.stop()
        path.write_text(CATALOGUE)
        thread.join()


def test_a_slice_that_fails_ends_the_process(
    redis: Redis, redis_url: str, catalogue: Path, tmp_path: Path
) -> None:
    """The error that one thread raised is told, and the others hand back what they hold."""
    redis.set(keys_of_slices("sf", NUM_SLICES)[1].num_slices, 3)
    environment = {
        **os.environ,
        "SMALLFIRST_REDIS_URL": redis_url,
        "SMALLFIRST_SLICES": str(NUM_SLICES),
        "SMALLFIRST_CATALOGUE": str(catalogue),
        "SMALLFIRST_HEALTH_DIR": str(tmp_path / "health"),
    }
    ended = subprocess.run(
        [sys.executable, "-m", "smallfirst_router"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == EXIT_CONFIG
    assert "its fleet has 3 slices, and SMALLFIRST_SLICES says 2" in ended.stderr
    assert "slice.failed" in ended.stderr + ended.stdout
    signs = {path.name for path in (tmp_path / "health").iterdir()}
    assert signs == {ALIVE, f"{ALIVE}-slice-1"}
