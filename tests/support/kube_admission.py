"""What a real API server refuses to store, as far as a chart could render it.

Not played: quotas, webhooks, Pod Security, what needs a look at other objects.

Source: `ValidateObjectMeta`, `ValidatePodTemplateSpec`, `ValidateDeploymentSpec`,
`ValidateStatefulSetUpdate`, `ValidateJobUpdate`, `ValidateConfigMap` of Kubernetes 1.32's
pkg/apis; https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
"""

import re
from collections.abc import Iterator
from typing import Any

Object = dict[str, Any]
_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
DNS_LABEL = re.compile(_LABEL)
DNS_SUBDOMAIN = re.compile(rf"{_LABEL}(\.{_LABEL})*")
#: A Service's name must not begin with a digit.
SERVICE_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
DATA_KEY = re.compile(r"[-._a-zA-Z0-9]+")
MAX_DATA_BYTES = 1024 * 1024
#: What an update may not change, by kind: paths within `spec`.
IMMUTABLE: dict[str, tuple[str, ...]] = {
    "Deployment": ("selector",),
    "Job": ("selector", "template", "completionMode"),
    "PersistentVolumeClaim": ("accessModes", "storageClassName", "volumeName"),
    "StatefulSet": ("podManagementPolicy", "selector", "serviceName", "volumeClaimTemplates"),
}


def refusals(one: Object, *, before: Object | None = None) -> list[str]:
    """Say why a server would not store this object, in the place of the one that was there."""
    told = [*_names(one), *_data(one), *_selected(one)]
    for path, pod in _pods(one):
        told += _pod(path, pod, claims=_claims(one))
    if before is not None:
        told += _changed(before, one)
    return told


def _names(one: Object) -> Iterator[str]:
    metadata = one["metadata"]
    name = str(metadata["name"])
    shape, length = (SERVICE_NAME, 63) if one["kind"] == "Service" else (DNS_SUBDOMAIN, 253)
    if not shape.fullmatch(name) or len(name) > length:
        yield f'metadata.name: Invalid value: "{name}"'
    # A Job and a StatefulSet give their name to pods as a label.
    if one["kind"] in {"Job", "StatefulSet"} and len(name) > 63:
        yield f"metadata.name: {name} must be no more than 63 characters"
    for key, value in (metadata.get("labels") or {}).items():
        if not LABEL_VALUE.fullmatch(str(value)) or len(str(value)) > 63:
            yield f'metadata.labels.{key}: Invalid value: "{value}"'


def _data(one: Object) -> Iterator[str]:
    if one["kind"] not in {"ConfigMap", "Secret"}:
        return
    held = {**(one.get("data") or {}), **(one.get("stringData") or {})}
    for key in held:
        if not DATA_KEY.fullmatch(key):
            yield f'data[{key}]: Invalid value: "{key}"'
    size = sum(len(str(value).encode()) for value in held.values() if value is not None)
    if size > MAX_DATA_BYTES:
        yield f"data: Too long: may not be more than {MAX_DATA_BYTES} bytes"


def _selected(one: Object) -> Iterator[str]:
    if one["kind"] not in {"Deployment", "StatefulSet"}:
        return
    wanted = one["spec"]["selector"].get("matchLabels", {})
    labels = one["spec"]["template"]["metadata"].get("labels") or {}
    if not wanted or not wanted.items() <= labels.items():
        yield "spec.template.metadata.labels: `selector` does not match template `labels`"


def _pods(one: Object) -> Iterator[tuple[str, Object]]:
    if one["kind"] == "Pod":
        yield "spec", one["spec"]
    elif one["kind"] in {"Deployment", "Job", "StatefulSet"}:
        yield "spec.template.spec", one["spec"]["template"]["spec"]


def _claims(one: Object) -> list[str]:
    """Name the volumes that a StatefulSet makes for each pod."""
    made = one.get("spec", {}).get("volumeClaimTemplates", ())
    return [each["metadata"]["name"] for each in made]


def _pod(path: str, pod: Object, *, claims: list[str]) -> Iterator[str]:
    volumes = [one["name"] for one in pod.get("volumes", ())]
    yield from _once(f"{path}.volumes.name", [*volumes, *claims])
    containers = [*pod.get("initContainers", ()), *pod["containers"]]
    yield from _once(f"{path}.containers.name", [one["name"] for one in containers])
    for name in (*volumes, *(one["name"] for one in containers)):
        if not DNS_LABEL.fullmatch(str(name)) or len(str(name)) > 63:
            yield f'{path}: Invalid value: "{name}": a name is a DNS label'
    for container in containers:
        where = f"{path}.containers[{container['name']}].volumeMounts"
        mounts = container.get("volumeMounts", ())
        yield from _once(f"{where}.mountPath", [one["mountPath"] for one in mounts])
        for mount in mounts:
            if mount["name"] not in {*volumes, *claims}:
                yield f'{where}.name: Not found: "{mount["name"]}"'


def _once(path: str, names: list[str]) -> Iterator[str]:
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f'{path}: Duplicate value: "{name}"'


def _changed(before: Object, after: Object) -> Iterator[str]:
    for field in IMMUTABLE.get(after["kind"], ()):
        old, new = before.get("spec", {}).get(field), after.get("spec", {}).get(field)
        if old is not None and new is not None and old != new:
            yield f"spec.{field}: Invalid value: field is immutable"
