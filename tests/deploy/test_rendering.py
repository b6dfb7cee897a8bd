"""What is rendered is what four versions of Kubernetes know: every example, by both helms."""

import re
from typing import Any

import kubernetes_validate
import pytest
import yaml
from tests.support.charts import (
    EXAMPLES,
    HELMS,
    KUBERNETES,
    NAMESPACE,
    Object,
    containers,
    of_kind,
    pods,
    rendered,
)

from smallfirst.catalogue.loading import load_catalogue

#: Kinds that Kubernetes itself does not bring: each has assertions of its own where it is made.
CUSTOM = {
    "keda.sh/v1alpha1 ScaledObject",
    "keda.sh/v1alpha1 TriggerAuthentication",
    "gateway.networking.k8s.io/v1 HTTPRoute",
    "monitoring.coreos.com/v1 PodMonitor",
}
#: What is made up anew at each rendering outside a cluster.
_RANDOM = re.compile(r"[A-Za-z0-9]{32,64}")


@pytest.mark.parametrize("kubernetes", KUBERNETES)
@pytest.mark.parametrize("example", EXAMPLES)
def test_every_object_is_valid(example: str | None, kubernetes: str) -> None:
    """Each object obeys its kind's strict schema; a kind without one is a custom one."""
    for each in rendered(example, kubernetes=kubernetes):
        kind = f"{each['apiVersion']} {each['kind']}"
        if kind not in CUSTOM:
            kubernetes_validate.validate(each, kubernetes, strict=True)


@pytest.mark.parametrize("example", EXAMPLES)
def test_both_helms_agree(example: str | None) -> None:
    """Both majors render the same objects, but for what is drawn at random."""
    first, second = (_without_secrets(rendered(example, version=version)) for version in HELMS)
    assert first == second


@pytest.mark.parametrize("example", EXAMPLES)
def test_names_fit_and_are_unique(example: str | None) -> None:
    """No two objects of a kind share a name; no name or label is longer than Kubernetes takes."""
    objects = rendered(example)
    names = [(each["kind"], each["metadata"]["name"]) for each in objects]
    assert len(names) == len(set(names))
    assert all(each["metadata"]["namespace"] == NAMESPACE for each in objects)
    labels = [each["metadata"]["labels"] for each in objects]
    assert max(len(str(value)) for one in labels for value in one.values()) <= 63
    assert max(len(name) for _, name in names) <= 63


def test_the_longest_names_fit() -> None:
    """A long release and the longest pool's name together stay within 63 characters."""
    pool = "p" * 20
    content = yaml.safe_dump({"pools": {pool: {"tier": "slm"}}, "tasks": {}})
    values = {
        "fullnameOverride": "n" * 60,
        "catalogue": {"content": content},
        "pools": {pool: {}, "cpu-small": None},
    }
    names = [each["metadata"]["name"] for each in rendered(values=values)]
    assert max(map(len, names)) == 63
    assert not [name for name in names if "cpu-small" in name]


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_catalogue_is_one(example: str | None, tmp_path: Any) -> None:
    """What the ConfigMap lays out, path by path, is a catalogue that the fleet takes."""
    objects = rendered(example)
    volumes = [volume for _, pod in pods(objects) for volume in pod["spec"]["volumes"]]
    volume = next(one["configMap"] for one in volumes if one["name"] == "catalogue")
    held = {one["metadata"]["name"]: one["data"] for one in of_kind(objects, "ConfigMap")}
    for item in volume["items"]:
        path = tmp_path / item["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(held[volume["name"]][item["key"]], "utf-8")
    catalogue = load_catalogue(tmp_path / "catalogue.yaml")
    assert catalogue.tasks


@pytest.mark.parametrize("example", EXAMPLES)
def test_images_are_pinned(example: str | None) -> None:
    """No image goes by a tag that moves by design."""
    images = {one["image"] for _, pod in pods(rendered(example)) for one in containers(pod)}
    assert not [image for image in images if not re.search(r":[0-9]+\.[0-9]+\.[0-9]+$", image)]


def test_registry_and_digest() -> None:
    """The prefix stands before every image, and a digest takes the tag's place."""
    digest = "sha256:" + "0" * 64
    images = {"registry": "registry.example.com/mirror/", "redis": {"digest": digest}}
    found = {
        one["image"]
        for _, pod in pods(rendered(values={"images": images}))
        for one in containers(pod)
    }
    assert f"registry.example.com/mirror/redis@{digest}" in found
    assert all(image.startswith("registry.example.com/mirror/") for image in found)


def _without_secrets(objects: list[Object]) -> list[Object]:
    for each in of_kind(objects, "Secret"):
        each["stringData"] = {
            key: _RANDOM.sub("", value) for key, value in each["stringData"].items()
        }
    return sorted(objects, key=lambda each: (each["kind"], each["metadata"]["name"]))
