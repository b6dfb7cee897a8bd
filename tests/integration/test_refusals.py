"""A Redis that answers and refuses: a cluster, a user without rights. Everybody says what to do."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from tests.support.one_task import CATALOGUE
from tests.support.waiting import WaitUntil

from smallfirst import Client, FleetRefused, Job
from smallfirst.local.redis_server import RedisServer, find_binary, free_port
from smallfirst.process.exit_codes import EXIT_CONFIG

LIMITED = "limited"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, wait_until: WaitUntil) -> Iterator[str]:
    """Start a cluster of one server that has every slot; give its address."""
    folder, port = tmp_path_factory.mktemp("cluster"), free_port()
    command = [find_binary(), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    command += ["--cluster-enabled", "yes", "--cluster-port", str(free_port()), "--save", ""]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_until(lambda: b"Ready to acc" in (folder / "log").read_bytes(), description="it is up")
        with Redis(port=port) as redis:
            asking: Any = redis
            asking.execute_command("CLUSTER", "ADDSLOTS", *range(16_384))
            wait_until(
                lambda: asking.cluster("info")["cluster_state"] == "ok",
                description="it serves",
            )
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait(20)


@pytest.fixture
def limited(redis_server: RedisServer, redis: Redis) -> Iterator[str]:
    """The address of a user who may say hello and nothing more."""
    redis.acl_setuser(LIMITED, enabled=True, passwords=["+secret"], commands=["+ping"])
    yield redis_server.url.replace("://", f"://{LIMITED}:secret@")
    redis.acl_deluser(LIMITED)


def environment(url: str, folder: Path) -> dict[str, str]:
    """What a process of a fleet on this Redis is told."""
    catalogue = folder / "catalogue.yaml"
    catalogue.write_text(CATALOGUE)
    told = {"SMALLFIRST_REDIS_URL": url, "SMALLFIRST_CATALOGUE": str(catalogue)}
    return {**os.environ, **told, "SMALLFIRST_POOL": "cpu", "SMALLFIRST_LOG_FORMAT": "json"}


@pytest.mark.parametrize("module", ["smallfirst_router", "smallfirst_workers"])
def test_nothing_starts_on_a_cluster(cluster: str, tmp_path: Path, module: str) -> None:
    """A process that could only ever fail there ends at once, with the reason and the remedy."""
    done = subprocess.run(
        [sys.executable, "-m", module],
        env=environment(cluster, tmp_path),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == EXIT_CONFIG
    assert "is a Redis Cluster" in done.stderr
    assert "redis+cluster://" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_cluster_gets_no_submission(cluster: str) -> None:
    """A client submits nothing that nobody will answer."""
    with Client(cluster) as client, pytest.raises(FleetRefused, match="is a Redis Cluster"):
        client.submit(Job(task="topic", text="where is my parcel?"))
    with Redis.from_url(cluster) as redis:
        assert redis.dbsize() == 0


def examined(url: str, folder: Path) -> dict[str, dict[str, str]]:
    """What a doctor says, by the name of each check."""
    command = [sys.executable, "-m", "smallfirst", "doctor", "--json"]
    told = {**environment(url, folder)}
    told.pop("SMALLFIRST_CATALOGUE")
    done = subprocess.run(
        command, env=told, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    return {check["name"]: check for check in json.loads(done.stdout)}


def test_the_doctor_knows_a_cluster(cluster: str, tmp_path: Path) -> None:
    """It says so, and which Redis will do."""
    check = examined(cluster, tmp_path)["redis mode"]
    assert check["state"] == "fail"
    assert "is a Redis Cluster" in check["detail"]
    assert "redis+cluster://" in check["remedy"]


def test_the_doctor_tells_a_missing_right_from_an_outage(limited: str, tmp_path: Path) -> None:
    """A user who may not ask is told who may; nobody is told to start a Redis that runs."""
    check = examined(limited, tmp_path)["redis"]
    assert "NOPERM" in check["detail"]
    assert "administrator" in check["remedy"]


def test_a_router_without_rights_says_which(
    limited: str, tmp_path: Path, wait_until: WaitUntil
) -> None:
    """Its log tells of a refusal, what is missing and what to do; and of no outage."""
    with (tmp_path / "log").open("wb") as out:
        router = subprocess.Popen(
            [sys.executable, "-m", "smallfirst_router"],
            env=environment(limited, tmp_path),
            stdout=out,
            stderr=out,
        )
    try:
        wait_until(
            lambda: b"redis.refused" in (tmp_path / "log").read_bytes(),
            description="the refusal is told",
            timeout=30,
        )
    finally:
        router.terminate()
        router.wait(20)
    said = (tmp_path / "log").read_text()
    assert "NOPERM" in said
    assert "smallfirst acl" in said
    assert "redis.unreachable" not in said
