"""What runs in a pod is what the fleet understands: commands, variables, grace, volumes, probes."""

import importlib.util
import json
import os
from typing import Any

import pytest
from tests.support.charts import EXAMPLES, containers, environment, named, of_kind, pods, rendered

from smallfirst.settings import (
    RouterSettings,
    Settings,
    WorkerSettings,
    known_variables,
    load_settings,
)

CLASSES: dict[str, type[Settings]] = {"router": RouterSettings, "worker": WorkerSettings}


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin with none of our variables set, whatever the machine that runs the tests has."""
    for name in list(os.environ):
        if name.upper().startswith("SMALLFIRST_"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_variable_is_a_setting(example: str | None) -> None:
    """No variable with our prefix is rendered that no component reads; none is given twice."""
    for name, pod in pods(rendered(example)):
        for container in containers(pod):
            names = [one["name"] for one in container.get("env", ())]
            assert len(names) == len(set(names)), name
            ours = {one for one in names if one.startswith("SMALLFIRST_")}
            assert ours <= known_variables(), name


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_settings_are_taken(example: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each router's and worker's own settings class accepts the environment that it is given."""
    for _, pod in pods(rendered(example)):
        (container, *others) = pod["spec"]["containers"]
        if others or container["name"] not in CLASSES:
            continue
        with monkeypatch.context() as patch:
            for key, value in environment(container).items():
                given = value if isinstance(value, str) else "redis://user:pass@redis:6379/0"
                patch.setenv(key, given)
            settings = load_settings(CLASSES[container["name"]])
        assert settings.log_format == "json"


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_modules_exist(example: str | None) -> None:
    """What a Python container or probe starts can be found."""
    for name, pod in pods(rendered(example)):
        for container in containers(pod):
            probes = [value for key, value in container.items() if key.endswith("Probe")]
            commands = [
                container["command"],
                *(one["exec"]["command"] for one in probes if "exec" in one),
            ]
            for command in commands:
                if command[:2] == ["python", "-m"]:
                    assert importlib.util.find_spec(command[2]), f"{name}: {command}"


@pytest.mark.parametrize("example", EXAMPLES)
def test_a_worker_may_finish_its_pass(example: str | None) -> None:
    """The grace is longer than the longest pass and the lease after it, from one value per pool."""
    for name, pod in pods(rendered(example)):
        for container in containers(pod):
            if container["name"] == "worker":
                given = environment(container)
                longest = float(given["SMALLFIRST_PASS_SECONDS"])
                lease = float(given["SMALLFIRST_LEASE_SECONDS"])
                assert pod["spec"]["terminationGracePeriodSeconds"] >= longest + lease + 5, name


def test_one_value_sets_bound_and_grace() -> None:
    """`passSeconds` of a pool is the watchdog's bound, and with the margin the pod's grace."""
    values = {"pools": {"cpu-small": {"passSeconds": 1000, "graceMarginSeconds": 40}}}
    spec = named(rendered(values=values), "Deployment", "pool-cpu-small")["spec"]["template"][
        "spec"
    ]
    assert environment(spec["containers"][0])["SMALLFIRST_PASS_SECONDS"] == str(1000)
    assert spec["terminationGracePeriodSeconds"] == 1040


def test_routers_and_workers_agree_on_the_lease() -> None:
    """One value says how long a claim holds, to those who hold and to those who judge."""
    found = [
        environment(container)["SMALLFIRST_LEASE_SECONDS"]
        for _, pod in pods(rendered(values={"leaseSeconds": 7.5}))
        for container in containers(pod)
        if container["name"] in CLASSES
    ]
    assert found == ["7.5", "7.5"]


def test_the_router_registers_the_producers() -> None:
    """With the weight of each, which is 1 unless said."""
    values = {"producers": [{"name": "shop", "weight": 2}, {"name": "post"}]}
    told = environment(_container(rendered(values=values), "router"))["SMALLFIRST_PRODUCERS"]
    assert json.loads(told) == {"shop": 2, "post": 1}
    assert "SMALLFIRST_PRODUCERS" not in environment(_container(rendered(), "router"))


