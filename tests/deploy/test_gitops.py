"""The examples for Argo CD and Flux: of their kinds, and nothing is left to do the second time.

Neither tool runs here: Argo CD is a rendering that is applied, Flux is helm. What their kinds know
of what is used was read in Argo CD's user guide (Helm, November 2026), in helmreleases.yaml of
helm-controller (671c27c) and in ocirepositories.yaml of source-controller (03a118a, as v1beta2).
"""

import copy
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.charts import CHART, HELMS, ROOT, Object, helm, pods
from tests.support.kube_api import Cluster, api_server
from tests.support.releases import apply, cluster_with_helm

EXAMPLES = ROOT / "examples" / "gitops"
APPLICATION: Object = yaml.safe_load((EXAMPLES / "argo-cd.yaml").read_text("utf-8"))
SOURCE, RELEASE = yaml.safe_load_all((EXAMPLES / "flux.yaml").read_text("utf-8"))
PAGE = (ROOT / "docs" / "how-to" / "gitops.md").read_text("utf-8")
#: Fields that the kinds have, of those that are used; None is free below.
METADATA: Any = {"name": None, "namespace": None}
KNOWN: dict[str, Any] = {
    "argoproj.io/v1alpha1 Application": {
        "project": None,
        "source": {
            "repoURL": None,
            "chart": None,
            "targetRevision": None,
            "helm": {"releaseName": None, "valuesObject": None},
        },
        "destination": {"server": None, "namespace": None},
        "syncPolicy": {"automated": {"prune": None, "selfHeal": None}, "syncOptions": None},
    },
    "source.toolkit.fluxcd.io/v1 OCIRepository": {
        "interval": None,
        "url": None,
        "ref": {"tag": None},
        "layerSelector": {"mediaType": None, "operation": None},
        "verify": {"provider": None, "matchOIDCIdentity": None},
    },
    "helm.toolkit.fluxcd.io/v2 HelmRelease": {
        "interval": None,
        "releaseName": None,
        "chartRef": {"kind": None, "name": None},
        "install": {"remediation": {"retries": None}},
        "upgrade": {"remediation": {"retries": None}},
        "driftDetection": {"mode": None},
        "test": {"enable": None},
        "values": None,
    },
}


def unknown(one: Any, known: Any, path: str = "spec") -> list[str]:
    """List the fields that a kind has not."""
    if known is None:
        return []
    told = [f"{path}.{key}" for key in set(one) - set(known)]
    return told + [
        field
        for key, value in one.items()
        if key in known
        for field in unknown(value, known[key], f"{path}.{key}")
    ]


@pytest.mark.parametrize("one", [APPLICATION, SOURCE, RELEASE], ids=lambda one: one["kind"])
def test_each_object_is_of_its_kind(one: Object) -> None:
    """No field but those that the kind's definition has."""
    assert unknown(one["spec"], KNOWN[f"{one['apiVersion']} {one['kind']}"]) == []
    assert unknown(one["metadata"], METADATA) == []


def test_both_install_the_same_release() -> None:
    """One chart, at the version that is here, with equal values, signed where it was pushed."""
    source = APPLICATION["spec"]["source"]
    version = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))["version"]
    assert source["targetRevision"] == SOURCE["spec"]["ref"]["tag"] == version
    assert f"oci://{source['repoURL']}/{source['chart']}" == SOURCE["spec"]["url"]
    assert source["helm"]["valuesObject"] == RELEASE["spec"]["values"]
    assert source["helm"]["releaseName"] == RELEASE["spec"]["releaseName"]
    assert RELEASE["spec"]["chartRef"]["name"] == SOURCE["metadata"]["name"]
    (signer,) = SOURCE["spec"]["verify"]["matchOIDCIdentity"]
    assert (ROOT / ".github" / "workflows" / "release.yml").exists()
    assert r"/\.github/workflows/release\.yml@refs/tags/v" in signer["subject"]


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> Object:
    """Draw passwords as the page says, and give the Secret that is printed."""
    folder = tmp_path_factory.mktemp("drawn")
    commands = [line.removeprefix("$ ") for line in PAGE.splitlines() if line.startswith("$ ")]
    script = "\n".join(line for line in commands if not line.startswith("kubectl"))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = os.environ | {"PATH": path}
    done = subprocess.run(
        ["sh", "-ec", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: Object = json.loads((folder / "acme-users.json").read_text("utf-8"))
    found["metadata"]["namespace"] = RELEASE["metadata"]["namespace"]
    return found


def rendered_by_argo() -> str:
    """Render as Argo CD does: without a cluster."""
    source, place = APPLICATION["spec"]["source"]["helm"], APPLICATION["spec"]["destination"]
    command = ("template", source["releaseName"], str(CHART), "--namespace", place["namespace"])
    done = helm(*command, "--include-crds", values=source["valuesObject"])
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


def test_argo_cd_has_nothing_to_do_the_second_time(secret: Object) -> None:
    """Two renderings are the same bytes; the second apply changes no object."""
    first, second = rendered_by_argo(), rendered_by_argo()
    assert first == second
    objects = [secret, *filter(None, yaml.safe_load_all(first))]
    with api_server() as (cluster, port):
        assert apply(port, objects) == []
        before = copy.deepcopy(cluster.objects)
        assert apply(port, [secret, *filter(None, yaml.safe_load_all(second))]) == []
        assert cluster.objects == before
    held = secret["stringData"]
    for name, key in _keys_of(objects):
        assert name == "acme-users"
        assert key in held


def test_flux_has_nothing_to_do_the_second_time(secret: Object, tmp_path: Path) -> None:
    """An upgrade with the same values leaves every object as it is."""
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump(RELEASE["spec"]["values"]))
    name = RELEASE["spec"]["releaseName"]
    namespace = RELEASE["metadata"]["namespace"]
    command = (name, str(CHART), "--values", str(values), "--disable-openapi-validation")
    with cluster_with_helm(tmp_path, HELMS[0], namespace) as (cluster, run):
        cluster.put(("v1", "secrets", namespace, "acme-users"), copy.deepcopy(secret))
        run("install", *command)
        before = _without_records(cluster)
        run("upgrade", *command)
        assert _without_records(cluster) == before
        assert f"{name}-smallfirst-router" in cluster.of("Deployment")


def _without_records(cluster: Cluster) -> dict[Any, Object]:
    """Give what is stored, but for helm's own records."""
    return {
        place: copy.deepcopy(one)
        for place, one in cluster.objects.items()
        if one.get("type") != "helm.sh/release.v1"
    }


def _keys_of(objects: list[Object]) -> set[tuple[str, str]]:
    """Say which keys of which Secrets pods read: as variables, or as files."""
    found = set()
    for _, pod in pods(objects):
        for container in pod["spec"]["containers"]:
            for one in container["env"]:
                if key := one.get("valueFrom", {}).get("secretKeyRef"):
                    found.add((key["name"], key["key"]))
        for volume in pod["spec"]["volumes"]:
            for item in volume.get("secret", {}).get("items", ()):
                found.add((volume["secret"]["secretName"], item["key"]))
    return found
