"""The chart as its tests see it: rendered by the real helm, and taken apart into objects."""

import importlib.util
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "smallfirst"
#: What every rendering here begins with, as the chart has no catalogue of its own.
PLAIN = Path(__file__).with_name("plain_values.yaml")
#: Values files that come with the chart; None is the chart as it comes.
EXAMPLES = (None, *sorted(path.stem for path in (CHART / "examples").glob("*.yaml")))
KUBERNETES = ("1.29", "1.32", "1.35", "1.37")
RELEASE, NAMESPACE = "acme", "prod"

Object = dict[str, Any]


def script(name: str) -> Any:
    """Load one of the scripts beside the chart; they are no package."""
    path = ROOT / "helm" / f"{name}.py"
    if f"helm_{name}" not in sys.modules:
        spec = importlib.util.spec_from_file_location(f"helm_{name}", path)
        assert spec is not None, path
        assert spec.loader is not None, path
        module = importlib.util.module_from_spec(spec)
        sys.modules[f"helm_{name}"] = module
        spec.loader.exec_module(module)
    return sys.modules[f"helm_{name}"]


#: The newest first; the other one is rendered with too.
HELMS: tuple[str, ...] = tuple(release.version for release in script("get_helm").RELEASES)
NEWEST = HELMS[0]


def helm(*arguments: str, version: str = NEWEST, values: object = None) -> Any:
    """Run the real helm; return the finished process."""
    releases = {release.version: release for release in script("get_helm").RELEASES}
    binary = script("get_helm").binary_of(releases[version])
    stdin = "" if values is None else yaml.safe_dump(values)
    with_values = () if values is None else ("--values", "-")
    return subprocess.run(
        [str(binary), *arguments, *with_values],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def rendered(
    example: str | None = None,
    values: Mapping[str, object] | None = None,
    *,
    version: str = NEWEST,
    kubernetes: str = KUBERNETES[-1],
) -> list[Object]:
    """Render the chart and take it apart; fail where helm does."""
    done = _template(example, yaml.safe_dump(dict(values or {})), version, kubernetes)
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.load_all(done.stdout, yaml.CSafeLoader) if each]


def refusal(values: Mapping[str, object], example: str | None = None, version: str = NEWEST) -> str:
    """Say why helm refuses to render; fail where it does not."""
    done = _template(example, yaml.safe_dump(dict(values)), version, KUBERNETES[-1])
    assert done.returncode != 0, "it was rendered"
    return str(done.stderr)


@cache
def _template(example: str | None, values: str, version: str, kubernetes: str) -> Any:
    chosen = () if example is None else ("--values", str(CHART / "examples" / f"{example}.yaml"))
    place = ("--namespace", NAMESPACE, "--kube-version", kubernetes)
    arguments = ("template", RELEASE, str(CHART), *place, "--values", str(PLAIN), *chosen)
    return helm(*arguments, version=version, values=yaml.safe_load(values))


def of_kind(objects: list[Object], *kinds: str) -> list[Object]:
    """Take those of some kinds."""
    return [each for each in objects if each["kind"] in kinds]


def named(objects: list[Object], kind: str, component: str) -> Object:
    """Take the one object of a kind that a component has."""
    name = f"{RELEASE}-smallfirst-{component}"
    found = [each for each in of_kind(objects, kind) if each["metadata"]["name"] == name]
    assert len(found) == 1, f"{kind} {name}: {len(found)}"
    return found[0]


def pods(objects: list[Object]) -> Iterator[tuple[str, Object]]:
    """Give every pod that would run, by name: its metadata and spec."""
    for each in objects:
        name = f"{each['kind']}/{each['metadata']['name']}"
        if each["kind"] == "Pod":
            yield name, each
        elif each["kind"] in {"Deployment", "StatefulSet", "Job"}:
            yield name, each["spec"]["template"]


def containers(pod: Object) -> list[Object]:
    """List a pod's containers, those of its start among them."""
    return [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]


def environment(container: Object) -> dict[str, Any]:
    """Map a container's variables to their values, or to where they come from."""
    return {one["name"]: one.get("value", one.get("valueFrom")) for one in container.get("env", ())}
