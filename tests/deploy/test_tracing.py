"""Tracing: nothing of it unless asked for; then spans go to one place, and nowhere else."""

from typing import Any

import pytest
from tests.support.charts import containers, environment, named, pods, refusal, rendered

PEERS = [{"namespaceSelector": {"matchLabels": {"team": "watch"}}}]
ON = {
    "enabled": True,
    "endpoint": "http://collector.watch.svc:4400",
    "peers": PEERS,
    "ratio": 0.25,
}


def egress(objects: list[dict[str, Any]], component: str) -> list[Any]:
    """Where a component may connect to."""
    found: list[Any] = named(objects, "NetworkPolicy", component)["spec"]["egress"]
    return found


def test_nobody_traces_unless_told() -> None:
    """As it comes, no pod is told of it."""
    assert "OTEL_" not in str(rendered())
    assert "SMALLFIRST_TRACING" not in str(rendered())


@pytest.mark.parametrize("component", ["router", "pool-cpu-small"])
def test_whom_a_job_comes_by_sends_spans(component: str) -> None:
    """Where to, and how many, is said by OpenTelemetry's own variables; the way there is open."""
    objects = rendered(values={"tracing": ON})
    pod = named(objects, "Deployment", component)["spec"]["template"]
    [container] = pod["spec"]["containers"]
    told = environment(container)
    assert told["SMALLFIRST_TRACING"] == "true"
    assert told["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://collector.watch.svc:4400"
    assert told["OTEL_TRACES_SAMPLER"] == "parentbased_traceidratio"
    assert told["OTEL_TRACES_SAMPLER_ARG"] == "0.25"
    way = {"to": PEERS, "ports": [{"port": 4400, "protocol": "TCP"}]}
    assert way in egress(objects, component)
    assert way not in egress(rendered(), component)


@pytest.mark.parametrize(
    ("endpoint", "port"),
    [
        ("http://10.0.0.9:4318/v1", 4318),
        ("http://[fd00::1]:4318", 4318),
        ("http://[fd00::4318]", 80),
        ("https://spans.example.com", 443),
    ],
)
def test_the_way_is_open_to_the_addresses_port(endpoint: str, port: int) -> None:
    """One value says where spans go; without a port it is the scheme's."""
    objects = rendered(values={"tracing": {**ON, "endpoint": endpoint}})
    assert {"to": PEERS, "ports": [{"port": port, "protocol": "TCP"}]} in egress(objects, "router")


def test_nobody_else_does() -> None:
    """Flower, the exporter, Redis and the test see no job on its way."""
    objects = rendered(values={"tracing": ON, "metrics": {"enabled": True}})
    told = {
        container["name"]
        for _, pod in pods(objects)
        for container in containers(pod)
        if "SMALLFIRST_TRACING" in environment(container)
    }
    assert told == {"router", "worker"}


@pytest.mark.parametrize("wrong", [{"endpoint": "collector:4318"}, {"ratio": 2}, {"sampler": "x"}])
def test_what_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    """An address without its scheme, more than everything, a name that is none."""
    assert "tracing" in refusal({"tracing": {**ON, **wrong}})
