"""The chart's own Redis has the users that the fleet says, and what the chart renders is run.

The rendered command starts a real server with the rendered access control file; router, worker and
the test's commands are started as the rendered pods say, each with its own role's address.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml
from redis import Redis
from redis.exceptions import AuthenticationError, RedisError
from tests.deploy.charts import (
    CHART,
    NAMESPACE,
    RELEASE,
    Object,
    environment,
    named,
    rendered,
    script,
)

from smallfirst.acl import Role, acl_file, rules
from smallfirst.local.redis_server import find_binary, free_port, version_of

HOST = f"{RELEASE}-smallfirst-redis.{NAMESPACE}.svc:6379"
needs_redis_7 = pytest.mark.skipif(
    version_of(find_binary()) < (7, 0), reason="selectors in access rules need Redis 7 on PATH"
)


def test_the_rules_are_those_of_the_fleet() -> None:
    """The file in the chart is what `helm/acl_rules.py` would write now."""
    held = (CHART / "files" / "redis-acl.yaml").read_text("utf-8")
    assert held == script("acl_rules").written(), "run: python helm/acl_rules.py"


def test_the_rendered_file_is_what_the_command_prints() -> None:
    """Users and rules are `smallfirst acl`'s for that namespace, and an administrator's."""
    secret = named(rendered(values={"namespace": "shop"}), "Secret", "redis")["stringData"]
    passwords = {role: secret[f"{role}-password"] for role in Role}
    lines = secret["users.acl"].splitlines()
    assert [one for one in lines if not one.startswith("user admin ")] == acl_file(
        "shop", passwords
    ).splitlines()
    assert len(set(passwords.values())) == len(Role)
    assert " ".join(rules(Role.WORKER, "shop")) in secret["users.acl"]


def test_no_password_stands_in_the_file() -> None:
    """Only hashes do."""
    secret = named(rendered(), "Secret", "redis")["stringData"]
    assert not [
        key for key, one in secret.items() if "-password" in key and one in secret["users.acl"]
    ]


def test_nothing_is_evicted_and_everything_written_down() -> None:
    """A confirmed job is never dropped for room; twice the memory is there for a rewrite."""
    objects = rendered(values={"redis": {"internal": {"maxMemoryMiB": 512}}})
    (container,) = named(objects, "StatefulSet", "redis")["spec"]["template"]["spec"]["containers"]
    options = " ".join(container["command"])
    for option in ("--maxmemory-policy noeviction", "--appendonly yes", "--maxmemory 512mb"):
        assert option in options
    assert container["resources"]["limits"]["memory"] == "1024Mi"


class Deployment:
    """What a rendering would run, run here as processes: a folder stands for the volumes."""

    def __init__(self, objects: list[Object], folder: Path) -> None:
        self.objects = objects
        self.folder = folder
        self.port = free_port()
        self.secret = named(objects, "Secret", "redis")["stringData"]

    def url(self, role: str) -> str:
        """A role's address from the Secret, where the server is here."""
        return str(self.secret[f"{role}-url"]).replace(HOST, f"127.0.0.1:{self.port}")

    def start(self, container: Object, name: str) -> "subprocess.Popen[bytes]":
        """Start a container's command with its environment."""
        with (self.folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(
                self._command(container), env=self._environment(container), stdout=log, stderr=log
            )

    def _command(self, container: Object) -> list[str]:
        paths = {"/data": str(self.folder), "/etc/redis/users.acl": str(self.folder / "users.acl")}
        paths |= {"python": sys.executable, "redis-server": find_binary(), "6379": str(self.port)}
        return [paths.get(part, part) for part in container["command"]]

    def _environment(self, container: Object) -> dict[str, str]:
        here = {"SMALLFIRST_CATALOGUE": "catalogue.yaml", "SMALLFIRST_CACHE_DIR": "cache"}
        given = {"PATH": os.environ["PATH"]}
        for name, value in environment(container).items():
            if isinstance(value, dict):
                key = value["secretKeyRef"]["key"]
                given[name] = self.url(key.removesuffix("-url")) if key.endswith("-url") else "x"
            else:
                given[name] = str(self.folder / here[name]) if name in here else value
        return given


def container_of(objects: list[Object], kind: str, component: str) -> Object:
    """Take the first container of a component."""
    spec = named(objects, kind, component)["spec"]
    found: Object = spec.get("template", {"spec": spec})["spec"]["containers"][0]
    return found


@pytest.fixture
def server(tmp_path: Path, wait_until: Callable[..., None]) -> Iterator[Deployment]:
    """Start the chart's own Redis as it is rendered, with the catalogue beside it."""
    here = Deployment(rendered(), tmp_path)
    (tmp_path / "users.acl").write_text(here.secret["users.acl"])
    catalogue = named(here.objects, "ConfigMap", "catalogue")["data"]
    (tmp_path / "catalogue.yaml").write_text(catalogue["catalogue.yaml"])
    process = here.start(container_of(here.objects, "StatefulSet", "redis"), "redis")
    try:
        wait_until(lambda: _pings(here.url("scaler")), description="Redis answers", timeout=20)
        yield here
    finally:
        process.terminate()
        process.wait(20)


@needs_redis_7
def test_each_role_connects_and_nobody_else(server: Deployment) -> None:
    """Every address of the Secret opens, the administrator's does everything, no name none."""
    for role in (*Role, "admin"):
        assert _pings(server.url(role)), role
    with Redis.from_url(server.url("admin")) as redis:
        settings: Any = redis.config_get("maxmemory-policy")
        assert settings == {"maxmemory-policy": "noeviction"}
    with Redis(port=server.port) as nobody, pytest.raises(AuthenticationError):
        nobody.ping()


@needs_redis_7
def test_the_scaler_can_count(server: Deployment) -> None:
    """What KEDA asks to learn a lag and what is pending is granted, on every trigger's stream."""
    with Redis.from_url(server.url("admin")) as redis:
        for trigger in _triggers():
            redis.xgroup_create(trigger["stream"], trigger["consumerGroup"], mkstream=True)
    with Redis.from_url(server.url("scaler")) as scaler:
        version: Any = scaler.info()
        assert version["redis_version"] >= "7"
        for trigger in _triggers():
            groups: Any = scaler.xinfo_groups(trigger["stream"])
            assert [group["lag"] for group in groups] == [0]
            pending: Any = scaler.xpending(trigger["stream"], trigger["consumerGroup"])
            assert pending["pending"] == 0


@needs_redis_7
@pytest.mark.timeout(300)
def test_what_is_rendered_answers_every_task(server: Deployment) -> None:
    """Router and worker, started as rendered, answer what `helm test` submits, and end."""
    with ExitStack() as ending:
        for component in ("router", "pool-cpu-small"):
            container = container_of(server.objects, "Deployment", component)
            ending.callback(_end, server.start(container, component))
        tests = named(server.objects, "Pod", "test")["spec"]["containers"]
        assert {one["name"] for one in tests} == set(yaml.safe_load(_content())["tasks"])
        asked = {one["name"]: server.start(one, one["name"]) for one in tests}
        for name, process in asked.items():
            assert process.wait(240) == 0, (server.folder / f"{name}.log").read_text()


def _content() -> str:
    return str(yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))["catalogue"]["content"])


def _triggers() -> list[dict[str, str]]:
    """Give one trigger for each stream that KEDA would ask about."""
    scaling = {"autoscaling": {"type": "keda"}}
    objects = rendered(values={"router": scaling, "pools": {"cpu-small": scaling}})
    triggers = [
        one["metadata"]
        for component in ("router", "pool-cpu-small")
        for one in named(objects, "ScaledObject", component)["spec"]["triggers"]
    ]
    return [one for one in triggers if "lagCount" in one]


def _pings(url: str) -> bool:
    try:
        with Redis.from_url(url) as redis:
            return bool(redis.ping())
    except RedisError:
        return False


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    assert process.wait(60) == 0
