"""What a team may say of pods, accounts, images, monitors and ways out, and what becomes of it."""

from typing import Any

import kubernetes_validate
import pytest
import yaml
from tests.support.charts import (
    CHART,
    KUBERNETES,
    PLAIN,
    RELEASE,
    Object,
    containers,
    environment,
    helm,
    named,
    of_kind,
    pods,
    refusal,
    rendered,
)

METRICS = {"enabled": True, "alerts": {"enabled": True}}
OWN = {"name": "own", "image": "registry.example.com/own:1.0.0"}
#: Every kind that the chart may need and Kubernetes does not bring.
KINDS = (
    "monitoring.coreos.com/v1/PodMonitor",
    "monitoring.coreos.com/v1/PrometheusRule",
    "keda.sh/v1alpha1/ScaledObject",
    "gateway.networking.k8s.io/v1/HTTPRoute",
)


def spec_of(objects: list[Object], component: str, kind: str = "Deployment") -> dict[str, Any]:
    """Take the pod of a component."""
    spec: dict[str, Any] = named(objects, kind, component)["spec"]["template"]["spec"]
    return spec


def ways(objects: list[Object], component: str, direction: str) -> list[dict[str, Any]]:
    """Take the rules of a component's policy."""
    rules: list[dict[str, Any]] = named(objects, "NetworkPolicy", component)["spec"][direction]
    return rules


def test_security_contexts_are_laid_over_the_restricted_ones() -> None:
    """A key of one's own wins, null takes one away, and all else stays as restricted as it was."""
    own = {"podSecurityContext": {"runAsUser": 20_000, "fsGroup": None}}
    more = {"containerSecurityContext": {"readOnlyRootFilesystem": False}}
    objects = rendered(values={"defaults": own, "router": more})
    for name, pod in pods(objects):
        context = pod["spec"]["securityContext"]
        assert (context["runAsUser"], context["runAsGroup"]) == (20_000, 10_001), name
        assert context["runAsNonRoot"] is True, name
        assert "fsGroup" not in context, name
    is_read_only = {
        name: spec_of(objects, name)["containers"][0]["securityContext"]["readOnlyRootFilesystem"]
        for name in ("router", "pool-cpu-small")
    }
    assert is_read_only == {"router": False, "pool-cpu-small": True}


def test_null_takes_a_key_away_of_one_pool_alone() -> None:
    """Where only one pool says null, the others keep the default."""
    own = {"pools": {"cpu-small": {"podSecurityContext": {"runAsGroup": None}}}}
    objects = rendered(values=own)
    assert "runAsGroup" not in spec_of(objects, "pool-cpu-small")["securityContext"]
    assert "runAsGroup" in spec_of(objects, "router")["securityContext"]


def test_openshift_gives_users_and_resolves_elsewhere() -> None:
    """No pod names a user or group, and names are resolved in openshift-dns on port 5353."""
    objects = rendered(values={"openshift": True, "metrics": {"enabled": True}})
    for name, pod in pods(objects):
        context = pod["spec"]["securityContext"]
        assert not {"runAsUser", "runAsGroup", "fsGroup"} & set(context), name
        assert context["runAsNonRoot"] is True, name
    place = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "openshift-dns"}}}
    ports = [{"port": 5353, "protocol": "UDP"}, {"port": 5353, "protocol": "TCP"}]
    assert {"to": [place], "ports": ports} in ways(objects, "router", "egress")


def test_names_are_resolved_where_one_says() -> None:
    """Peers and ports of DNS are values; an empty list is nowhere, not anywhere."""
    peer = {"ipBlock": {"cidr": "169.254.20.10/32"}}
    policy = {"dns": {"peers": [peer], "ports": [53, 5353]}}
    first = ways(rendered(values={"networkPolicy": policy}), "router", "egress")[0]
    assert first["to"] == [peer]
    assert {(one["port"], one["protocol"]) for one in first["ports"]} == {
        (port, protocol) for port in (53, 5353) for protocol in ("UDP", "TCP")
    }
    (only,) = ways(rendered(values={"networkPolicy": {"dns": {"peers": []}}}), "router", "egress")
    assert only["ports"] == [{"port": 6379, "protocol": "TCP"}]


