"""Secrets may be files, none in a variable; and pods may listen on addresses of IPv6.

Each role but the desk is started here so; `test_desk.py` starts that one with its secrets as files.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.request import urlopen

import pytest
from tests.support.charts import containers, environment, pods, rendered
from tests.support.running import Deployment, can_mount, has_ipv6, pings
from tests.support.waiting import WaitUntil

from smallfirst import Client, Job
from smallfirst.jobs import Status
from smallfirst.local.redis_server import find_binary, version_of

VALUES = {
    "secretsAsFiles": True,
    "listenAddress": "::",
    "metrics": {"enabled": True},
    "flower": {"auth": {"basicAuth": "ops:hunter2"}},
}


@pytest.mark.parametrize("example", [None, "redis-cluster"])
def test_no_address_stands_in_a_variable(example: str | None) -> None:
    """What is rendered has Redis's addresses and the desk's key in volumes alone."""
    desk = {"desk": {"enabled": True, "auth": {"existingSecret": "desk"}}}
    for name, pod in pods(rendered(example, values={"secretsAsFiles": True, **desk})):
        for container in containers(pod):
            held = {key for key, one in environment(container).items() if isinstance(one, dict)}
            assert not {key for key in held if key.startswith("SMALLFIRST_")}, name


@pytest.fixture
def fleet(tmp_path: Path, wait_until: WaitUntil) -> Iterator[Deployment]:
    """Start Redis, then one pod of each role."""
    if version_of(find_binary()) < (7, 0):
        pytest.skip("selectors in access rules need Redis 7 on PATH")
    if not (has_ipv6() and can_mount()):
        pytest.skip("this machine has no address of IPv6, or lets no process mount a folder")
    deployment = Deployment(rendered(values=VALUES), tmp_path)
    with ExitStack() as started:

        def start(kind: str, name: str) -> None:
            process = deployment.start(deployment.spec(kind, name), name)
            started.callback(process.wait, 60)
            started.callback(process.terminate)

        start("StatefulSet", "redis")
        wait_until(lambda: pings(deployment.url("scaler")), description="Redis answers", timeout=20)
        for name in ("router", "pool-cpu-small", "exporter", "flower"):
            start("Deployment", name)
        yield deployment


@pytest.mark.timeout(400)
def test_each_role_runs_so(fleet: Deployment, wait_until: WaitUntil) -> None:
    """A job is answered by the small model; exporter and Flower have Redis, and listen on ::1."""
    with Client(fleet.url("producer")) as client:
        job_id = client.submit(Job(task="similar", text="Where is my parcel?"))
        assert client.result(job_id, timeout=180).status is Status.ANSWERED
    spec = fleet.spec("Deployment", "flower")
    probe = spec["containers"][0]["readinessProbe"]["exec"]["command"]
    assert "[::1]" in probe[-1]
    wait_until(
        lambda: fleet.run(spec, "flower", probe).wait(20) == 0,
        description="Flower's own probe passes",
        timeout=60,
    )

    def told() -> bytes:
        try:
            with urlopen(f"http://[::1]:{fleet.ports['9464']}/metrics", timeout=10) as answer:
                found: bytes = answer.read()
        except OSError:
            return b""
        return found

    wait_until(
        lambda: b"smallfirst_redis_up 1" in told(), description="the exporter has Redis", timeout=60
    )