def test_large_numbers_stay_whole() -> None:
    """A setting of a million is written as a person would, not with an exponent."""
    values = {"router": {"settings": {"MAX_BACKLOG_JOBS": 1_000_000}}}
    container = _container(rendered(values=values), "router")
    assert environment(container)["SMALLFIRST_MAX_BACKLOG_JOBS"] == "1000000"


def test_a_pool_may_serve_another_name() -> None:
    """The catalogue's pool may have a name that Kubernetes would not take."""
    content = (
        "{version: 1, pools: {cpu_small: {tier: slm, max_parameters: 50M}}, models: {}, tasks: {}}"
    )
    values = {"catalogue": {"content": content}, "pools": {"cpu-small": {"pool": "cpu_small"}}}
    container = _container(rendered(values=values), "pool-cpu-small")
    assert environment(container)["SMALLFIRST_POOL"] == "cpu_small"


def test_gpus_and_shared_memory() -> None:
    """GPUs are asked for and limited alike; over several, /dev/shm is memory of the pod."""
    one = named(rendered("one-gpu"), "Deployment", "pool-gpu")["spec"]["template"]["spec"]
    many = named(rendered("multi-gpu-tensor-parallel"), "Deployment", "pool-gpu-large")
    many = many["spec"]["template"]["spec"]
    for spec, count in ((one, 1), (many, 4)):
        resources = spec["containers"][0]["resources"]
        assert resources["requests"]["nvidia.com/gpu"] == count
        assert resources["limits"]["nvidia.com/gpu"] == count
    shared = {"medium": "Memory", "sizeLimit": "32Gi"}
    assert {"name": "shared-memory", "emptyDir": shared} in many["volumes"]
    assert "shared-memory" not in str(one)


def test_a_rollout_needs_no_spare_gpu() -> None:
    """A pool with GPUs replaces one worker at a time, the old one first."""
    objects = rendered("one-gpu")
    strategy = named(objects, "Deployment", "pool-gpu")["spec"]["strategy"]
    assert strategy["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    assert "strategy" not in named(objects, "Deployment", "pool-cpu-small")["spec"]


def test_workers_wait_for_what_is_fetched() -> None:
    """A pool starts when the Job's mark says that all models, at their commits, are there."""
    objects = rendered("one-gpu")
    (job,) = (pod for name, pod in pods(objects) if name.startswith("Job/"))
    worker = named(objects, "Deployment", "pool-gpu")["spec"]["template"]
    mark = worker["spec"]["initContainers"][0]["command"][2].split()[3]
    script = job["spec"]["containers"][0]["command"][2]
    assert script.splitlines()[-1] == f"touch {mark}"
    assert script.startswith("hf download Qwen/Qwen2.5-7B-Instruct --revision a09a3545")
    (mount,) = (
        one for one in worker["spec"]["containers"][0]["volumeMounts"] if one["name"] == "models"
    )
    assert mount["readOnly"] is True


def test_another_template_is_another_job() -> None:
    """Kubernetes changes no Job's template, so a new image is fetched with by a new Job."""
    tags = [{}, {"images": {"slm": {"tag": "9.9.9"}}}]
    jobs = [of_kind(rendered("one-gpu", values), "Job")[0]["metadata"]["name"] for values in tags]
    assert jobs[0] != jobs[1]


@pytest.mark.parametrize(
    ("catalogue", "volume"),
    [
        ({"existingConfigMap": "ours"}, {"configMap": {"name": "ours"}}),
        (
            {"existingClaim": "ours"},
            {"persistentVolumeClaim": {"claimName": "ours", "readOnly": True}},
        ),
    ],
)
def test_a_catalogue_of_ones_own(catalogue: dict[str, str], volume: dict[str, object]) -> None:
    """An existing ConfigMap or claim is mounted, none is made, and `test.jobs` says what to try."""
    objects = rendered(values={"catalogue": catalogue, "test": {"jobs": {"topic": "x"}}})
    pod = named(objects, "Deployment", "router")["spec"]["template"]["spec"]
    assert {"name": "catalogue", **volume} in pod["volumes"]
    assert not of_kind(objects, "ConfigMap")
    tests = named(objects, "Pod", "test")["spec"]["containers"]
    assert [one["name"] for one in tests] == ["topic"]
    assert not of_kind(rendered(values={"catalogue": catalogue}), "Pod")


def test_air_gapped_processes_are_offline() -> None:
    """With `airGapped`, whoever could ask a hub is told not to."""
    for name, pod in pods(rendered("air-gapped")):
        for container in containers(pod):
            if container["name"] in CLASSES:
                given = environment(container)
                assert (given["HF_HUB_OFFLINE"], given["TRANSFORMERS_OFFLINE"]) == ("1", "1"), name


def test_extras_reach_the_pod() -> None:
    """Variables, volumes, mounts and objects of one's own are rendered, as templates."""
    pool = {
        "extraEnv": [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "k", "key": "v"}}}],
        "extraVolumes": [{"name": "own", "emptyDir": {}}],
        "extraVolumeMounts": [{"name": "own", "mountPath": "/own"}],
    }
    own = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-own"}}
    objects = rendered(values={"pools": {"cpu-small": pool}, "extraObjects": [own]})
    container = _container(objects, "pool-cpu-small")
    assert environment(container)["KEY"] == {"secretKeyRef": {"name": "k", "key": "v"}}
    assert {"name": "own", "mountPath": "/own"} in container["volumeMounts"]
    assert "acme-own" in [each["metadata"]["name"] for each in objects]


