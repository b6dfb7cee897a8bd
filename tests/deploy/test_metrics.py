"""Metrics: nothing of them unless asked for; then a port, a PodMonitor, and Prometheus let in."""

import re
from typing import Any

import pytest
import yaml
from tests.support.charts import RELEASE, ROOT, Object, environment, named, of_kind, pods, rendered
from tests.support.pages import texts_of

#: How its service discovery writes a label's name.
_AS_PROMETHEUS = str.maketrans("./-", "___")


def test_nothing_is_promised_that_is_not_served() -> None:
    """As it comes, no pod names a port of metrics and nobody is told to read one."""
    objects = rendered()
    assert not of_kind(objects, "PodMonitor")
    assert "metrics" not in str(objects).replace("/metrics", "")


@pytest.mark.parametrize(
    ("component", "user"),
    [("exporter", "exporter"), ("router", "router"), ("pool-cpu-small", "worker-cpu-small")],
)
def test_where_asked_for_they_are_read(component: str, user: str) -> None:
    """Each has the port and its own user; a PodMonitor reads it; Prometheus may."""
    objects = rendered(values={"metrics": {"enabled": True, "port": 9200}})
    pod = named(objects, "Deployment", component)["spec"]["template"]
    [container] = pod["spec"]["containers"]
    assert container["ports"] == [{"name": "metrics", "containerPort": 9200, "protocol": "TCP"}]
    told = environment(container)
    assert told["SMALLFIRST_METRICS_PORT"] == "9200"
    assert told["SMALLFIRST_METRICS_HOST"] == "0.0.0.0"  # noqa: S104 - within its own pod
    assert told["SMALLFIRST_REDIS_URL"]["secretKeyRef"]["key"] == f"{user}-url"
    monitor = named(objects, "PodMonitor", component)
    assert monitor["spec"]["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert (endpoint["port"], endpoint["interval"]) == ("metrics", "15s")
    (rule,) = named(objects, "NetworkPolicy", component)["spec"]["ingress"]
    assert rule["ports"] == [{"port": 9200, "protocol": "TCP"}]


def test_nobody_else_is_read() -> None:
    """Flower has a page of its own, and Redis speaks another language."""
    objects = rendered(values={"metrics": {"enabled": True}})
    monitors = {each["metadata"]["name"] for each in of_kind(objects, "PodMonitor")}
    assert monitors == {
        f"{RELEASE}-smallfirst-{c}" for c in ("exporter", "router", "pool-cpu-small")
    }


def test_every_series_is_told_whose_it_is() -> None:
    """Each monitor takes the label `release` from a label that its pods have, before yours."""
    own = {"targetLabel": "region", "replacement": "eu"}
    metrics = {"enabled": True, "podMonitor": {"relabelings": [own]}}
    objects = rendered(values={"metrics": metrics})
    for monitor in of_kind(objects, "PodMonitor"):
        component = monitor["metadata"]["name"].removeprefix(f"{RELEASE}-smallfirst-")
        pod = named(objects, "Deployment", component)["spec"]["template"]
        (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
        ours, yours = endpoint["relabelings"]
        [source] = ours["sourceLabels"]
        labels = {
            name.translate(_AS_PROMETHEUS): v for name, v in pod["metadata"]["labels"].items()
        }
        assert labels[source.removeprefix("__meta_kubernetes_pod_label_")] == RELEASE
        assert ours["targetLabel"] == "release"
        assert yours == own


def test_a_scraper_without_the_operator_sets_the_same_labels() -> None:
    """What the page says keeps the pods that have metrics, and tells whose they are."""
    [text] = texts_of(ROOT / "docs" / "how-to" / "deploy.md", "yml")
    [scrape] = yaml.safe_load(text)["scrape_configs"]
    kept = {
        name: target
        for name, pod in pods(rendered(values={"metrics": {"enabled": True}}))
        if (target := relabelled(pod, scrape["relabel_configs"])) is not None
    }
    assert {name.removeprefix(f"Deployment/{RELEASE}-smallfirst-") for name in kept} == {
        "exporter",
        "router",
        "pool-cpu-small",
    }
    assert {target["release"] for target in kept.values()} == {RELEASE}


def relabelled(pod: Object, configs: list[Any]) -> dict[str, str] | None:
    """A target's labels as Prometheus makes them of a pod; None where it is not kept."""
    ports = [each["name"] for each in pod["spec"]["containers"][0].get("ports", [])]
    found = {
        f"__meta_kubernetes_pod_label_{name.translate(_AS_PROMETHEUS)}": value
        for name, value in pod["metadata"]["labels"].items()
    }
    found["__meta_kubernetes_pod_container_port_name"] = ports[0] if ports else ""
    for config in configs:
        [source] = config["source_labels"]
        value = found.get(source, "")
        if config.get("action") == "keep":
            if not re.fullmatch(str(config["regex"]), value):
                return None
        else:
            found[str(config["target_label"])] = value
    return found
