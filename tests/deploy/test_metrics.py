"""Metrics: nothing of them unless asked for; then a port, a PodMonitor, and Prometheus let in."""

from tests.deploy.charts import named, of_kind, rendered


def test_nothing_is_promised_that_is_not_served() -> None:
    """As it comes, no pod names a port of metrics and nobody is told to read one."""
    objects = rendered()
    assert not of_kind(objects, "PodMonitor")
    assert "metrics" not in str(objects).replace("/metrics", "")


def test_where_asked_for_they_are_read() -> None:
    """Routers and workers have the port; a PodMonitor each reads it; Prometheus's namespace may."""
    objects = rendered(values={"metrics": {"enabled": True, "port": 9200}})
    for component in ("router", "pool-cpu-small"):
        pod = named(objects, "Deployment", component)["spec"]["template"]
        port = {"name": "metrics", "containerPort": 9200, "protocol": "TCP"}
        assert pod["spec"]["containers"][0]["ports"] == [port]
        monitor = named(objects, "PodMonitor", component)["spec"]
        assert monitor["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
        assert monitor["podMetricsEndpoints"] == [{"port": "metrics", "interval": "15s"}]
        (rule,) = named(objects, "NetworkPolicy", component)["spec"]["ingress"]
        assert rule["ports"] == [{"port": 9200, "protocol": "TCP"}]
    assert len(of_kind(objects, "PodMonitor")) == 2