def test_probes_are_run_where_a_command_is_given() -> None:
    """A probe's command and time come from the values; startup lasts as long as loading may."""
    probes = {"startup": {"command": ["true"]}, "liveness": {"command": ["true"]}}
    objects = rendered(values={"probes": probes})
    container = _container(objects, "pool-cpu-small")
    assert container["startupProbe"]["exec"] == {"command": ["true"]}
    given = container["startupProbe"]
    assert given["periodSeconds"] * given["failureThreshold"] == 300
    assert container["livenessProbe"]["failureThreshold"] == 3


def test_a_catalogue_change_restarts_where_that_is_wanted() -> None:
    """Processes take up a change by themselves; `restartOnChange` ties the pods to its hash."""
    assert not _hash_of({})
    hashes = {
        _hash_of({"restartOnChange": True}),
        _hash_of({"restartOnChange": True, "files": {"a.jsonl": "one"}}),
        _hash_of({"restartOnChange": True, "files": {"a.jsonl": "two"}}),
    }
    assert len(hashes) == 3
    assert None not in hashes


def _hash_of(catalogue: dict[str, Any]) -> str | None:
    objects = rendered(values={"catalogue": catalogue})
    template = named(objects, "Deployment", "router")["spec"]["template"]
    found: str | None = template["metadata"].get("annotations", {}).get("checksum/catalogue")
    return found


def _container(objects: list[dict[str, Any]], component: str) -> dict[str, Any]:
    found: dict[str, Any]
    (found,) = named(objects, "Deployment", component)["spec"]["template"]["spec"]["containers"]
    return found


def test_routers_and_workers_are_probed_by_their_own_files() -> None:
    """As the chart comes: none of the three asks Redis, and all find the folder they look at."""
    objects = rendered()
    for component in ("router", "pool-cpu-small"):
        [container] = named(objects, "Deployment", component)["spec"]["template"]["spec"][
            "containers"
        ]
        told = {each["name"]: each.get("value") for each in container["env"]}
        assert told["SMALLFIRST_HEALTH_DIR"] == "/tmp/health"
        health = ["python", "-m", "smallfirst.health"]
        assert container["startupProbe"]["exec"]["command"] == [*health, "ready"]
        assert container["livenessProbe"]["exec"]["command"] == [*health, "live"]
        assert container["readinessProbe"]["exec"]["command"] == [*health, "ready"]
