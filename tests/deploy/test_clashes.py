"""What would stand twice in an object, or take away what the chart needs, is refused or merged."""

import copy
import shutil
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.charts import (
    CHART,
    EXAMPLES,
    HELMS,
    PLAIN,
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
from tests.support.kube_api import api_server
from tests.support.releases import apply

OWN = {"name": "own", "image": "registry.example.com/own:1.0.0"}
SELECTED = "app.kubernetes.io/component"


def of_all(**values: Any) -> dict[str, Any]:
    """Give values of every component."""
    return {"defaults": values}


#: Values, what the chart tells of them, and what a server tells of what they render; None where it
#: would store it.
CLASHES: list[tuple[dict[str, Any], str, str | None]] = [
    (
        of_all(extraEnv=[{"name": "HOME", "value": "/"}]),
        "router: extraEnv has HOME",
        'duplicate entries for key [name="HOME"]',
    ),
    (
        of_all(extraEnv=[{"name": "SMALLFIRST_REDIS_URL", "value": "x"}]),
        "extraEnv has SMALLFIRST_REDIS_URL",
        'duplicate entries for key [name="SMALLFIRST_REDIS_URL"]',
    ),
    (
        of_all(extraEnv=[{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]),
        "extraEnv has A",
        'duplicate entries for key [name="A"]',
    ),
    (
        of_all(extraVolumes=[{"name": "tmp", "emptyDir": {}}]),
        "router: extraVolumes has tmp",
        'duplicate entries for key [name="tmp"]',
    ),
    (
        {"redis": {"internal": {"extraVolumes": [{"name": "data", "emptyDir": {}}]}}},
        "redis: extraVolumes has data",
        'volumes.name: Duplicate value: "data"',
    ),
    (
        of_all(extraVolumeMounts=[{"name": "tmp", "mountPath": "/tmp"}]),
        "extraVolumeMounts has /tmp",
        'duplicate entries for key [mountPath="/tmp"]',
    ),
    (
        of_all(initContainers=[OWN], sidecars=[OWN]),
        "two containers would have the name own",
        'containers.name: Duplicate value: "own"',
    ),
    (
        of_all(initContainers=[{**OWN, "name": "router"}]),
        "two containers would have the name router",
        'containers.name: Duplicate value: "router"',
    ),
    (
        of_all(hostAliases=[{"ip": "10.0.0.1"}, {"ip": "10.0.0.1"}]),
        "router: hostAliases has 10.0.0.1 twice",
        'duplicate entries for key [ip="10.0.0.1"]',
    ),
    (
        {"images": {"pullSecrets": ["a", "a"]}},
        "pullSecrets",
        'duplicate entries for key [name="a"]',
    ),
    (
        of_all(podLabels={SELECTED: "x"}),
        f"router: podLabels.{SELECTED}",
        "`selector` does not match template `labels`",
    ),
    ({"commonLabels": {SELECTED: "x"}}, f"a label {SELECTED} of yours", None),
    (
        {"commonLabels": {"app.kubernetes.io/managed-by": "x"}},
        "a label app.kubernetes.io/managed-by",
        None,
    ),
    (
        {"metrics": {"podMonitor": {"labels": {SELECTED: "x"}}}},
        f"a label {SELECTED} of yours",
        None,
    ),
    (
        {"catalogue": {"files": {"a/b.jsonl": "", "a__b.jsonl": ""}}},
        "would have the key a__b.jsonl of the ConfigMap",
        None,
    ),
    (
        {"catalogue": {"files": {"catalogue.yaml": ""}}},
        "as catalogue.content has: rename one",
        None,
    ),
    (
        {"catalogue": {"files": {"a": "", "a/b": ""}}},
        "cannot be a file and the folder of a/b",
        None,
    ),
    (
        {"catalogue": {"files": {"a": "x" * 2**20}}},
        "a ConfigMap holds 1048576",
        "Too long: may not be more than 1048576 bytes",
    ),
    ({"router": {"replicas": 0}}, "router: without replicas no job would be read", None),
]
#: What a server would refuse too.
REFUSED = [(values, answer) for values, _, answer in CLASHES if answer]


@pytest.mark.parametrize(
    ("values", "told"),
    [(values, told) for values, told, _ in CLASHES],
    ids=[told for _, told, _ in CLASHES],
)
def test_what_clashes_is_refused(values: dict[str, Any], told: str) -> None:
    """A name that the chart has already is told, with the value that has it."""
    assert told in refusal(values)


@pytest.fixture(scope="module")
def unguarded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the chart, and take from it what refuses values before they are rendered."""
    chart = tmp_path_factory.mktemp("unguarded") / "smallfirst"
    shutil.copytree(CHART, chart)
    guard = chart / "templates" / "_validate.tpl"
    text = guard.read_text("utf-8")
    assert text.count("fail (printf") == 1
    guard.write_text(text.replace("fail (printf", "$_ := (printf"), "utf-8")
    schema = chart / "values.schema.json"
    schema.write_text("{}", "utf-8")
    return chart


def _together(one: Any, other: Any) -> Any:
    """Lay values over others; their lists are one after the other."""
    if isinstance(one, dict) and isinstance(other, dict):
        return {
            key: _together(one[key], other[key])
            if key in one and key in other
            else {**one, **other}[key]
            for key in {**one, **other}
        }
    return [*one, *other] if isinstance(one, list) else other


@pytest.mark.parametrize("is_of_lists", [True, False])
def test_a_server_would_refuse_it_later(unguarded: Path, *, is_of_lists: bool) -> None:
    """What the chart refuses beforehand, a server-side apply refuses in mid-release."""
    # A server that cannot tell a list's entries apart looks at nothing else.
    chosen = [each for each in REFUSED if each[1].startswith("duplicate entries") is is_of_lists]
    values = reduce(_together, (each for each, _ in chosen))
    place = ("--namespace", "prod", "--values", str(PLAIN))
    done = helm("template", "acme", str(unguarded), *place, values=values)
    assert done.returncode == 0, done.stderr
    objects = list(yaml.load_all(done.stdout, yaml.CSafeLoader))
    with api_server() as (_, port):
        refused = " ".join(apply(port, [one for one in objects if one]))
    assert not [answer for _, answer in chosen if answer not in refused]


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_can_be_applied_again_and_again(example: str | None) -> None:
    """A server takes each object by a server-side apply, and the second changes nothing."""
    objects = rendered(example)
    with api_server() as (cluster, port):
        assert not apply(port, objects)
        before = copy.deepcopy(cluster.objects)
        assert not apply(port, objects)
        assert cluster.objects == before
        assert len(before) == len(objects)


@pytest.mark.parametrize(
    ("part", "key"),
    [
        ("defaults", "resources"),
        ("defaults", "autoscaling"),
        ("defaults", "tmpSize"),
        ("poolDefaults", "gpu"),
        ("poolDefaults", "passSeconds"),
        ("catalogue", "content"),
    ],
)
@pytest.mark.parametrize("version", HELMS)
def test_a_null_is_told_by_its_name(part: str, key: str, version: str) -> None:
    """Null takes a default away; where nothing can be rendered without it, it is named."""
    told = refusal({part: {key: None}}, version=version)
    assert f"{part}.{key} may not be null" in told or "schema" in told
    assert "nil pointer" not in told


MERGED = {
    "commonLabels": {"app.kubernetes.io/part-of": "mail", "team": "north"},
    "metrics": {
        "enabled": True,
        "dashboards": {"enabled": True, "labels": {"team": "south", "grafana_dashboard": "1"}},
    },
}


def test_labels_are_merged() -> None:
    """A label that the chart has by way of information may be another; none stands twice."""
    objects = rendered(values=MERGED)
    labels = named(objects, "Deployment", "router")["metadata"]["labels"]
    assert labels["app.kubernetes.io/part-of"] == "mail"
    assert named(objects, "ConfigMap", "dashboard-fleet")["metadata"]["labels"]["team"] == "south"


def _assert_no_key_twice(node: yaml.Node) -> None:
    if isinstance(node, yaml.MappingNode):
        _assert_once(str(node.start_mark), [key.value for key, _ in node.value])
        for _, value in node.value:
            _assert_no_key_twice(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _assert_no_key_twice(value)


def test_no_key_and_no_name_stands_twice() -> None:
    """Each list that a server merges by a key has each key once, as a server-side apply demands."""
    done = helm("template", "acme", str(CHART), "--values", str(PLAIN), values=MERGED)
    assert done.returncode == 0, done.stderr
    for node in yaml.compose_all(done.stdout):
        _assert_no_key_twice(node)
    for name, pod in pods(list(filter(None, yaml.safe_load_all(done.stdout)))):
        for container in containers(pod):
            _assert_once(name, [one["name"] for one in container.get("env", ())])
            _assert_once(name, [one["mountPath"] for one in container["volumeMounts"]])
        _assert_once(name, [one["name"] for one in pod["spec"]["volumes"]])
        _assert_once(name, [one["name"] for one in containers(pod)])


def _assert_once(place: str, names: list[str]) -> None:
    assert len(names) == len(set(names)), place


def test_two_tasks_are_two_containers() -> None:
    """Tasks whose names differ in what a container's name cannot hold are both tested."""
    jobs = {"a_b": "x", "a-b": "x", "a_": "x", "t" * 64: "x", "t" * 63: "x"}
    tested = named(rendered(values={"test": {"jobs": jobs}}), "Pod", "test")["spec"]["containers"]
    names = [one["name"] for one in tested]
    _assert_once("test", names)
    assert max(map(len, names)) <= 63
    assert {one["command"][one["command"].index("--task") + 1] for one in tested} >= set(jobs)


@pytest.mark.parametrize(("said", "rendered_as"), [("fast", "fast"), ("-", "")])
def test_no_storage_class_can_be_said(said: str, rendered_as: str) -> None:
    """A dash is no class, as elsewhere among charts, for volumes that were made beforehand."""
    values = {
        "redis": {"internal": {"persistence": {"storageClass": said}}},
        "modelCache": {"create": True, "storageClass": said},
    }
    objects = rendered(values=values)
    (claim,) = named(objects, "StatefulSet", "redis")["spec"]["volumeClaimTemplates"]
    models = named(objects, "PersistentVolumeClaim", "models")
    assert claim["spec"]["storageClassName"] == models["spec"]["storageClassName"] == rendered_as


def test_long_names_stay_apart() -> None:
    """Two releases whose names begin alike have objects of different names."""
    names = []
    for end in ("one", "two"):
        place = ("template", "a" * 50 + end, str(CHART), "--values", str(PLAIN))
        (policy,) = [
            one["metadata"]["name"]
            for one in of_kind(list(yaml.safe_load_all(helm(*place).stdout)), "StatefulSet")
        ]
        names.append(policy)
    assert names[0] != names[1]
    assert max(map(len, names)) <= 63


def redis_at(host: str) -> dict[str, Any]:
    """Give values with a Redis elsewhere that KEDA asks."""
    return {
        "redis": {"external": {"enabled": True, "host": host, "existingSecret": "s", "peers": []}},
        "router": {"autoscaling": {"type": "keda"}},
    }


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("fd00::1", "[fd00::1]:6379"),
        ("[fd00::1]", "[fd00::1]:6379"),
        ("10.0.0.1", "10.0.0.1:6379"),
        ("redis.example.com", "redis.example.com:6379"),
    ],
)
def test_a_redis_may_have_an_address_of_ipv6(host: str, address: str) -> None:
    """KEDA and producers get the address in brackets, and the port behind them."""
    objects: list[Object] = rendered(values=redis_at(host))
    trigger = named(objects, "ScaledObject", "router")["spec"]["triggers"][0]
    assert trigger["metadata"]["address"] == address
    cluster = {
        "redis": {"external": {"cluster": {"hosts": ["[fd00::2]:6379"]}, "broker": {"host": host}}}
    }
    (desk,) = named(rendered("redis-cluster", values=cluster), "Pod", "test")["spec"]["containers"][
        :1
    ]
    broker = environment(desk)["SMALLFIRST_BROKER_URL"]
    assert broker == f"redis://{address.rpartition(':')[0]}:6380/0"


@pytest.mark.parametrize("host", ["fd00::1/64", "a b", "redis:6379", "user@host"])
def test_what_is_no_host_is_refused(host: str) -> None:
    """Neither a network nor an address with port or user is taken for a host."""
    assert "schema" in refusal(redis_at(host))
