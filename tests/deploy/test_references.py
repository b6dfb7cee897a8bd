"""What names something names something that is there: Secrets, claims, accounts, pods, ports."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.charts import EXAMPLES, Object, containers, of_kind, pods, rendered

#: What the values of an example name and somebody else makes, as its comments say.
EXTERNAL = {
    "air-gapped": {"PersistentVolumeClaim/models-within", "Secret/registry-password"},
    "cpu-only": {
        "PersistentVolumeClaim/team-models",
        "Secret/desk-auth",
        "Secret/desk-tls",
        "Secret/flower-auth",
        "Secret/flower-tls",
    },
    "external-redis-sentinel-tls": {"Secret/fleet-redis", "Secret/fleet-redis-ca"},
    "redis-cluster": {"Secret/fleet-redis"},
    "external-redis-tls": {"Secret/fleet-redis", "Secret/fleet-redis-ca", "Secret/flower-auth"},
}
#: Keys that the Secrets of others hold, as the values' comments say.
EXTERNAL_KEYS = {
    "Secret/desk-auth": {"users.yaml", "session-key"},
    "Secret/flower-auth": {"basic-auth", "cookie-secret"},
    "Secret/fleet-redis": {
        "router-url",
        "worker-url",
        "flower-url",
        "exporter-url",
        "desk-url",
        "producer-url",
        "broker-router-url",
        "broker-worker-url",
        "broker-flower-url",
        "broker-exporter-url",
        "scaler-username",
        "scaler-password",
        "sentinel-username",
        "sentinel-password",
    },
    "Secret/fleet-redis-ca": {"ca.crt"},
}


#: How each field names things: the kind of thing, and the fields of its name and of the key in it.
NAMING = {
    "secretKeyRef": ("Secret", "name", "key"),
    "secretTargetRef": ("Secret", "name", "key"),
    "imagePullSecrets": ("Secret", "name", None),
    "secret": ("Secret", "secretName", "items"),
    "tls": ("Secret", "secretName", None),
    "configMap": ("ConfigMap", "name", "items"),
    "persistentVolumeClaim": ("PersistentVolumeClaim", "claimName", None),
    "authenticationRef": ("TriggerAuthentication", "name", None),
    "scaleTargetRef": ("Deployment", "name", None),
}


def references(value: Any) -> Iterator[tuple[str, str | None]]:
    """Walk through an object for what it names: the thing, and the key of it where it says one."""
    if isinstance(value, list):
        for each in value:
            yield from references(each)
    if isinstance(value, dict):
        for field, each in value.items():
            if field == "serviceAccountName":
                yield f"ServiceAccount/{each}", None
            if field in NAMING and isinstance(each, dict | list):
                yield from _named(field, each)
            yield from references(each)


def _named(field: str, value: Any) -> Iterator[tuple[str, str | None]]:
    kind, name, key = NAMING[field]
    for one in value if isinstance(value, list) else [value]:
        keys = one.get(key) if key else None
        for each in keys if isinstance(keys, list) else [keys]:
            yield f"{kind}/{one[name]}", each["key"] if isinstance(each, dict) else each


@pytest.mark.parametrize("example", EXAMPLES)
def test_what_is_named_is_there(example: str | None) -> None:
    """Every reference leads to an object of the release with that key, or to a declared other."""
    objects = rendered(example)
    made = {f"{each['kind']}/{each['metadata']['name']}": each for each in objects}
    missing = set()
    for thing, key in references(objects):
        keys = {*made.get(thing, {}).get("data", ()), *made.get(thing, {}).get("stringData", ())}
        if thing not in made:
            assert thing in EXTERNAL.get(example or "", ()), thing
            missing.add(thing)
            keys = EXTERNAL_KEYS.get(thing, set())
        assert key is None or key in keys, f"{thing}: {key}"
    assert missing == EXTERNAL.get(example or "", set())


@pytest.mark.parametrize("example", EXAMPLES)
def test_what_is_made_is_used(example: str | None) -> None:
    """No account, Secret or ConfigMap is rendered that nothing names."""
    objects = rendered(example)
    named = {thing for thing, _ in references(objects)}
    for each in of_kind(objects, "ServiceAccount", "Secret", "ConfigMap", "TriggerAuthentication"):
        assert f"{each['kind']}/{each['metadata']['name']}" in named


@pytest.mark.parametrize("example", EXAMPLES)
def test_selectors_find_exactly_one_kind_of_pod(example: str | None) -> None:
    """Each selector of a workload, Service, budget or policy matches the pods of one component."""
    objects = rendered(example)
    labels = {name: pod["metadata"]["labels"] for name, pod in pods(objects)}
    for each in objects:
        for selector in _selectors(each):
            found = [name for name, has in labels.items() if selector.items() <= has.items()]
            wanted = len(labels) if each["metadata"]["name"].endswith("-deny") else 1
            assert len(found) == wanted, f"{each['kind']}/{each['metadata']['name']}: {found}"


@pytest.mark.parametrize("example", EXAMPLES)
def test_mounts_and_ports_exist(example: str | None) -> None:
    """Each mount has its volume, each volume its mount, each Service's port its container's."""
    objects = rendered(example)
    for name, pod in pods(objects):
        volumes = {volume["name"] for volume in pod["spec"]["volumes"]}
        mounted = {mount["name"] for one in containers(pod) for mount in one["volumeMounts"]}
        claimed = {"data"} if "StatefulSet" in name else set()
        assert mounted - claimed == volumes - claimed, name
    ports = {port["name"] for _, pod in pods(objects) for port in _ports(pod)}
    for service in of_kind(objects, "Service"):
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports


def _ports(pod: Object) -> Iterator[Any]:
    for container in containers(pod):
        yield from container.get("ports", ())


def _selectors(each: Object) -> Iterator[dict[str, str]]:
    spec = each.get("spec", {})
    match each["kind"]:
        case "Deployment" | "StatefulSet" | "PodDisruptionBudget" | "PodMonitor":
            yield spec["selector"]["matchLabels"]
        case "Service":
            yield spec["selector"]
        case "NetworkPolicy":
            yield spec["podSelector"]["matchLabels"]
