"""What checkov finds in the chart's objects and in the recipes is what helm/checkov.yaml keeps.

It runs without the net, in an environment of its own, which is made on first use.
"""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.charts import EXAMPLES, ROOT, rendered, script
from tests.support.recipes import FILES

KEPT = yaml.safe_load((ROOT / "helm" / "checkov.yaml").read_text("utf-8"))
IMAGES = ("router", "flower", "desk", "slm", "llm", "redis")
#: The images' digests, which only who built them knows.
DIGESTS = {"images": {name: {"digest": f"sha256:{'0' * 64}"} for name in IMAGES}}
FRAMEWORKS = ("kubernetes", "dockerfile")
OPTIONS = ("--framework", *FRAMEWORKS, "--skip-download", "--quiet", "--soft-fail", "--output=json")
#: A check, and what it fails for: a kind of object, or a file.
Finding = tuple[str, str]
#: The example with an object of every kind that has an image.
WITH_EVERY_KIND = "one-gpu"
METRICS = {"metrics": {"enabled": True, "alerts": {"enabled": True}}}
pytestmark = pytest.mark.timeout(900)


def checkov(folder: Path) -> list[dict[str, Any]]:
    """Run the real checkov on a folder; return the checks that fail, once others have passed."""
    python = script("get_checkov").python_of_checkov()
    command = [str(python), "-m", "checkov.main", "--directory", str(folder), *OPTIONS]
    done = subprocess.run(
        command,
        env={"PATH": str(python.parent), "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    reports = json.loads(done.stdout)
    assert {report["check_type"] for report in reports} == set(FRAMEWORKS)
    for report in reports:
        assert report["summary"]["passed"] > 0
        assert report["summary"]["parsing_errors"] == 0
    return [one for report in reports for one in report["results"]["failed_checks"]]


@pytest.fixture(scope="session")
def failed(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Look at what every example renders, at one of every object as it comes, and every recipe."""
    folder = tmp_path_factory.mktemp("scan")
    parts: tuple[tuple[str, Any, Any], ...] = (
        ("digests", DIGESTS, EXAMPLES),
        ("bare", {}, (WITH_EVERY_KIND,)),
    )
    for part, values, examples in parts:
        (folder / part).mkdir()
        for example in examples:
            objects = rendered(example, {**METRICS, **values})
            (folder / part / f"{example}.yaml").write_text(yaml.safe_dump_all(objects), "utf-8")
    for path in FILES:
        place = folder / "recipes" / path.relative_to(ROOT)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)
    return checkov(folder)


def kept(section: str) -> set[Finding]:
    """What is to be found."""
    return {(check, one) for check, entry in KEPT[section].items() for one in entry["of"]}


def objects_in(failed: list[dict[str, Any]], part: str) -> set[Finding]:
    """What was found in one part's objects."""
    found = (one for one in failed if one["file_path"].startswith(f"/{part}/"))
    return {(one["check_id"], one["resource"].split(".")[0]) for one in found}


def test_objects_are_scanned(failed: list[dict[str, Any]]) -> None:
    """With every image by its digest, nothing is found but what is kept, and all of that is."""
    assert objects_in(failed, "digests") == kept("kubernetes")


def test_without_digests_two_checks_more_fail(failed: list[dict[str, Any]]) -> None:
    """As the chart comes: what the digests would put right, and no more."""
    both = kept("kubernetes") | kept("kubernetes-without-digests")
    assert objects_in(failed, "bare") == both


def test_recipes_are_scanned(failed: list[dict[str, Any]]) -> None:
    """Nothing is found in a Dockerfile but what is kept, and all of that is."""
    start = "/recipes/"
    found = (one for one in failed if one["file_path"].startswith(start))
    names = {(one["check_id"], one["file_path"].removeprefix(start)) for one in found}
    assert names == kept("dockerfile")


def test_each_that_is_kept_says_why() -> None:
    """A reason is a sentence, and no check is kept for two of them."""
    for section, entries in KEPT.items():
        for check, entry in entries.items():
            assert re.fullmatch(r"CKV2?_(K8S|DOCKER)_\d+", check), check
            assert entry["because"].strip().endswith("."), f"{section}: {check}"


def test_the_page_names_the_release() -> None:
    """docs/explanation/chart.md names the release of checkov that `make lock` locks."""
    (release,) = re.findall(
        r"^checkov==(\S+)",
        (ROOT / "requirements" / "checkov.txt").read_text("utf-8"),
        re.MULTILINE,
    )
    assert f"checkov {release}" in (ROOT / "docs" / "explanation" / "chart.md").read_text("utf-8")
    assert f"CHECKOV := checkov=={release}\n" in (ROOT / "Makefile").read_text("utf-8")
