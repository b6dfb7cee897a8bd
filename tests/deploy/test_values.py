"""Values that are wrong are refused, each with what mends it; none is taken without a word."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from tests.support.charts import CHART, HELMS, helm, refusal, rendered

SCHEMA = json.loads((CHART / "values.schema.json").read_text("utf-8"))
VALUES = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))

TYPING_ERRORS = [
    {"airgapped": True},
    {"airGapped": "yes"},
    {"namespace": "Shop"},
    {"logLevel": "verbose"},
    {"leaseSeconds": "six"},
    {"slices": 0},
    {"slices": 9},
    {"redis": {"external": {"cluster": {"hosts": ["no-port"]}}}},
    {"redis": {"external": {"broker": {"url": "redis://x"}}}},
    {"images": {"registy": "x"}},
    {"images": {"redis": {"digest": "sha256:abc"}}},
    {"images": {"pullPolicy": "Sometimes"}},
    {"redis": {"internal": {"maxmemory": "1gb"}}},
    {"redis": {"internal": {"persistence": {"size": "plenty"}}}},
    {"redis": {"external": {"url": "redis://x"}}},
    {"redis": {"external": {"port": 70_000}}},
    {"redis": {"external": {"keys": {"router": "x"}}}},
    {"catalogue": {"contents": ""}},
    {"catalogue": {"content": {"version": 1}}},
    {"catalogue": {"files": {"../outside": "x"}}},
    {"catalogue": {"files": {"/absolute": "x"}}},
    {"modelCache": {"download": {"models": [{"repository": "a/b"}]}}},
    {"modelCache": {"download": {"models": [{"repository": "a/b", "revision": "main"}]}}},
    {"modelCache": {"download": {"models": [{"repository": "a b", "revision": "0" * 40}]}}},
    {"modelCache": {"download": {"models": [{"repository": "a;b", "revision": "0" * 40}]}}},
    {"modelCache": {"accessModes": ["ReadWrite"]}},
    {"defaults": {"spread": "wide"}},
    {"defaults": {"pdb": {"minAvailable": 1}}},
    {"router": {"replicaCount": 3}},
    {"router": {"replicas": -1}},
    {"router": {"resources": {"limit": {"memory": "1Gi"}}}},
    {"router": {"resources": {"limits": {"memory": "lots"}}}},
    {"router": {"settings": {"SMALLFIRST_READ_COUNT": 5}}},
    {"router": {"settings": {"read_count": 5}}},
    {"router": {"autoscaling": {"type": "vpa"}}},
    {"router": {"autoscaling": {"maxReplicaCount": 3}}},
    {"router": {"passSeconds": 10}},
    {"poolDefaults": {"threads": 0}},
    {"pools": {"cpu-small": {"pasSeconds": 10}}},
    {"pools": {"cpu-small": {"passSeconds": 0}}},
    {"pools": {"cpu-small": {"passSeconds": "300"}}},
    {"pools": {"cpu-small": {"graceSeconds": 10}}},
    {"pools": {"cpu-small": {"image": "gpu"}}},
    {"pools": {"cpu-small": {"gpu": {"counts": 1}}}},
    {"pools": {"cpu-small": {"gpu": {"resourceName": "gpu"}}}},
    {"pools": {"cpu-small": {"tolerations": [{"keys": "x"}]}}},
    {"pools": {"cpu-small": {"nodeSelector": {"a": 1}}}},
    {"pools": {"cpu-small": {"extraEnv": [{"nam": "A"}]}}},
    {"pools": {"Cpu_Small": {}}},
    {"pools": {"p" * 21: {}}},
    {"pools": []},
    {"flower": {"auth": {"password": "x"}}},
    {"flower": {"auth": {"basicAuth": "nopassword"}}},
    {"flower": {"service": {"type": "ExternalName"}}},
    {"flower": {"replicas": 2}},
    {"flower": {"peers": [{"podSelectors": {}}]}},
    {"desk": {"auth": {"password": "x"}}},
    {"desk": {"service": {"type": "LoadBalancer"}}},
    {"desk": {"host": "desk.example.com"}},
    {"probes": {"liveness": {"httpGet": {}}}},
    {"networkPolicy": {"enable": False}},
    {"metrics": {"port": "metrics"}},
    {"test": {"jobs": {"topic": 1}}},
    {"extraObjects": [{"kind": "ConfigMap"}]},
]


@pytest.mark.parametrize("version", HELMS)
@pytest.mark.parametrize("values", TYPING_ERRORS, ids=lambda values: json.dumps(values)[:60])
def test_a_typing_error_is_refused(values: dict[str, object], version: str) -> None:
    """The schema refuses what it does not know, and names the chart; helm renders nothing."""
    assert "schema" in refusal(values, version=version)


def test_the_schema_is_of_the_draft_that_both_helms_know() -> None:
    """Helm 3 takes no notice of keywords that came after draft-07."""
    assert SCHEMA["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert "unevaluatedProperties" not in json.dumps(SCHEMA)


def test_every_object_of_the_schema_is_closed() -> None:
    """An object that lists its properties allows no other."""
    open_ones = [path for path, one in _schemas(SCHEMA) if "properties" in one and _is_open(one)]
    assert open_ones == []


def test_every_value_is_declared() -> None:
    """Each key of values.yaml has its place in the schema, and the other way round at the top."""
    assert set(VALUES) | {"global"} == set(SCHEMA["properties"])
    assert list(_undeclared(VALUES, SCHEMA, "")) == []


FAULTS = [
    ({"redis": {"internal": {"enabled": False}}}, "a fleet needs a Redis"),
    ({"redis": {"external": {"enabled": True}}}, "redis.external.host is needed"),
    ({"redis": {"external": {"enabled": True}}}, "redis.external.existingSecret is needed"),
    (
        {"redis": {"external": {"enabled": True, "sentinel": {"hosts": ["s:26379"]}}}},
        "redis.external.sentinel.master is needed",
    ),
    (
        {"redis": {"external": {"enabled": True, "cluster": {"hosts": ["c:6379"]}}}},
        "redis.external.broker.host is needed beside cluster.hosts",
    ),
    (
        {"redis": {"external": {"keys": {"broker-worker-gone-url": "x"}, "enabled": True}}},
        "redis.external.keys.broker-worker-gone-url names the pool gone",
    ),
    ({"router": {"settings": {"SLICES": 2}}}, "settings.SLICES comes from another value"),
    (
        {
            "redis": {
                "external": {
                    "enabled": True,
                    "host": "h",
                    "existingSecret": "s",
                    "keys": {"worker-gone-url": "x"},
                }
            }
        },
        "redis.external.keys.worker-gone-url names the pool gone",
    ),
    ({"catalogue": {"content": "a: [b"}}, "catalogue.content is no YAML"),
    ({"pools": {"gpu": {}}}, "pools.gpu serves the pool gpu, which the catalogue does not"),
    ({"pools": {"cpu-small": {"enabled": False}}}, "no entry of pools serves the catalogue's pool"),
    (
        {
            "catalogue": {
                "content": "{pools: {cpu-small: {}}, models: {big: {tensor_parallel_size: 2}}}"
            }
        },
        "model big is spread over 2 GPUs (tensor_parallel_size), and no pool has gpu.count 2",
    ),
    ({"modelCache": {"download": {"enabled": True}}}, "modelCache.download.models names nothing"),
    ({"modelCache": {"download": {"enabled": True}}}, "modelCache.download needs a claim"),
    ({"pools": {"cpu-small": {"graceMarginSeconds": 10}}}, "graceMarginSeconds 10 is less than 11"),
    ({"leaseSeconds": 60}, "graceMarginSeconds 30 is less than 65"),
    ({"leaseSeconds": 2}, "a heartbeat every 2 s cannot keep a lease of 2 s"),
    ({"pools": {"cpu-small": {"settings": {"PASS_SECONDS": 5}}}}, "settings.PASS_SECONDS comes"),
    (
        {"router": {"autoscaling": {"type": "keda", "minReplicas": 0}}},
        "router: autoscaling.minReplicas 0",
    ),
    (
        {"pools": {"cpu-small": {"autoscaling": {"type": "hpa", "minReplicas": 0}}}},
        "pool-cpu-small: autoscaling.minReplicas 0 needs keda",
    ),
    (
        {"router": {"autoscaling": {"type": "hpa", "minReplicas": 9}}},
        "autoscaling.maxReplicas is less than minReplicas",
    ),
    (
        {
            "pools": {
                "cpu-small": {
                    "startupSeconds": 900,
                    "autoscaling": {"type": "keda", "minReplicas": 0},
                }
            }
        },
        "cooldownSeconds 300 is less than startupSeconds 900",
    ),
]


@pytest.mark.parametrize(("values", "told"), FAULTS, ids=[told[:40] for _, told in FAULTS])
def test_values_that_cannot_work_are_refused(values: dict[str, object], told: str) -> None:
    """What no schema can say is checked too, and told in words that name the value."""
    assert told in refusal(values)


def test_all_faults_are_told_at_once() -> None:
    """Nobody should have to render five times to learn of five faults."""
    told = refusal({"pools": {"gpu": {}}, "leaseSeconds": 60, "airGapped": True})
    assert told.count("\n- ") >= 3


DOWNLOAD = {
    "create": True,
    "download": {"enabled": True, "models": [{"repository": "a/b", "revision": "0" * 40}]},
}


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"images": {"registry": "r.example"}, "modelCache": DOWNLOAD}, "airGapped forbids"),
        ({}, "airGapped needs images.registry"),
    ],
)
def test_air_gapped_refuses_what_needs_the_net(values: dict[str, object], told: str) -> None:
    """With `airGapped`, whatever would fetch a model or an image from outside is refused."""
    assert told in refusal({"airGapped": True, **values})
    rendered(values=values)


def test_an_old_kubernetes_is_refused() -> None:
    """The chart says which versions it is for."""
    place = ("template", "acme", str(CHART), "--kube-version", "1.28")
    assert "kubeVersion" in helm(*place).stderr


def test_faults_of_defaults_show_in_every_pool() -> None:
    """What a pool inherits is checked as if it stood in the pool."""
    assert "pools.cpu-small: graceMarginSeconds" in refusal(
        {"poolDefaults": {"graceMarginSeconds": 1}}
    )


def _schemas(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(schema, dict):
        yield path, schema
        for key, each in schema.items():
            yield from _schemas(each, f"{path}/{key}")
    elif isinstance(schema, list):
        for number, each in enumerate(schema):
            yield from _schemas(each, f"{path}/{number}")


def _is_open(schema: dict[str, Any]) -> bool:
    return "type" in schema and schema.get("additionalProperties") is not False


def _undeclared(values: Any, schema: dict[str, Any], path: str) -> Iterator[str]:
    """Walk values and schema together; maps by free names have no properties to compare."""
    if "$ref" in schema:
        schema = SCHEMA["definitions"][schema["$ref"].rpartition("/")[2]]
    if isinstance(values, dict) and "properties" in schema:
        for key, each in values.items():
            if key not in schema["properties"]:
                yield f"{path}.{key}"
            else:
                yield from _undeclared(each, schema["properties"][key], f"{path}.{key}")
