"""The played API server refuses what a real one refuses, and merges as a real one merges."""

import copy
from typing import Any

import pytest
from tests.support.charts import NAMESPACE, Object, named, rendered
from tests.support.kube_admission import refusals
from tests.support.kube_api import Cluster, Refused
from tests.support.kube_merging import patched

ROUTER = ("apps/v1", "deployments", NAMESPACE, "acme-smallfirst-router")


def router() -> Object:
    """Give a Deployment that a server takes."""
    return copy.deepcopy(named(rendered(), "Deployment", "router"))


def spec_of(one: Object) -> dict[str, Any]:
    """Take the pod of a Deployment."""
    spec: dict[str, Any] = one["spec"]["template"]["spec"]
    return spec


@pytest.mark.parametrize(
    ("part", "entry", "told"),
    [
        ("env", {"name": "HOME", "value": "/"}, '.env: duplicate entries for key [name="HOME"]'),
        ("volumeMounts", {"name": "tmp", "mountPath": "/tmp"}, '[mountPath="/tmp"]'),
        ("ports", {"containerPort": 9464}, '[containerPort="9464",protocol="TCP"]'),
    ],
)
def test_a_list_has_each_of_its_keys_once(part: str, entry: dict[str, Any], told: str) -> None:
    """Applied twice under one key, an entry is refused; the protocol is TCP where none is said."""
    one = copy.deepcopy(
        named(rendered(values={"metrics": {"enabled": True}}), "Deployment", "router")
    )
    spec_of(one)["containers"][0][part].append(entry)
    with pytest.raises(Refused, match="failed to create typed patch object") as refused:
        Cluster().apply(ROUTER, one, "helm")
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("Service", "a.b"),
        ("Service", "1a"),
        ("Service", "a" * 64),
        ("ConfigMap", "A"),
        ("ConfigMap", "ä"),
        ("ConfigMap", "a" * 254),
        ("ConfigMap", ""),
    ],
)
def test_names_are_those_of_dns(kind: str, name: str) -> None:
    """A Service's is a label that begins with a letter; what else there is may have dots."""
    (told,) = refusals({"kind": kind, "metadata": {"name": name}})
    assert told == f'metadata.name: Invalid value: "{name}"'
    assert not refusals({"kind": "ConfigMap", "metadata": {"name": "1a.b"}})


def test_what_cannot_change_is_kept() -> None:
    """A Deployment's selector stays as it is, on both sides of the comparison."""
    after = router()
    for labels in (
        after["spec"]["selector"]["matchLabels"],
        after["spec"]["template"]["metadata"]["labels"],
    ):
        labels["app.kubernetes.io/component"] = "other"
    assert refusals(after, before=router()) == ["spec.selector: Invalid value: field is immutable"]
    assert not refusals(after)


def test_what_a_manager_names_no_more_goes() -> None:
    """Another manager's replicas stay over an apply that is silent about them."""
    cluster, one = Cluster(), router()
    one["metadata"]["annotations"] = {"a": "1", "b": "2"}
    del one["spec"]["replicas"]
    cluster.apply(ROUTER, copy.deepcopy(one), "helm")
    cluster.put(ROUTER, patched(copy.deepcopy(cluster.objects[ROUTER]), {"spec": {"replicas": 7}}))
    del one["metadata"]["annotations"]["b"]
    cluster.apply(ROUTER, copy.deepcopy(one), "helm")
    stored = cluster.objects[ROUTER]
    assert stored["metadata"]["annotations"] == {"a": "1"}
    assert stored["spec"]["replicas"] == 7


def test_a_strategic_patch_changes_one_entry_of_a_list() -> None:
    """Entries are found by their key: one is changed, one taken away, one added, the rest stays."""
    one = router()
    before = spec_of(one)["containers"][0]["env"]
    change = [
        {"name": "HOME", "value": "/home"},
        {"name": "SMALLFIRST_SLICES", "$patch": "delete"},
        {"name": "NEW", "value": "x"},
    ]
    container = {"name": "router", "env": change}
    spec = {"template": {"spec": {"containers": [container]}}}
    after = spec_of(patched(copy.deepcopy(one), {"spec": spec}))["containers"]
    assert len(after) == 1
    assert after[0]["image"] == spec_of(one)["containers"][0]["image"]
    names = {each["name"]: each.get("value") for each in after[0]["env"]}
    assert set(names) == ({each["name"] for each in before} | {"NEW"}) - {"SMALLFIRST_SLICES"}
    assert names["HOME"] == "/home"
