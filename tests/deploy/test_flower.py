"""Flower shows and changes nothing, and is shown to nobody whom it did not ask."""

from typing import Any

import pytest
from tests.support.charts import environment, named, of_kind, refusal, rendered

from smallfirst.local.fleet import FLOWER_OPTIONS

WAYS = [
    {"ingress": {"enabled": True, "host": "flower.example.com"}},
    {"httpRoute": {"enabled": True, "parentRefs": [{"name": "gateway"}]}},
    {"service": {"type": "NodePort"}},
    {"service": {"type": "LoadBalancer"}},
    {"peers": [{"namespaceSelector": {}}]},
]
AUTH = [{"existingSecret": "flower-auth"}, {"basicAuth": "ops:hunter2"}]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: next(iter(way)))
def test_no_way_leads_to_it_without_auth(way: dict[str, Any]) -> None:
    """Every way to expose Flower is refused without auth, and rendered with either kind."""
    assert "would show Flower without auth" in refusal({"flower": way})
    for auth in AUTH:
        rendered(values={"flower": {**way, "auth": auth}})


def test_without_auth_it_listens_inside_its_pod_alone() -> None:
    """No Service, no port, no address but the pod's own: only a port-forward reaches it."""
    objects = rendered()
    container = _container(objects)
    assert "--address=127.0.0.1" in container["command"]
    assert "ports" not in container
    assert not [one for one in of_kind(objects, "Service") if "flower" in one["metadata"]["name"]]


@pytest.mark.parametrize("auth", AUTH, ids=lambda auth: next(iter(auth)))
def test_with_auth_it_asks(auth: dict[str, str]) -> None:
    """Names and passwords, and the key of its cookies, come from a Secret."""
    objects = rendered(values={"flower": {"auth": auth}})
    given = environment(_container(objects))
    secret = auth.get("existingSecret", "acme-smallfirst-flower")
    assert given["FLOWER_BASIC_AUTH"] == {"secretKeyRef": {"name": secret, "key": "basic-auth"}}
    assert given["FLOWER_COOKIE_SECRET"]["secretKeyRef"]["name"] == secret
    assert "--address=0.0.0.0" in _container(objects)["command"]


def test_it_is_read_only_and_shows_no_texts() -> None:
    """It refuses control, and its columns are those that hold sizes, as on one machine."""
    command = _container(rendered())["command"]
    assert "--read_only=True" in command
    columns = "state,name,runtime,worker,received,result,args,uuid,started"
    assert f"--tasks_columns={columns}" in command
    assert set(FLOWER_OPTIONS) <= set(command)


def test_it_knows_the_queues_of_the_pools() -> None:
    """As the chart serves them: two releases' pools of one name are one queue."""
    pools = {"cpu-small": {}, "spare": {"pool": "cpu-small"}, "off": {"enabled": False}}
    told = environment(_container(rendered(values={"pools": pools})))
    assert told["SMALLFIRST_FLOWER_POOLS"] == "cpu-small"


@pytest.mark.parametrize("name", ["FLOWER_UNAUTHENTICATED_API", "FLOWER_READ_ONLY"])
@pytest.mark.parametrize("where", ["defaults", "flower"])
def test_no_variable_undoes_it(where: str, name: str) -> None:
    """What would open Flower's interface to strangers is refused as an extra variable too."""
    extra = {where: {"extraEnv": [{"name": name, "value": "1"}]}}
    assert f"{name} is not to be set" in refusal(extra)


def test_the_route_leads_to_its_service() -> None:
    """Ingress and route name the Service that is there, and the port that it has."""
    service = named(rendered("cpu-only"), "Service", "flower")
    ingress = named(rendered("cpu-only"), "Ingress", "flower")
    backend = ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
    assert backend["name"] == service["metadata"]["name"]
    assert backend["port"]["name"] in [port["name"] for port in service["spec"]["ports"]]
    (rule,) = named(rendered("external-redis-tls"), "HTTPRoute", "flower")["spec"]["rules"]
    assert rule == {"backendRefs": [{"name": service["metadata"]["name"], "port": 5555}]}


def test_it_can_be_left_out() -> None:
    """Without Flower nothing of it is rendered."""
    objects = rendered(values={"flower": {"enabled": False}})
    assert not [each for each in objects if each["metadata"]["name"].endswith("flower")]


def _container(objects: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any]
    (found,) = named(objects, "Deployment", "flower")["spec"]["template"]["spec"]["containers"]
    return found
