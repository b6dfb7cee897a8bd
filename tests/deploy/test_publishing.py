"""What the forge does for a tag: each step is a verb of the Makefile, no action can move."""

import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import hcl2
import pytest
import yaml
from tests.support.charts import CHART, ROOT, script
from tests.support.oci_registry import registry
from tests.support.recipes import FILES, ends

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
RELEASE: dict[str, Any] = yaml.safe_load(
    (ROOT / ".github" / "workflows" / "release.yml").read_text("utf-8")
)
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
BAKE: dict[str, Any] = hcl2.loads((ROOT / "docker-bake.hcl").read_text("utf-8"))


def plain(value: Any) -> Any:
    """Take the quotes off what was read, at any depth."""
    if isinstance(value, dict):
        return {plain(key): plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value.strip('"') if isinstance(value, str) else value


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_cannot_move(path: Path) -> None:
    """Each is named by its commit, and says which version that is."""
    used = re.findall(r"uses: (.*)$", path.read_text("utf-8"), re.MULTILINE)
    assert used
    for each in used:
        assert re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each), each


def test_workflows_offer_nothing_to_an_attacker() -> None:
    """Nothing is found by zizmor, which asks nobody."""
    folder = str(ROOT / ".github")
    command = [str(Path(sys.executable).with_name("zizmor")), "--offline", "--persona", "pedantic"]
    done = subprocess.run(
        [*command, folder], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout


def test_who_may_do_what_is_said_for_each_job() -> None:
    """Nothing by default; who signs or publishes has a token, who builds the package has none."""
    assert RELEASE["permissions"] == {}
    signing = {name for name, job in RELEASE["jobs"].items() if job["permissions"].get("id-token")}
    assert signing == {"images", "chart", "publish-wheel"}
    assert {
        name
        for name, job in RELEASE["jobs"].items()
        if job["permissions"].get("contents") == "write"
    } == {"announce"}


def test_each_step_can_be_taken_here() -> None:
    """Every verb that the workflow uses is one of the Makefile's, and is understood by make."""
    runs = [
        step["run"] for job in RELEASE["jobs"].values() for step in job["steps"] if "run" in step
    ]
    called = {
        word
        for line in "\n".join(runs).splitlines()
        if line.strip().startswith("make ")
        for word in line.split()[1:]
        if "=" not in word
    }
    assert called >= {"release-check", "wheel", "push-images", "sign-images", "push-chart"}
    assert called <= set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    for verb in called:
        told = ["make", "--dry-run", verb, "VERSION=0.0.0", "REGISTRY=x.example/"]
        done = subprocess.run(told, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_nothing_is_published_before_all_is_built() -> None:
    """A version on the index cannot be taken back: the package goes last, then the page."""
    assert set(RELEASE["jobs"]["publish-wheel"]["needs"]) == {"wheel", "images", "chart"}
    assert "publish-wheel" in RELEASE["jobs"]["announce"]["needs"]


def test_what_is_baked_is_every_image() -> None:
    """Each last stage of each recipe is a target, and nothing else is."""
    wanted = {(end.name, str(path.relative_to(ROOT))) for path in FILES for end in ends(path)}
    (target,) = (each["image"] for each in plain(BAKE["target"]))
    matrix = target["matrix"]["image"]
    assert {(each["name"], each["dockerfile"]) for each in matrix} == wanted
    (group,) = (each["default"] for each in plain(BAKE["group"]))
    assert set(group["targets"]) == {name for name, _ in wanted}


def test_what_is_baked_is_told_what_the_recipes_ask() -> None:
    """Every argument of a recipe but for its base and its compiling is given, and no other is."""
    (target,) = (each["image"] for each in plain(BAKE["target"]))
    given = set(re.findall(r"\b([A-Z_]+) *[=:]", str(target["args"])))
    for path in FILES:
        asked = set(re.findall(r"^ARG ([A-Z_]+)", path.read_text("utf-8"), re.MULTILINE))
        of_it = {"TORCH_INDEX"} if path.suffix == ".slm" else set()
        assert asked - {"BASE", "COMPILE"} == (given - {"SOURCE_DATE_EPOCH"}) | of_it, path


@pytest.mark.parametrize("verb", ["images", "push-images"])
def test_no_image_is_built_with_torch_for_gpus_by_mistake(verb: str) -> None:
    """Which build a version means depends on the index, so the index has to be named."""
    make = ["make", "-C", str(ROOT), "--no-print-directory", verb, "TORCH_INDEX="]
    done = subprocess.run(make, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode != 0
    assert "TORCH_INDEX: set it to the address" in done.stderr


def test_images_carry_what_is_in_them_and_whence() -> None:
    """The verb that pushes asks for both kinds of processors, SBOM, provenance and equal layers."""
    (recipe,) = re.findall(r"^push-images:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    for told in ("--sbom=true", "--provenance=mode=max", "rewrite-timestamp=true"):
        assert told in recipe
    assert "PLATFORMS ?= linux/amd64,linux/arm64\n" in MAKEFILE


def test_the_chart_is_packed_whole(tmp_path: Path) -> None:
    """`helm package`, as `make chart` runs it, takes every file of the chart but its examples."""
    helm = script("get_helm").binary_of(script("get_helm").RELEASES[0])
    command = [str(helm), "package", str(CHART), "--destination", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    (packed,) = tmp_path.glob("smallfirst-*.tgz")
    with tarfile.open(packed) as archive:
        held = {name.removeprefix("smallfirst/") for name in archive.getnames()}
    own = {path.relative_to(CHART) for path in CHART.rglob("*") if path.is_file()}
    assert held == {str(path) for path in own if path.parts[0] != "examples"}


def test_the_chart_is_pushed_and_can_be_signed(tmp_path: Path) -> None:
    """`make push-chart` leaves it in a registry, and its digest where `make sign-chart` looks."""
    (version,) = re.findall(
        r"^version: (\S+)$", (CHART / "Chart.yaml").read_text("utf-8"), re.MULTILINE
    )
    cosign = tmp_path / "cosign"
    cosign.write_text('#!/bin/sh\necho "$@" > "$SIGNED"\n')
    cosign.chmod(0o755)
    with registry() as pushed:
        told = [f"VERSION={version}", f"REGISTRY={pushed.host}/ours/", "HELM_FLAGS=--plain-http"]
        told.append(f"DIST={tmp_path}/dist")
        done = subprocess.run(
            ["make", "push-chart", "sign-chart", f"PYTHON={sys.executable}", *told],
            cwd=ROOT,
            env={
                **os.environ,
                "PATH": f"{tmp_path}:{os.environ['PATH']}",
                "SIGNED": f"{tmp_path}/s",
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        manifest = pushed.manifests["ours/charts/smallfirst", version]
    (layer,) = manifest["layers"]
    assert layer["mediaType"] == "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
    assert layer["digest"] in pushed.blobs
    signed = (tmp_path / "s").read_text("utf-8")
    assert re.fullmatch(
        rf"sign --yes {pushed.host}/ours/charts/smallfirst@sha256:[0-9a-f]{{64}}\n", signed
    )
