"""Metrics: nothing of them unless asked for; then a port, a PodMonitor, and Prometheus let in."""

from tests.deploy.charts import named, of_kind, rendered


def test_nothing_is_promised_that_is_not_served() -> None:
    """As it comes, no pod names a port of metrics and nobody is told to read one."""
    objects = rendered()
    assert not of_kind(objects, "PodMonitor")
    assert "metrics" not in str(objects).replace("/metrics", "")


def test_where_asked_for_they_are_read() -> None:
    """The exporter has the port and its own user; a PodMonitor reads it; Prometheus may."""
    objects = rendered(values={"metrics": {"enabled": True, "port": 9200}})
    pod = named(objects, "Deployment", "exporter")["spec"]["template"]
    [container] = pod["spec"]["containers"]
    assert container["ports"] == [{"name": "metrics", "containerPort": 9200, "protocol": "TCP"}]
    told = {each["name"]: each for each in container["env"]}
    assert told["SMALLFIRST_METRICS_PORT"]["value"] == "9200"
    key = told["SMALLFIRST_REDIS_URL"]["valueFrom"]["secretKeyRef"]["key"]
    assert key == "exporter-url"
    [monitor] = of_kind(objects, "PodMonitor")
    assert monitor["spec"]["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    assert monitor["spec"]["podMetricsEndpoints"] == [{"port": "metrics", "interval": "15s"}]
    (rule,) = named(objects, "NetworkPolicy", "exporter")["spec"]["ingress"]
    assert rule["ports"] == [{"port": 9200, "protocol": "TCP"}]
