"""Releases against a played API server: by the real helm, or applied as GitOps tools apply them."""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import yaml
from tests.support.charts import CHART, NAMESPACE, PLAIN, Object, helm
from tests.support.guide import kubeconfig_of
from tests.support.kube_api import KINDS, Cluster, api_server

Helm = Callable[..., Any]
#: The chart with a catalogue; the server has no schemas to validate by.
CHOSEN = (str(CHART), "--values", str(PLAIN), "--disable-openapi-validation")


@contextmanager
def cluster_with_helm(
    folder: Path, version: str, namespace: str = NAMESPACE
) -> Iterator[tuple[Cluster, Helm]]:
    """Give an empty cluster, and a helm pointed at it that fails where it refuses."""
    with api_server() as (cluster, port):
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(yaml.safe_dump(kubeconfig_of(port)))

        def run(*arguments: str) -> Any:
            place = ("--namespace", namespace, "--kubeconfig", str(kubeconfig))
            done = helm(*arguments, *place, version=version)
            assert done.returncode == 0, done.stderr
            return done

        yield cluster, run


def apply(port: int, objects: Iterable[Object]) -> list[str]:
    """Apply objects server-side, as Argo CD and Flux do; say what was refused, and why."""
    kind = {"Content-Type": "application/apply-patch+yaml"}
    refused = []
    with closing(HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        for one in objects:
            where = f"{_path(one)}?fieldManager=gitops&force=true"
            connection.request("PATCH", where, json.dumps(one).encode(), kind)
            answer = connection.getresponse()
            told = json.load(answer)
            if answer.status not in {200, 201}:
                refused.append(str(told["message"]))
    return refused


def _path(one: Object) -> str:
    version, metadata = one["apiVersion"], one["metadata"]
    plural = next(plural for plural, kind in KINDS[version].items() if kind == one["kind"])
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    return f"{root}/namespaces/{metadata['namespace']}/{plural}/{metadata['name']}"
