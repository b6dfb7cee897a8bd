"""Scaling: on what waits and what is in hand, as one sum; and nobody else sets the replicas."""

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from tests.support.charts import EXAMPLES, NAMESPACE, RELEASE, Object, named, of_kind, rendered
from tests.support.keda import Autoscaler

from smallfirst.jobs import Priority
from smallfirst.ledger.keys import POOL_GROUP, ROUTER_GROUP, Keys
from smallfirst.local.redis_server import free_port

REDIS = f"{RELEASE}-smallfirst-redis.{NAMESPACE}.svc:6379"


def scaled(type_: str, **more: object) -> list[Object]:
    """Render with the pool and the router scaled in one way."""
    scaling = {"type": type_, **more}
    values = {
        "namespace": "shop",
        "router": {"autoscaling": scaling},
        "pools": {"cpu-small": {"autoscaling": scaling}},
    }
    return rendered(values=values)


@pytest.mark.parametrize("type_", ["keda", "hpa"])
def test_whoever_is_scaled_says_no_replicas(type_: str) -> None:
    """A Deployment that something scales leaves its replicas to it; the others say theirs."""
    objects = scaled(type_)
    for component in ("router", "pool-cpu-small"):
        assert "replicas" not in named(objects, "Deployment", component)["spec"]
    assert named(objects, "Deployment", "flower")["spec"]["replicas"] == 1
    assert "replicas" in named(rendered(), "Deployment", "router")["spec"]


@pytest.mark.parametrize(
    ("component", "group", "streams"),
    [
        ("pool-cpu-small", POOL_GROUP, {p: Keys("shop").backlog("cpu-small", p) for p in Priority}),
        (
            "router",
            ROUTER_GROUP,
            {
                "jobs": Keys("shop").of_producer("default").jobs,
                "escalations": Keys("shop").escalations,
            },
        ),
    ],
)
def test_keda_sums_what_waits_and_what_is_in_hand(
    component: str, group: str, streams: dict[str, str]
) -> None:
    """Lag and pending of each stream, each a trigger, are added up by the formula."""
    spec = named(scaled("keda"), "ScaledObject", component)["spec"]
    triggers = {one["name"]: one for one in spec["triggers"]}
    formula = spec["advanced"]["scalingModifiers"]["formula"]
    assert sorted(formula.split(" + ")) == sorted(triggers)
    assert set(triggers) == {f"{short}_{what}" for short in streams for what in ("lag", "pending")}
    for short, stream in streams.items():
        lag, pending = (triggers[f"{short}_{what}"]["metadata"] for what in ("lag", "pending"))
        for metadata in (lag, pending):
            assert (metadata["stream"], metadata["consumerGroup"]) == (stream, group)
            assert metadata["address"] == REDIS
        assert "lagCount" in lag
        # With `lagCount` KEDA would count what waits a second time.
        assert set(pending) & {"lagCount", "streamLength"} == set()
        assert "pendingEntriesCount" in pending


def test_keda_counts_every_producer() -> None:
    """Each of those that the values name has its own stream, whatever its name holds."""
    producers = [{"name": "post-office"}, {"name": "bank", "weight": 3}]
    scaling = {"type": "keda"}
    values = {"producers": producers, "router": {"autoscaling": scaling}}
    spec = named(rendered(values=values), "ScaledObject", "router")["spec"]
    streams = {trigger["metadata"]["stream"] for trigger in spec["triggers"]}
    own = {f"{{sf:0}}:jobs:{name}" for name in ("default", "post-office", "bank")}
    assert streams == {*own, "{sf:0}:escalations"}
    formula = spec["advanced"]["scalingModifiers"]["formula"]
    assert sorted(formula.split(" + ")) == sorted(one["name"] for one in spec["triggers"])
    assert "-" not in formula


@pytest.mark.parametrize("component", ["router", "pool-cpu-small"])
def test_keda_counts_every_slice(component: str) -> None:
    """Each stream of one slice is there once for each, and the formula adds them all up."""
    scaling = {"autoscaling": {"type": "keda"}}
    values = {"router": scaling, "pools": {"cpu-small": scaling}, "producers": [{"name": "shop"}]}
    one, three = (
        named(rendered(values={**values, "slices": count}), "ScaledObject", component)["spec"]
        for count in (1, 3)
    )
    streams = {trigger["metadata"]["stream"] for trigger in one["triggers"]}
    expected = {each.replace("{sf:0}", f"{{sf:{n}}}") for each in streams for n in range(3)}
    assert {trigger["metadata"]["stream"] for trigger in three["triggers"]} == expected
    formula = three["advanced"]["scalingModifiers"]["formula"]
    assert sorted(formula.split(" + ")) == sorted(each["name"] for each in three["triggers"])
    assert len(three["triggers"]) == 3 * len(one["triggers"])


def test_keda_asks_a_cluster() -> None:
    """By some of its nodes, and without a database: it has one."""
    for component in ("router", "pool-cpu-small"):
        for trigger in named(rendered("redis-cluster"), "ScaledObject", component)["spec"][
            "triggers"
        ]:
            assert trigger["type"] == "redis-cluster-streams"
            assert trigger["metadata"]["addresses"].count(".redis.example.com:6379") == 2
            assert not {"address", "databaseIndex"} & set(trigger["metadata"])