def test_an_empty_list_of_peers_is_nobody() -> None:
    """No rule of any policy lacks its peers where they were emptied."""
    values = {
        "networkPolicy": {"monitoring": [], "producers": [], "dns": {"peers": []}},
        "metrics": {"enabled": True},
        "tracing": {"enabled": True, "peers": []},
    }
    for policy in of_kind(rendered(values=values), "NetworkPolicy"):
        for rule in policy["spec"].get("ingress", []):
            assert rule["from"], policy["metadata"]["name"]
        for rule in policy["spec"].get("egress", []):
            assert rule["to"], policy["metadata"]["name"]


def test_a_registry_may_be_an_images_own() -> None:
    """A prefix of one image takes the place of the one for all."""
    images = {"registry": "registry.example.com", "redis": {"registry": "docker.io/library"}}
    found = {
        one["image"].rpartition(":")[0]
        for _, pod in pods(rendered(values={"images": images}))
        for one in containers(pod)
    }
    assert "docker.io/library/redis" in found
    assert "registry.example.com/smallfirst-router" in found


def test_accounts_have_annotations_or_are_ones_own() -> None:
    """A made account carries what is said; one that is named is used, and not made."""
    role = {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/models"}
    accounts = {"annotations": role, "labels": {"azure.workload.identity/use": "true"}}
    values = {
        "defaults": {"serviceAccount": accounts},
        "router": {"serviceAccount": {"name": "own"}},
    }
    objects = rendered(values=values)
    made = named(objects, "ServiceAccount", "pool-cpu-small")["metadata"]
    assert made["annotations"] == role
    assert made["labels"]["azure.workload.identity/use"] == "true"
    assert spec_of(objects, "router")["serviceAccountName"] == "own"
    names = {one["metadata"]["name"] for one in of_kind(objects, "ServiceAccount")}
    assert not {"own", f"{RELEASE}-smallfirst-router"} & names


def test_containers_of_ones_own_are_restricted_too() -> None:
    """They come beside the chart's, with its security context unless they have one."""
    own = {
        "initContainers": [{**OWN, "args": ["{{ .Release.Name }}"]}],
        "sidecars": [{**OWN, "name": "beside", "securityContext": {"runAsUser": 5}}],
        "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
    }
    objects = rendered("one-gpu", values={"defaults": own})
    spec = spec_of(objects, "pool-gpu")
    assert [one["name"] for one in spec["initContainers"]] == ["wait-for-models", "own"]
    assert [one["name"] for one in spec["containers"]] == ["worker", "beside"]
    assert spec["initContainers"][1]["args"] == [RELEASE]
    assert spec["initContainers"][1]["securityContext"]["readOnlyRootFilesystem"] is True
    assert spec["containers"][1]["securityContext"]["runAsUser"] == 5
    assert spec["containers"][1]["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert spec["containers"][0]["lifecycle"] == {"preStop": {"sleep": {"seconds": 5}}}
    (job,) = of_kind(objects, "Job")
    (only,) = job["spec"]["template"]["spec"]["containers"]
    assert "lifecycle" not in only


def test_a_pod_takes_what_a_cluster_needs() -> None:
    """Scheduler, host names and whole Secrets of variables reach the pod; all of it is valid."""
    own = {
        "schedulerName": "volcano",
        "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["hub.internal"]}],
        "envFrom": [{"secretRef": {"name": "keys"}}],
        "initContainers": [OWN],
        "sidecars": [{**OWN, "name": "beside"}],
        "lifecycle": {"preStop": {"exec": {"command": ["true"]}}},
        "serviceAccount": {"annotations": {"a": "b"}},
        "spread": "hard",
        "spreadOver": ["topology.kubernetes.io/zone", "kubernetes.io/hostname"],
    }
    more = {"openshift": True, "secretsAsFiles": True, "listenAddress": "::"}
    claimed = {"gpu": {"resourceClaims": [{"name": "card", "resourceClaimTemplateName": "gpus"}]}}
    objects = rendered("one-gpu", values={"defaults": own, "pools": claimed, **more})
    spec = spec_of(objects, "pool-gpu")
    spread = spec_of(objects, "router")["topologySpreadConstraints"]
    assert [one["topologyKey"] for one in spread] == own["spreadOver"]
    assert spread[0]["labelSelector"] == spread[1]["labelSelector"]
    assert spec["resourceClaims"] == claimed["gpu"]["resourceClaims"]
    assert spec["containers"][0]["resources"]["claims"] == [{"name": "card"}]
    assert spec["schedulerName"] == "volcano"
    assert spec["hostAliases"] == own["hostAliases"]
    assert spec["containers"][0]["envFrom"] == own["envFrom"]
    for each in objects:
        if "keda" not in each["apiVersion"]:
            kubernetes_validate.validate(each, KUBERNETES[-1], strict=True)


def test_monitors_and_rules_are_found_by_their_labels() -> None:
    """Prometheus's operator as its chart comes selects by `release`, and relabels as it is told."""
    labels = {"release": "kube-prometheus-stack"}
    relabelings = [{"targetLabel": "cluster", "replacement": "north"}]
    monitor = {"labels": labels, "relabelings": relabelings, "metricRelabelings": relabelings}
    metrics = {
        "enabled": True,
        "podMonitor": monitor,
        "alerts": {"enabled": True, "labels": labels},
    }
    objects = rendered(values={"metrics": metrics})
    found = of_kind(objects, "PodMonitor", "PrometheusRule")
    assert {one["metadata"]["labels"]["release"] for one in found} == {"kube-prometheus-stack"}
    (endpoint,) = named(objects, "PodMonitor", "router")["spec"]["podMetricsEndpoints"]
    own, *more = endpoint["relabelings"]
    assert own["targetLabel"] == "release"
    assert more == endpoint["metricRelabelings"] == relabelings


def test_metrics_need_no_operator() -> None:
    """A scraper of one's own finds the ports without a PodMonitor."""
    objects = rendered(values={"metrics": {"enabled": True, "podMonitor": {"enabled": False}}})
    assert not of_kind(objects, "PodMonitor")
    assert spec_of(objects, "router")["containers"][0]["ports"][0]["name"] == "metrics"


def test_a_kind_that_the_cluster_lacks_is_told() -> None:
    """Where the cluster's kinds are known, one that is missing is named with what mends it."""
    values = yaml.safe_load(PLAIN.read_text("utf-8")) | {
        "metrics": METRICS,
        "router": {"autoscaling": {"type": "keda"}},
        "desk": {"httpRoute": {"enabled": True}},
    }
    asked = ("template", RELEASE, str(CHART), "--api-versions", "v1/Pod")
    told = helm(*asked, values=values).stderr
    for kind in KINDS:
        assert f"the cluster knows no {kind}" in told
        told_with = helm(*asked, "--api-versions", kind, values=values).stderr
        assert f"the cluster knows no {kind}" not in told_with


def test_the_download_has_values_of_its_own() -> None:
    """Where it runs, what it may take, where it may go and when it is taken away are said apart."""
    egress = [{"to": [{"ipBlock": {"cidr": "10.1.0.0/16"}}], "ports": [{"port": 3128}]}]
    more = [{"to": [{"ipBlock": {"cidr": "10.2.0.0/16"}}], "ports": [{"port": 443}]}]
    download = {
        "nodeSelector": {"zone": "a"},
        "resources": {"limits": {"memory": "4Gi"}},
        "egress": egress,
        "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
        "ttlSecondsAfterFinished": 600,
    }
    values = {"modelCache": {"download": download}, "defaults": {"extraEgress": more}}
    objects = rendered("one-gpu", values=values)
    (job,) = of_kind(objects, "Job")
    spec = job["spec"]["template"]["spec"]
    assert job["spec"]["ttlSecondsAfterFinished"] == 600
    assert spec["nodeSelector"]["zone"] == "a"
    assert spec["containers"][0]["resources"]["limits"]["memory"] == "4Gi"
    assert environment(spec["containers"][0])["HTTPS_PROXY"] == "http://proxy:3128"
    assert ways(objects, "download", "egress")[1:] == [*egress, *more]
    assert "nodeSelector" not in spec_of(objects, "pool-cpu-small")


def test_only_pools_that_need_the_claim_mount_it() -> None:
    """A pool whose models are in its image neither mounts the claim nor waits for the download."""
    objects = rendered("one-gpu")
    volumes = {
        name: {one["name"] for one in spec_of(objects, name)["volumes"]}
        for name in ("pool-cpu-small", "pool-gpu")
    }
    assert "models" not in volumes["pool-cpu-small"]
    assert "models" in volumes["pool-gpu"]
    assert "initContainers" not in spec_of(objects, "pool-cpu-small")


@pytest.mark.parametrize("parameters", ["184M", None])
def test_a_model_that_may_fit_is_mounted(parameters: str | None) -> None:
    """A model whose size is not told may be in any pool of its tier; one too large is in none."""
    about = {"source": "/models/x", **({"parameters": parameters} if parameters else {})}
    pools = {
        "cpu-small": {"tier": "slm", "max_parameters": "50M"},
        "cpu-base": {"tier": "slm", "max_parameters": "500M"},
    }
    content = yaml.safe_dump({"version": 1, "pools": pools, "models": {"x": about}, "tasks": {}})
    values = {
        "catalogue": {"content": content},
        "modelCache": {"existingClaim": "c"},
        "pools": {"cpu-base": {}},
    }
    objects = rendered(values=values)
    mounted = {
        name
        for name in pools
        if "models" in {one["name"] for one in spec_of(objects, f"pool-{name}")["volumes"]}
    }
    assert mounted == ({"cpu-base"} if parameters else set(pools))


def test_secrets_may_be_files() -> None:
    """No variable comes from a Secret's key then; each lies under its own name in /run/secrets."""
    values = {"secretsAsFiles": True, "desk": {"enabled": True, "auth": {"existingSecret": "d"}}}
    objects = rendered("redis-cluster", values=values)
    for name in ("router", "pool-cpu-small", "desk"):
        spec = spec_of(objects, name)
        given = environment(spec["containers"][0])
        assert not [value for value in given.values() if not isinstance(value, str)], name
        (volume,) = [one["projected"] for one in spec["volumes"] if one["name"] == "secrets"]
        paths = {one["secret"]["items"][0]["path"] for one in volume["sources"]}
        other = "SMALLFIRST_DESK_SECRET" if name == "desk" else "SMALLFIRST_BROKER_URL"
        assert paths == {"SMALLFIRST_REDIS_URL", other}


def test_pods_listen_on_addresses_of_ipv6() -> None:
    """Metrics, desk and Flower listen where they are told, and Flower's probe asks there."""
    auth = {"auth": {"existingSecret": "s"}}
    values = {"listenAddress": "::", "metrics": {"enabled": True}, "flower": auth}
    objects = rendered(values=values | {"desk": {"enabled": True, **auth}})
    hosts = [
        environment(spec_of(objects, name)["containers"][0])[f"SMALLFIRST_{key}"]
        for name, key in (("router", "METRICS_HOST"), ("desk", "DESK_HOST"))
    ]
    assert hosts == ["::", "::"]
    (flower,) = spec_of(objects, "flower")["containers"]
    assert "--address=::" in flower["command"]
    assert "http://[::1]:5555" in str(flower["livenessProbe"])


def test_typing_errors_of_these_are_refused() -> None:
    """The schema is as closed here as elsewhere."""
    wrong: tuple[dict[str, Any], ...] = (
        {"networkPolicy": {"dns": []}},
        {"networkPolicy": {"dns": {"ports": []}}},
        {"listenAddress": "localhost"},
        {"defaults": {"serviceAccount": {"create": True}}},
        {"modelCache": {"download": {"replicas": 2}}},
        {"metrics": {"podMonitor": {"label": {}}}},
    )
    for values in wrong:
        assert "schema" in refusal(values)
