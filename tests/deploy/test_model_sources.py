"""Models from elsewhere than the hub: by a script, from a claim, a bucket or an image."""

import os
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from tests.support.charts import (
    CHART,
    KUBERNETES,
    PLAIN,
    ROOT,
    containers,
    named,
    of_kind,
    pods,
    refusal,
    rendered,
    script,
)
from tests.support.pages import plain_blocks_of, readers_path, texts_of

PAGE = ROOT / "docs" / "how-to" / "models-in-a-cluster.md"
COPY, BUCKET, IMAGE = (yaml.safe_load(text) for text in plain_blocks_of(PAGE))
#: A catalogue that needs a model which is in no image of ours.
CONTENT = yaml.safe_load(PLAIN.read_text("utf-8"))["catalogue"]["content"].replace(
    "bundled:minilm", "/models/minilm"
)
NEEDED = {"catalogue": {"content": CONTENT}}


def volume_of(objects: list[dict[str, Any]], component: str) -> dict[str, Any]:
    """Take the volume of models of a component's pods."""
    spec = named(objects, "Deployment", component)["spec"]["template"]["spec"]
    (found,) = [dict(one) for one in spec["volumes"] if one["name"] == "models"]
    return found


@pytest.mark.parametrize("values", [COPY, BUCKET, IMAGE], ids=["claim", "bucket", "image"])
def test_what_the_page_shows_is_valid(values: dict[str, Any]) -> None:
    """Each way is rendered into objects that Kubernetes takes."""
    for each in rendered(values=values | NEEDED):
        kubernetes_validate.validate(each, KUBERNETES[-1], strict=True)


def test_a_script_copies_from_another_claim(tmp_path: Path) -> None:
    """The rendered command leaves the models where pools look, and then the mark they wait for."""
    objects = rendered(values=COPY | NEEDED)
    (job,) = of_kind(objects, "Job")
    (container,) = job["spec"]["template"]["spec"]["containers"]
    mounts = {one["mountPath"]: one["name"] for one in container["volumeMounts"]}
    assert mounts["/models"] == "models"
    for place in ("models", "theirs"):
        (tmp_path / place).mkdir()
    (tmp_path / "theirs" / "minilm").mkdir()
    (tmp_path / "theirs" / "minilm" / "config.json").write_text("{}")
    words = [
        word.replace("/theirs", f"{tmp_path}/theirs").replace("/models", f"{tmp_path}/models")
        for word in container["command"]
    ]
    for _ in range(2):  # A Job that was killed is run again.
        assert subprocess.run(words, check=False, timeout=30).returncode == 0
    assert (tmp_path / "models" / "minilm" / "config.json").read_text() == "{}"
    spec = named(objects, "Deployment", "pool-cpu-small")["spec"]["template"]["spec"]
    (mark,) = [each.name for each in (tmp_path / "models").glob(".complete-*")]
    assert f"/models/{mark}" in spec["initContainers"][0]["command"][-1]


def test_a_script_that_fails_leaves_no_mark(tmp_path: Path) -> None:
    """Its first command that fails is its last; pools go on waiting."""
    download = {"enabled": True, "script": "false\ntrue"}
    values = {"modelCache": {"existingClaim": "c", "download": download}}
    (job,) = of_kind(rendered(values=values | NEEDED), "Job")
    command = job["spec"]["template"]["spec"]["containers"][0]["command"]
    words = [word.replace("/models", str(tmp_path)) for word in command]
    assert subprocess.run(words, check=False, timeout=30).returncode != 0
    assert not list(tmp_path.iterdir())


def test_a_bucket_is_read_by_an_image_of_ones_own() -> None:
    """As the account that the cloud knows; workers keep their own image and account."""
    objects = rendered(values=BUCKET | NEEDED)
    (job,) = of_kind(objects, "Job")
    spec = job["spec"]["template"]["spec"]
    assert spec["containers"][0]["image"] == BUCKET["modelCache"]["download"]["image"]
    account = named(objects, "ServiceAccount", "download")["metadata"]
    wanted = BUCKET["modelCache"]["download"]["serviceAccount"]["annotations"]
    assert account["annotations"] == wanted
    worker = named(objects, "Deployment", "pool-cpu-small")["spec"]["template"]["spec"]
    assert worker["containers"][0]["image"].startswith("smallfirst-slm:")


def test_an_image_is_a_volume() -> None:
    """Pools mount it read-only in the place of a claim, and wait for nothing."""
    objects = rendered(values=IMAGE | NEEDED)
    reference = IMAGE["modelCache"]["image"]
    volume = volume_of(objects, "pool-cpu-small")
    assert volume["image"] == {"reference": reference, "pullPolicy": "IfNotPresent"}
    spec = named(objects, "Deployment", "pool-cpu-small")["spec"]["template"]["spec"]
    mounts = {one["name"]: one for one in spec["containers"][0]["volumeMounts"]}
    assert mounts["models"] == {"name": "models", "mountPath": "/models", "readOnly": True}
    assert "initContainers" not in spec
    assert not of_kind(objects, "Job", "PersistentVolumeClaim")


def test_the_images_to_mirror_are_listed(tmp_path: Path) -> None:
    """The page's command prints every image that a pod would pull, with the models' own."""
    (command,) = [text for text in texts_of(PAGE, "sh") if "helm template" in text]
    values = IMAGE | NEEDED
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(values))
    get_helm = script("get_helm")
    (tmp_path / "helm").symlink_to(get_helm.binary_of(get_helm.RELEASES[0]))
    done = subprocess.run(
        ["sh", "-ec", command.replace("oci://ghcr.io/smallfirst/charts/smallfirst", str(CHART))],
        cwd=tmp_path,
        env=os.environ | {"PATH": readers_path(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    wanted = {one["image"] for _, pod in pods(rendered(values=values)) for one in containers(pod)}
    listed = done.stdout.splitlines()
    assert set(listed) == wanted | {IMAGE["modelCache"]["image"]}
    assert len(listed) == len(set(listed))


MODEL = {"repository": "a/b", "revision": "0" * 40}


@pytest.mark.parametrize(
    ("cache", "told"),
    [
        ({"image": "r/m:1", "create": True}, "modelCache.image is mounted as /models in the place"),
        ({"image": "r/m"}, "schema"),
        ({"create": True, "download": {"enabled": True}}, "and there is no modelCache.download.s"),
        (
            {"create": True, "download": {"enabled": True, "models": [MODEL], "script": "true"}},
            "models or a script, not both",
        ),
        (
            {"create": True, "download": {"enabled": True, "models": [MODEL], "image": "r/m:1"}},
            "runs modelCache.download.script, which is empty",
        ),
    ],
)
def test_two_places_or_none_are_refused(cache: dict[str, Any], told: str) -> None:
    """Models come from one place, and a script has an image that runs it."""
    assert told in refusal({"modelCache": cache})


def test_an_old_kubernetes_mounts_no_image() -> None:
    """Before 1.31 no pod could: it is refused, with what to use."""
    with pytest.raises(AssertionError, match=r"needs Kubernetes 1\.31 or later"):
        rendered(values=IMAGE | NEEDED, kubernetes="1.29")
