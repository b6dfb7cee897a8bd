"""Metrics: nothing of them unless asked for; then a port, a PodMonitor, and Prometheus let in."""

import pytest
from tests.support.charts import RELEASE, environment, named, of_kind, rendered


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
    assert monitor["spec"]["podMetricsEndpoints"] == [{"port": "metrics", "interval": "15s"}]
    (rule,) = named(objects, "NetworkPolicy", component)["spec"]["ingress"]
    assert rule["ports"] == [{"port": 9200, "protocol": "TCP"}]


def test_nobody_else_is_read() -> None:
    """Flower has a page of its own, and Redis speaks another language."""
    objects = rendered(values={"metrics": {"enabled": True}})
    monitors = {each["metadata"]["name"] for each in of_kind(objects, "PodMonitor")}
    assert monitors == {
        f"{RELEASE}-smallfirst-{c}" for c in ("exporter", "router", "pool-cpu-small")
    }