def test_keda_has_the_form_of_its_kind() -> None:
    """A ScaledObject's fields are those of KEDA, and every value of a trigger is a string."""
    for each in of_kind(scaled("keda"), "ScaledObject"):
        spec = each["spec"]
        assert set(spec) <= {
            "scaleTargetRef",
            "minReplicaCount",
            "maxReplicaCount",
            "pollingInterval",
            "cooldownPeriod",
            "fallback",
            "advanced",
            "triggers",
        }
        assert set(spec["advanced"]) == {"scalingModifiers", "horizontalPodAutoscalerConfig"}
        modifiers = spec["advanced"]["scalingModifiers"]
        assert set(modifiers) == {"formula", "target", "activationTarget", "metricType"}
        assert modifiers["metricType"] == "AverageValue"
        for trigger in spec["triggers"]:
            assert set(trigger) == {"type", "name", "metadata", "authenticationRef"}
            assert trigger["type"] == "redis-streams"
            assert all(isinstance(value, str) for value in trigger["metadata"].values())


def test_a_pool_rests_and_a_router_does_not() -> None:
    """A pool may have no worker at all while nothing waits."""
    objects = rendered("one-gpu")
    assert named(objects, "ScaledObject", "pool-gpu")["spec"]["minReplicaCount"] == 0
    assert not of_kind(objects, "HorizontalPodAutoscaler")


@pytest.mark.parametrize("is_fallback_polled", [False, True])
def test_an_outage_of_redis_changes_nothing(*, is_fallback_polled: bool) -> None:
    """However long KEDA cannot ask, as many stay as there are; who rests goes on resting."""
    spec = named(rendered("one-gpu"), "ScaledObject", "pool-gpu")["spec"]
    with Redis(port=free_port(), retry=Retry(NoBackoff(), 0)) as nobody:
        for replicas in (0, 1, spec["maxReplicaCount"]):
            autoscaler = Autoscaler(
                spec, nobody, replicas, last_active=0.0, is_fallback_polled=is_fallback_polled
            )
            for now in range(0, 3600, spec["pollingInterval"]):
                autoscaler.turn(float(now))
            assert autoscaler.history == [replicas]


def test_keda_connects_as_the_scaler() -> None:
    """Name and password come from the Secret with Redis's users; without TLS nothing else does."""
    spec = named(scaled("keda"), "TriggerAuthentication", "scaler")["spec"]
    assert {one["parameter"]: one["key"] for one in spec["secretTargetRef"]} == {
        "username": "scaler-username",
        "password": "scaler-password",
    }


def test_keda_verifies_an_external_redis() -> None:
    """With TLS, KEDA gets the switch and the certificate from Secrets, and nothing in metadata."""
    objects = rendered("external-redis-tls")
    found = named(objects, "TriggerAuthentication", "scaler")["spec"]["secretTargetRef"]
    assert {one["parameter"] for one in found} == {"username", "password", "tls", "ca"}
    assert named(objects, "Secret", "scaler")["stringData"] == {"tls": "enable"}
    for trigger in named(objects, "ScaledObject", "pool-cpu-small")["spec"]["triggers"]:
        assert trigger["metadata"]["address"] == "redis.example.com:6380"
        assert not {"enableTLS", "unsafeSsl"} & set(trigger["metadata"])


def test_keda_asks_the_sentinels() -> None:
    """Behind Sentinels, each trigger follows the master, and has their password."""
    objects = rendered("external-redis-sentinel-tls")
    for component in ("router", "pool-cpu-small"):
        for trigger in named(objects, "ScaledObject", component)["spec"]["triggers"]:
            assert trigger["type"] == "redis-sentinel-streams"
            assert trigger["metadata"]["sentinelMaster"] == "fleet"
            assert trigger["metadata"]["addresses"].count(".redis.example.com:26379") == 3
            assert "address" not in trigger["metadata"]
    found = named(objects, "TriggerAuthentication", "scaler")["spec"]["secretTargetRef"]
    assert {"sentinelUsername", "sentinelPassword"} <= {one["parameter"] for one in found}


def test_hpa_scales_on_the_processor() -> None:
    """The alternative without KEDA targets the same Deployment."""
    spec = named(scaled("hpa", minReplicas=2), "HorizontalPodAutoscaler", "pool-cpu-small")["spec"]
    assert spec["scaleTargetRef"]["name"] == f"{RELEASE}-smallfirst-pool-cpu-small"
    assert (spec["minReplicas"], spec["metrics"][0]["resource"]["name"]) == (2, "cpu")


@pytest.mark.parametrize("example", EXAMPLES)
def test_budgets_never_block_a_drain(example: str | None) -> None:
    """A budget says how many may be away, never how many must stay, and one at least may go."""
    for budget in of_kind(rendered(example), "PodDisruptionBudget"):
        assert "minAvailable" not in budget["spec"]
        assert budget["spec"]["maxUnavailable"] != 0
