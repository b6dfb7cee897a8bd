"""Network policies: everything is denied, and exactly the arrows of the design are let through."""

from typing import Any

import pytest
from tests.support.charts import EXAMPLES, Object, of_kind, refusal, rendered

DNS = ("namespace kube-system", (53, 53))
#: With keda, a producer and the chart's own Redis.
KEDA = {"router": {"autoscaling": {"type": "keda"}}}


def arrows(objects: list[Object], direction: str) -> set[tuple[str, str, tuple[int, ...]]]:
    """List who may talk to whom, seen from one end: component, peer, ports."""
    found = set()
    for policy in of_kind(objects, "NetworkPolicy"):
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
        own = policy["spec"]["podSelector"]["matchLabels"].get("app.kubernetes.io/component", "all")
        side = "from" if direction == "ingress" else "to"
        for rule in policy["spec"].get(direction) or ():
            ports = tuple(port["port"] for port in rule["ports"])
            peers: list[dict[str, Any]] = rule.get(side) or [{}]
            for peer in peers:
                found.add((own, _name(peer), ports))
    return found


def _name(peer: dict[str, Any]) -> str:
    match peer:
        case {"podSelector": {"matchLabels": {"app.kubernetes.io/component": component}}}:
            return str(component)
        case {"podSelector": {"matchLabels": {"smallfirst/producer": "true"}}}:
            return "producers"
        case {"namespaceSelector": {"matchLabels": labels}}:
            return f"namespace {labels['kubernetes.io/metadata.name']}"
        case {"ipBlock": {"cidr": cidr}}:
            return str(cidr)
        case {}:
            return "anywhere"
    raise AssertionError(peer)


def test_everything_is_denied_that_is_not_said() -> None:
    """One policy takes every pod of the release, and allows nothing."""
    denying = [one for one in of_kind(rendered(), "NetworkPolicy") if "-deny" in str(one)]
    (policy,) = denying
    assert set(policy["spec"]) == {"podSelector", "policyTypes"}


def test_exactly_the_arrows_of_the_design() -> None:
    """All reach Redis and names; Redis is reached by them, producers and KEDA; no more."""
    objects = rendered(values=KEDA)
    clients = {"router", "pool-cpu-small", "flower", "test"}
    assert arrows(objects, "ingress") == {
        ("redis", peer, (6379,)) for peer in {*clients, "producers", "namespace keda"}
    }
    assert arrows(objects, "egress") == {
        *((client, "redis", (6379,)) for client in clients),
        *((client, *DNS) for client in clients),
    }


def test_without_keda_nobody_counts() -> None:
    """KEDA's namespace may reach Redis only where KEDA scales something."""
    assert ("redis", "namespace keda", (6379,)) not in arrows(rendered(), "ingress")


def test_a_redis_elsewhere_is_reached_on_its_port_alone() -> None:
    """With an external Redis, its peers and port are the only way out but names."""
    ways = arrows(rendered("external-redis-tls"), "egress")
    assert {(peer, ports) for _, peer, ports in ways} == {("10.20.0.0/16", (6380,)), DNS}


EXTERNAL: dict[str, Any] = {"enabled": True, "host": "redis.example.com", "existingSecret": "s"}
BROKER = {"cluster": {"hosts": ["c:6379"]}, "broker": {"host": "b.example.com", "port": 6380}}
ANYWHERE = [{"ipBlock": {"cidr": "0.0.0.0/0"}}, {"ipBlock": {"cidr": "::/0"}}]


def test_where_redis_is_has_to_be_said() -> None:
    """Left out, it is neither anywhere nor nowhere: each way is asked for by its name."""
    told = refusal({"redis": {"external": EXTERNAL | BROKER}})
    assert "redis.external.peers is needed where networkPolicy.enabled" in told
    assert "redis.external.broker.peers is needed where networkPolicy.enabled" in told
    without = {"networkPolicy": {"enabled": False}, "redis": {"external": EXTERNAL | BROKER}}
    assert not of_kind(rendered(values=without), "NetworkPolicy")


def test_nowhere_and_anywhere_are_said() -> None:
    """An empty list opens no way; anywhere is two networks, on the port of Redis alone."""
    nowhere = rendered(values={"redis": {"external": EXTERNAL | {"peers": []}}})
    assert {(peer, ports) for _, peer, ports in arrows(nowhere, "egress")} == {DNS}
    anywhere = rendered(values={"redis": {"external": EXTERNAL | {"peers": ANYWHERE}}})
    ways = {(peer, ports) for _, peer, ports in arrows(anywhere, "egress")}
    assert ways == {("0.0.0.0/0", (6379,)), ("::/0", (6379,)), DNS}


def test_sentinels_are_reached_too() -> None:
    """Behind Sentinels, the way out has the server's port and theirs."""
    ways = arrows(rendered("external-redis-sentinel-tls"), "egress")
    assert {(peer, ports) for _, peer, ports in ways} == {("10.20.0.0/16", (6379, 26379)), DNS}


def test_a_broker_elsewhere_is_reached_by_whoever_has_to_do_with_celery() -> None:
    """Beside a cluster, each part has a way to both, and who submits to the cluster alone."""
    ways = arrows(rendered("redis-cluster"), "egress") - {
        (own, *DNS) for own in ("router", "pool-cpu-small", "flower", "test")
    }
    both = {("10.20.0.0/16", (6379,)), ("10.30.0.0/16", (6380,))}
    for own in ("router", "pool-cpu-small", "flower"):
        assert {(peer, ports) for each, peer, ports in ways if each == own} == both
    assert {way for way in ways if way[0] == "test"} == {("test", "10.20.0.0/16", (6379,))}


def test_only_the_download_reaches_the_net() -> None:
    """The Job that fetches models may speak HTTPS to anybody; no other pod may."""
    out = {own for own, peer, _ in arrows(rendered("one-gpu"), "egress") if peer == "0.0.0.0/0"}
    assert out == {"download"}


def test_flower_is_reached_by_its_peers_alone() -> None:
    """Whom `flower.peers` names reaches Flower, on its own port."""
    ways = {arrow for arrow in arrows(rendered("cpu-only"), "ingress") if arrow[0] == "flower"}
    assert ways == {("flower", "namespace ingress-nginx", (5555,))}


def test_a_pool_may_be_shown_another_way() -> None:
    """`extraEgress` of a pool adds an arrow to that pool and to no other component."""
    rule = {"to": [{"ipBlock": {"cidr": "10.9.0.0/24"}}], "ports": [{"port": 8000}]}
    objects = rendered(values={"pools": {"cpu-small": {"extraEgress": [rule]}}})
    ways = {arrow for arrow in arrows(objects, "egress") if arrow[1] == "10.9.0.0/24"}
    assert ways == {("pool-cpu-small", "10.9.0.0/24", (8000,))}


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_pod_has_a_policy(example: str | None) -> None:
    """Each ServiceAccount, one per component, has a policy of the same name beside it."""
    objects = rendered(example)
    policies = {one["metadata"]["name"] for one in of_kind(objects, "NetworkPolicy")}
    assert {one["metadata"]["name"] for one in of_kind(objects, "ServiceAccount")} <= policies


def test_they_can_be_left_out() -> None:
    """A cluster whose network has policies of its own gets none of the chart's."""
    assert not of_kind(rendered(values={"networkPolicy": {"enabled": False}}), "NetworkPolicy")
