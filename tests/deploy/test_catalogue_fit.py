"""The chart refuses a catalogue that it was not given whole, and pools that could not serve it."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.charts import CHART, NEWEST, PLAIN, RELEASE, ROOT, helm, named, refusal, rendered

HEAD = "version: 1\npools: {cpu-small: {tier: slm, max_parameters: 50M}}\n"
MINILM = {"source": "bundled:minilm", "parameters": "22.7M"}


def given(**parts: Any) -> dict[str, Any]:
    """Give values with a catalogue: one small pool, one small model, and what else is said."""
    small = {"cpu-small": {"tier": "slm", "max_parameters": "50M"}}
    whole = {"version": 1, "pools": small, "models": {"minilm": MINILM}, "tasks": {}, **parts}
    return {"catalogue": {"content": yaml.safe_dump(whole)}}


def task(**parts: Any) -> dict[str, Any]:
    """Give values whose catalogue has one task."""
    about = {"kind": "tag", "cascade": [{"model": "minilm", "accept": 0.5}], **parts}
    return given(tasks={"pii": about})


def model(**parts: Any) -> dict[str, Any]:
    """Give values whose catalogue has one more model."""
    return given(models={"minilm": MINILM, "own": {"parameters": "20M", **parts}})


def with_llm(pool: dict[str, Any], **declared: Any) -> dict[str, Any]:
    """Give values with a pool of large models: the catalogue's and the chart's words for it."""
    pools = {
        "cpu-small": {"tier": "slm", "max_parameters": "50M"},
        "gpu": {"tier": "llm", "max_parameters": "9B", **declared},
    }
    return given(pools=pools) | {"pools": {"gpu": pool}}


def readme_catalogue() -> str:
    """Take the first catalogue of the README."""
    text = (ROOT / "README.md").read_text("utf-8")
    found = next(
        block for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if "pools:" in block
    )
    return str(found)


def install(*arguments: str) -> Any:
    """Render the chart with arguments alone, without a catalogue of the tests."""
    return helm("template", RELEASE, str(CHART), *arguments, version=NEWEST)


def test_a_fleet_needs_a_catalogue() -> None:
    """There is none that an upgrade could fall back to; the flag to type is told."""
    assert (
        "--set-file catalogue.content=catalogue.yaml"
        in install("--set", "router.replicas=3").stderr
    )


def test_the_readmes_command_takes_the_readmes_catalogue(tmp_path: Path) -> None:
    """What the README shows is installed by what the README says."""
    path = tmp_path / "catalogue.yaml"
    path.write_text(readme_catalogue(), "utf-8")
    assert install("--set-file", f"catalogue.content={path}").returncode == 0


def test_the_told_flag_gives_the_missing_file(tmp_path: Path) -> None:
    """Without its rows a catalogue is refused; with the flag that is printed it is taken."""
    path = tmp_path / "catalogue.yaml"
    path.write_text(task(examples="rows/pii.jsonl")["catalogue"]["content"], "utf-8")
    (tmp_path / "pii.jsonl").write_text("{}\n", "utf-8")
    arguments = ("--set-file", f"catalogue.content={path}")
    told = install(*arguments).stderr
    flag = re.search(r"--set-file '(catalogue\.files\.[^=]+)=(rows/pii.jsonl)'", told)
    assert flag is not None, told
    done = install(*arguments, "--set-file", f"{flag[1]}={tmp_path / 'pii.jsonl'}")
    assert done.returncode == 0, done.stderr
    assert 'path: "rows/pii.jsonl"' in done.stdout


MISSING = [
    (task(examples="pii.jsonl"), r"tasks.pii.examples is pii.jsonl, which catalogue.files lacks"),
    (task(examples="./pii.jsonl"), r"--set-file 'catalogue.files.pii\.jsonl=pii.jsonl'"),
    (task(audit={"golden": "g.jsonl"}), "tasks.pii.audit.golden is g.jsonl"),
    (
        task(cascade=[{"model": "minilm", "accept": "calibrated"}]),
        r"--set-file 'catalogue.files.calibration/pii\.json=calibration/pii.json'",
    ),
    (task(examples="../pii.jsonl"), "outside of the catalogue's folder"),
    (task(examples="/data/pii.jsonl"), "/data/pii.jsonl, which nothing mounts"),
    (
        model(source="a", endpoint="https://x/v1", ca_file="./ca.crt"),
        "models.own.ca_file is ./ca.crt",
    ),
    (model(source="./tuned"), "models.own.source, ./tuned, is a folder beside the catalogue"),
    (model(source="/models/tuned"), "models.own.source, /models/tuned, needs a claim"),
    (model(source="/models/t", tier="linear"), "models.own.source, /models/t, needs a claim"),
    (
        model(source="bundled:minilm", adapters={"a": "/models/lora"}),
        "models.own.adapters.a, /models/lora, needs a claim",
    ),
    (
        model(source="/models/t", tier="linear") | {"modelCache": {"existingClaim": "c"}},
        "set modelCache.mountInRouter",
    ),
    (
        model(source="org/name") | {"airGapped": True, "images": {"registry": "r.example"}},
        "org/name, is on the hub, which airGapped forbids",
    ),
]


@pytest.mark.parametrize(("values", "told"), MISSING, ids=[told[:50] for _, told in MISSING])
def test_what_a_catalogue_names_must_be_there(values: dict[str, Any], told: str) -> None:
    """Files and folders that no process would find are refused before there is a process."""
    assert told in refusal(values)


MOUNT = [{"name": "own", "mountPath": "/rows"}]
VOLUME = [{"name": "own", "persistentVolumeClaim": {"claimName": "own"}}]
FOUND = [
    task(examples=[{"text": "a", "spans": []}]),
    task(examples="/rows/pii.jsonl")
    | {"defaults": {"extraVolumeMounts": MOUNT, "extraVolumes": VOLUME}},
    model(source="/models/tuned") | {"modelCache": {"existingClaim": "c"}},
    model(source="/opt/models/baked"),
    model(source="org/name"),
    model(source="org/name")
    | {"airGapped": True, "images": {"registry": "r"}, "modelCache": {"existingClaim": "c"}},
]


@pytest.mark.parametrize("values", FOUND, ids=str)
def test_what_is_there_is_taken(values: dict[str, Any]) -> None:
    """Nothing is refused that a process would find."""
    assert rendered(values=values)


KEDA = {"autoscaling": {"type": "keda"}}
GIB = {"memory": "1Gi"}
UNFIT = [
    (with_llm({}), "with the image slm, which cannot run a large model: set image: llm"),
    (with_llm({"image": "llm"}), "the image llm needs a GPU"),
    (with_llm({"gpu": {"count": 1}}), "gpu.count 1, and the image slm runs on processors alone"),
    (
        {"pools": {"cpu-small": {"image": "llm", "gpu": {"count": 1}}}},
        "of tier slm, with the image llm",
    ),
    (
        {"router": {"resources": {"requests": {"memory": "2Gi"}, "limits": {"memory": "1024Mi"}}}},
        "router: resources.requests.memory 2Gi is more than its limit, 1024Mi",
    ),
    (
        {"pools": {"cpu-small": {"resources": {"limits": {"cpu": "500m"}}}}},
        "pool-cpu-small: resources.requests.cpu 1 is more than its limit, 500m",
    ),
    (
        {"pools": {"cpu-small": KEDA, "other": {"pool": "cpu-small", **KEDA}}},
        "both serve the pool cpu-small under keda",
    ),
    ({"catalogue": {"files": {"big.jsonl": "x" * (1 << 20)}}}, "a ConfigMap holds 1048576"),
    *(
        ({"router": {"settings": {name: 1}}}, f"router: settings.{name} comes from another value")
        for name in ("NAMESPACE", "HEALTH_DIR", "METRICS_PORT", "REDIS_URL", "LEASE_SECONDS")
    ),
]


@pytest.mark.parametrize(("values", "told"), UNFIT, ids=[told[:50] for _, told in UNFIT])
def test_what_does_not_fit_is_refused(values: dict[str, Any], told: str) -> None:
    """Pools, tiers, images, GPUs and sizes that contradict each other are refused."""
    assert told in refusal(values)


FIT = [
    with_llm({"image": "llm", "gpu": {"count": 1}}),
    with_llm({"image": "llm", "gpu": {"required": False}}),
    with_llm({}, remote=True),
    {"router": {"resources": {"requests": {"memory": "1024Mi"}, "limits": GIB}}},
    {"pools": {"cpu-small": KEDA, "other": {"pool": "cpu-small"}}},
]


@pytest.mark.parametrize("values", FIT, ids=lambda values: str(values.get("pools"))[:60])
def test_what_fits_is_taken(values: dict[str, Any]) -> None:
    """A large model on processors is taken where that is said, and a remote one needs no GPU."""
    assert rendered(values=values)


def test_no_gpu_is_shown_that_nobody_counted() -> None:
    """The image of large models asks for every GPU of its node; a pool without any sees none."""
    objects = rendered(values=with_llm({"image": "llm", "gpu": {"required": False}}))
    (container,) = named(objects, "Deployment", "pool-gpu")["spec"]["template"]["spec"][
        "containers"
    ]
    assert {"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"} in container["env"]


def test_a_release_with_a_dot_is_refused() -> None:
    """Services have no dots in their names; another name for the objects mends it."""
    place = ("template", "my.release", str(CHART), "--values", str(PLAIN))
    assert "no Service may have a dot: set fullnameOverride" in helm(*place).stderr
    assert helm(*place, "--set", "fullnameOverride=fleet").returncode == 0


@pytest.mark.parametrize(
    "content",
    ["[]", "text", "{pools: [cpu-small]}", "{pools: {cpu-small: }, tasks: [a], models: x}"],
)
def test_nonsense_is_refused_without_a_trace(content: str) -> None:
    """A catalogue of another shape than a catalogue has breaks no template."""
    done = install("--set-literal", f"catalogue.content={content}")
    assert "nil pointer" not in done.stderr
    assert "wrong type" not in done.stderr
    assert "error calling" not in done.stderr
