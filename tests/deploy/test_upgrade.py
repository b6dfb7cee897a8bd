"""A release of the chart before this one is upgraded to it, however helm is told to keep values.

`previous-chart.tgz` is that chart, packed by `helm package`. It lies here because a clone may have
no history; until a version is released it is the chart of an earlier commit.
"""

import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.support.charts import CHART, HELMS, NAMESPACE, PLAIN, RELEASE, Object, pods, rendered
from tests.support.kube_api import Cluster
from tests.support.releases import Helm, cluster_with_helm

PREVIOUS = Path(__file__).with_name("previous-chart.tgz")
CATALOGUE = ("--values", str(PLAIN))
#: What somebody said of the release before: a number, and a key of a pool.
SAID = ("--set", "router.replicas=3,pools.cpu-small.threads=2")
SAID_VALUES = {"router": {"replicas": 3}, "pools": {"cpu-small": {"threads": 2}}}
#: What is said at the upgrade.
NEW = ("--set", "logLevel=debug")


@pytest.fixture(params=HELMS)
def installed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Cluster, Helm]]:
    """Give a cluster with a release of the previous chart."""
    with cluster_with_helm(tmp_path, request.param) as (cluster, run):
        run("install", RELEASE, str(PREVIOUS), "--disable-openapi-validation", *CATALOGUE, *SAID)
        yield cluster, run


def upgrade(run: Helm, *arguments: str) -> None:
    """Upgrade to the chart as it is now."""
    run("upgrade", RELEASE, str(CHART), "--disable-openapi-validation", *arguments, *NEW)


def told_of(objects: list[Object]) -> dict[tuple[str, str], object]:
    """Take what is wanted of each object that an upgrade may change, but for what is drawn."""
    return {
        (one["kind"], one["metadata"]["name"]): one.get("spec", one.get("data"))
        for one in objects
        if one["kind"] != "Secret" and "helm.sh/hook" not in one["metadata"].get("annotations", {})
    }


def stored_in(cluster: Cluster) -> dict[tuple[str, str], object]:
    """Take the same of what the cluster has."""
    return told_of(list(cluster.objects.values()))


def test_each_way_of_keeping_values_leads_to_this_chart(
    installed: tuple[Cluster, Helm],
) -> None:
    """All is as if installed anew, with what was said before where that is kept."""
    cluster, run = installed
    upgrade(run, "--reset-then-reuse-values")
    kept = rendered(values={**SAID_VALUES, "logLevel": "debug"})
    assert stored_in(cluster) == told_of(kept)
    run("rollback", RELEASE, "1")
    upgrade(run, *CATALOGUE)
    assert stored_in(cluster) == told_of(rendered(values={"logLevel": "debug"}))


def test_an_older_charts_defaults_are_not_taken_for_ones_own(
    installed: tuple[Cluster, Helm],
) -> None:
    """`--reuse-values` keeps what the old chart had where nothing was said; it is refused."""
    cluster, run = installed
    before = stored_in(cluster)
    with pytest.raises(AssertionError, match="upgrade with --reset-then-reuse-values"):
        upgrade(run, "--reuse-values")
    assert stored_in(cluster) == before


OWN_KEY = {"name": "own", "key": "hub"}
#: A Redis elsewhere, with an address for each role in a Secret that the chart did not make.
ELSEWHERE = {
    "redis": {
        "external": {
            "enabled": True,
            "host": "redis.example.com",
            "existingSecret": "fleet",
            "peers": [],
            "keys": {"worker-cpu-small-url": "worker-cpu-small-url"},
        }
    },
    "defaults": {"extraEnv": [{"name": "HUB_KEY", "valueFrom": {"secretKeyRef": OWN_KEY}}]},
}


def checksums(cluster: Cluster) -> dict[str, str]:
    """Map each Deployment to the hash of the Secrets that its pods read."""
    return {
        name: one["spec"]["template"]["metadata"]["annotations"]["checksum/secrets"]
        for name, one in cluster.of("Deployment").items()
    }


@pytest.mark.parametrize("is_file", [False, True])
def test_a_changed_password_restarts_who_has_it(tmp_path: Path, *, is_file: bool) -> None:
    """An upgrade that changes nothing else changes the pods that read that key, and no others."""
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump({**ELSEWHERE, "secretsAsFiles": is_file}))
    place = (RELEASE, str(CHART), "--disable-openapi-validation", *CATALOGUE, "-f", str(values))
    with cluster_with_helm(tmp_path, HELMS[0]) as (cluster, run):
        keys = ("router-url", "worker-cpu-small-url", "flower-url", "unread")
        for name, held in (("fleet", dict.fromkeys(keys, "YQ==")), ("own", {"hub": "YQ=="})):
            cluster.put(("v1", "secrets", NAMESPACE, name), {"data": held})
        run("install", *place)
        first = checksums(cluster)
        fleet = cluster.objects["v1", "secrets", NAMESPACE, "fleet"]["data"]
        fleet |= {"worker-cpu-small-url": "Yg==", "unread": "Yg=="}
        run("upgrade", *place)
        second = checksums(cluster)
        changed = {name for name in first if first[name] != second[name]}
        assert changed == {f"{RELEASE}-smallfirst-pool-cpu-small"}
        cluster.objects["v1", "secrets", NAMESPACE, "own"]["data"]["hub"] = "Yg=="
        run("upgrade", *place)
        assert not set(second.values()) & set(checksums(cluster).values())


def test_where_no_cluster_is_asked_an_annotation_restarts_pods() -> None:
    """A rendering has no hash of Secrets; a word of one's own changes every pod, Redis's too."""
    values = {"defaults": {"podAnnotations": {"smallfirst/secrets": "2026-11"}}}
    found = dict(pods(rendered(values=values)))
    del found["Pod/acme-smallfirst-test"]
    assert {pod["metadata"]["annotations"]["smallfirst/secrets"] for pod in found.values()} == {
        "2026-11"
    }
    assert not any("checksum/secrets" in pod["metadata"]["annotations"] for pod in found.values())


def test_the_previous_chart_is_no_later_one() -> None:
    """Its version is this chart's, where nothing was released since, or an earlier one."""
    with tarfile.open(PREVIOUS) as archive:
        member = archive.extractfile("smallfirst/Chart.yaml")
        assert member is not None
        before = yaml.safe_load(member.read())["version"]
    now = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))["version"]
    assert _numbers(before) <= _numbers(now)


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]
