"""A release's life under the real helm: installed, upgraded, rolled back, taken away."""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.support.charts import CHART, HELMS, RELEASE
from tests.support.kube_api import Cluster
from tests.support.releases import CHOSEN, Helm, cluster_with_helm

from smallfirst.redis_access.users import Role

ROUTER, REDIS = f"{RELEASE}-smallfirst-router", f"{RELEASE}-smallfirst-redis"


@pytest.fixture(params=HELMS)
def release(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Cluster, Helm]]:
    """Give an empty cluster, and helm pointed at it."""
    with cluster_with_helm(tmp_path, request.param) as found:
        yield found


def _install(run: Helm, verb: str, *more: str) -> None:
    run(verb, RELEASE, *CHOSEN, *more)


def test_a_release_lives_and_goes(release: tuple[Cluster, Helm]) -> None:
    """Install, upgrade and roll back change what they should; uninstall leaves nothing."""
    cluster, run = release
    _install(run, "install")
    assert cluster.of("Deployment")[ROUTER]["spec"]["replicas"] == 2
    _install(run, "upgrade", "--set", "router.replicas=5")
    assert cluster.of("Deployment")[ROUTER]["spec"]["replicas"] == 5
    run("rollback", RELEASE, "1")
    assert cluster.of("Deployment")[ROUTER]["spec"]["replicas"] == 2
    history = yaml.safe_load(run("history", RELEASE, "--output", "yaml").stdout)
    assert [one["status"] for one in history] == ["superseded", "superseded", "deployed"]
    run("uninstall", RELEASE)
    assert not cluster.objects


def test_an_upgrade_keeps_the_catalogue_or_is_refused(release: tuple[Cluster, Helm]) -> None:
    """Helm forgets values where only --set is given; the fleet's catalogue is no other then."""
    cluster, run = release
    name = f"{RELEASE}-smallfirst-catalogue"
    _install(run, "install")
    before = cluster.of("ConfigMap")[name]["data"]
    bare = ("upgrade", RELEASE, str(CHART), "--disable-openapi-validation")
    with pytest.raises(AssertionError, match="the fleet needs a catalogue"):
        run(*bare, "--set", "router.replicas=3")
    assert cluster.of("Deployment")[ROUTER]["spec"]["replicas"] == 2
    for number, kept in enumerate(("--reuse-values", "--reset-then-reuse-values"), start=3):
        run(*bare, kept, "--set", f"router.replicas={number}")
        assert cluster.of("Deployment")[ROUTER]["spec"]["replicas"] == number
        assert cluster.of("ConfigMap")[name]["data"] == before


def test_passwords_outlive_an_upgrade(release: tuple[Cluster, Helm]) -> None:
    """What was drawn at the first installation is found again, users and addresses with it."""
    cluster, run = release
    _install(run, "install", "--set", "flower.auth.basicAuth=ops:hunter2")
    before = _secrets(cluster)
    assert len(before[REDIS]["worker-cpu-small-password"]) == 32
    _install(run, "upgrade", "--set", "flower.auth.basicAuth=ops:hunter2,router.replicas=3")
    assert _secrets(cluster) == before
    run("rollback", RELEASE, "1")
    assert _secrets(cluster) == before


def test_a_producers_password_is_changed_without_an_outage(release: tuple[Cluster, Helm]) -> None:
    """The second one is good beside the first, and then alone; nobody else's changes."""
    cluster, run = release
    _install(run, "install", "--set", "producers[0].name=shop")
    first = _secrets(cluster)[REDIS]
    both = "producers[0].name=shop,producers[0].hasSecondPassword=true"
    _install(run, "upgrade", "--set", both)
    second = _secrets(cluster)[REDIS]
    assert second["producer-shop-password"] == first["producer-shop-password"]
    _install(run, "upgrade", "--set", "producers[0].name=shop")
    last = _secrets(cluster)[REDIS]
    assert last["producer-shop-password"] == second["producer-shop-second-password"]
    assert {key for key in first if last[key] != first[key]} == {
        "users.acl",
        "producer-shop-password",
        "producer-shop-url",
    }
    _install(run, "upgrade", "--set", both)
    again = _secrets(cluster)[REDIS]
    assert again["producer-shop-password"] == last["producer-shop-password"]
    assert again["producer-shop-second-password"] != again["producer-shop-password"]


def test_two_releases_draw_differently(release: tuple[Cluster, Helm]) -> None:
    """No password comes from anything that another release shares."""
    cluster, run = release
    _install(run, "install")
    run("install", "other", *CHOSEN)
    one, other = (_secrets(cluster)[f"{name}-smallfirst-redis"] for name in (RELEASE, "other"))
    drawn = [key for key in one if key.endswith("-password")]
    assert len(drawn) == len([*Role, "admin"])
    assert not {one[key] for key in drawn} & {other[key] for key in drawn}


def test_a_pool_comes_and_goes(release: tuple[Cluster, Helm], tmp_path: Path) -> None:
    """A pool that the values no longer name is taken away, with its account and its policy."""
    cluster, run = release
    content = "{version: 1, pools: {a: {tier: slm}, cpu-small: {tier: slm}}, tasks: {ids: {}}}"
    values = tmp_path / "two.yaml"
    values.write_text(yaml.safe_dump({"catalogue": {"content": content}, "pools": {"a": {}}}))
    _install(run, "install", "--values", str(values))
    name = f"{RELEASE}-smallfirst-pool-a"
    kinds = ("Deployment", "ServiceAccount", "NetworkPolicy", "PodDisruptionBudget")
    assert all(name in cluster.of(kind) for kind in kinds)
    _install(run, "upgrade", "--reset-values")
    assert not any(name in cluster.of(kind) for kind in kinds)


def _secrets(cluster: Cluster) -> dict[str, dict[str, str]]:
    return {
        name: {key: base64.b64decode(coded).decode() for key, coded in one["data"].items()}
        for name, one in cluster.of("Secret").items()
    }
