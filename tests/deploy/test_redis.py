"""The chart's own Redis has the users that the fleet says, and what asks it is let in or refused.

The rendered command starts a real server with the rendered access control file; router and the
test's commands are started as the rendered pods say, each with its own role's address.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from redis import Redis
from redis.exceptions import AuthenticationError
from tests.support.charts import (
    CHART,
    PLAIN,
    RELEASE,
    Object,
    helm,
    named,
    of_kind,
    rendered,
    script,
)
from tests.support.running import Deployment, pings
from tests.support.waiting import WaitUntil

from smallfirst.local.redis_server import find_binary, version_of
from smallfirst.redis_access.acl import acl_file, rules
from smallfirst.redis_access.address import RedisAddress
from smallfirst.redis_access.kubernetes_secret import secret_manifest
from smallfirst.redis_access.users import Role, producer_user, worker_user

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
    # Each pool's workers have a user, and so nobody is a worker of all.
    users = {*Role, worker_user("cpu-small")} - {Role.WORKER}
    passwords: dict[str, str] = {user: secret[f"{user}-password"] for user in users}
    lines = secret["users.acl"].splitlines()
    assert [one for one in lines if not one.startswith("user admin ")] == acl_file(
        "shop", passwords
    ).splitlines()
    assert len(set(passwords.values())) == len(users)
    assert " ".join(rules(worker_user("cpu-small"), "shop")) in secret["users.acl"]


def test_what_is_applied_by_gitops_is_the_same_each_time() -> None:
    """With a Secret by `smallfirst acl` nothing is drawn; it has every key that is asked for."""
    redis = {"internal": {"existingSecret": "users"}}
    scaled = {"cpu-small": {"image": "slm", "autoscaling": {"type": "keda"}}}
    values = {"redis": redis, "producers": [{"name": "shop"}], "pools": scaled}
    users = [*Role, worker_user("cpu-small"), producer_user("shop")]
    address = RedisAddress.parse("redis://redis:6379/0")
    known = secret_manifest("users", "sf", address, {user: ["secret"] for user in users})
    command = ("template", RELEASE, str(CHART), "--values", str(PLAIN))
    first, second = (helm(*command, values=values) for _ in range(2))
    assert (first.returncode, first.stdout) == (0, second.stdout), first.stderr
    objects = [each for each in yaml.safe_load_all(first.stdout) if each]
    assert not of_kind(objects, "Secret")
    asked = set(_keys_of_secret(objects, "users"))
    assert {"router-url", "worker-cpu-small-url", "users.acl", "scaler-password"} <= asked
    assert asked <= set(known["stringData"])


def _keys_of_secret(found: Any, name: str) -> Iterator[str]:
    """Every key of a Secret that anything asks for, however it asks."""
    if isinstance(found, list):
        for each in found:
            yield from _keys_of_secret(each, name)
    if isinstance(found, dict):
        if found.get("name") == name and "key" in found:
            yield found["key"]
        if found.get("secretName") == name:
            yield from (item["key"] for item in found["items"])
        yield from _keys_of_secret(list(found.values()), name)


def test_the_workers_of_a_pool_connect_as_its_own() -> None:
    """With a Redis of somebody else's they do where its Secret has an address for them."""
    assert redis_key(rendered(), "pool-cpu-small") == "worker-cpu-small-url"
    external = {
        "enabled": True,
        "host": "redis.example.com",
        "existingSecret": "theirs",
        "peers": [],
    }
    keys = {"worker-cpu-small-url": "small"}
    for more, key in (({}, "worker-url"), ({"keys": keys}, "small")):
        redis = {"internal": {"enabled": False}, "external": external | more}
        assert redis_key(rendered(values={"redis": redis}), "pool-cpu-small") == key


def redis_key(objects: list[Object], component: str) -> str:
    """Name the key of the Secret from which a component has its address of Redis."""
    (container,) = named(objects, "Deployment", component)["spec"]["template"]["spec"]["containers"]
    (address,) = (one for one in container["env"] if one["name"] == "SMALLFIRST_REDIS_URL")
    return str(address["valueFrom"]["secretKeyRef"]["key"])


def test_each_producer_has_a_user_of_its_own() -> None:
    """Beside `default`'s, with its own keys alone; and two passwords while one is changed."""
    producers = [{"name": "post", "weight": 2}, {"name": "bank", "hasSecondPassword": True}]
    values = {"namespace": "shop", "producers": producers}
    secret = named(rendered(values=values), "Secret", "redis")["stringData"]
    lines = secret["users.acl"].splitlines()
    passwords: dict[str, str | list[str]] = {
        "producer": secret["producer-password"],
        "producer-post": secret["producer-post-password"],
        "producer-bank": [
            secret["producer-bank-password"],
            secret["producer-bank-second-password"],
        ],
    }
    written = acl_file("shop", passwords).splitlines()[1:]
    assert [one for one in lines if one.startswith("user producer")] == sorted(written)
    assert secret["producer-post-url"].startswith("redis://producer-post:")
    assert secret["producer-bank-second-password"] in secret["producer-bank-second-url"]


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


@pytest.fixture
def server(tmp_path: Path, wait_until: WaitUntil) -> Iterator[Deployment]:
    """Start the chart's own Redis as it is rendered."""
    here = Deployment(rendered(), tmp_path)
    process = here.start(here.spec("StatefulSet", "redis"), "redis")
    try:
        wait_until(lambda: pings(here.url("scaler")), description="Redis answers", timeout=20)
        yield here
    finally:
        process.terminate()
        process.wait(20)


@needs_redis_7
def test_each_role_connects_and_nobody_else(server: Deployment) -> None:
    """Every address of the Secret opens, the administrator's does everything, no name none."""
    for user in {*Role, worker_user("cpu-small"), "admin"} - {Role.WORKER}:
        assert pings(server.url(user)), user
    with Redis.from_url(server.url("admin")) as redis:
        settings: Any = redis.config_get("maxmemory-policy")
        assert settings == {"maxmemory-policy": "noeviction"}
        told: Any = redis.config_get("slowlog-log-slower-than", "crash-log-enabled")
        assert told == {"slowlog-log-slower-than": "-1", "crash-log-enabled": "no"}
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
@pytest.mark.parametrize("jobs", [{}, {"unheard_of": "x"}])
def test_the_chart_s_own_test_fails_without_answers(
    server: Deployment, jobs: dict[str, str]
) -> None:
    """Where no worker lives, and where the task is refused, its container ends in failure."""
    test = {"timeoutSeconds": 2, "jobs": jobs}
    (spec,) = (one["spec"] for one in of_kind(rendered(values={"test": test}), "Pod"))
    router = server.start(server.spec("Deployment", "router"), "router")
    try:
        codes = {
            one["name"]: server.start(spec, one["name"], container=place).wait(60)
            for place, one in enumerate(spec["containers"])
        }
    finally:
        router.terminate()
        router.wait(60)
    assert codes.pop("ids") == 0
    assert 0 not in codes.values()
    assert set(codes) == {"similar", *(name.replace("_", "-") for name in jobs)}


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
