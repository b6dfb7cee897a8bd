"""A release of the chart before this one is upgraded to it, however helm is told to keep values.

`previous-chart.tgz` is that chart, packed by `helm package`. It lies here because a clone may have
no history; until a version is released it is the chart of an earlier commit.
"""

import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.support.charts import CHART, HELMS, PLAIN, RELEASE, Object, rendered
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
