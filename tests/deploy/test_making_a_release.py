"""A release is made of a clean tree whose versions agree, and of nothing else."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from requirements import release
from tests.support.charts import ROOT

VERSION = "7.8.9"
FILES = {
    "CHANGELOG.md",
    "requirements/release.py",
    *(path for path, _ in release.PLACES),
    *(path for _, *places in release.PINS for path, _ in places),
}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Lay out what a release reads, under git, with a line that is unreleased."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "CHANGELOG.md").write_text(
        "# Changelog\n\n## Unreleased\n\n### Added\n\n- A thing.\n\n## 0.0.1 - 2026-01-01\n"
    )
    git(tmp_path, "init", "--quiet", "--initial-branch", "main")
    git(tmp_path, "config", "user.name", "A maintainer")
    git(tmp_path, "config", "user.email", "maintainer@example.com")
    commit(tmp_path)
    return tmp_path


def git(folder: Path, *arguments: str) -> str:
    """Run git, without what this machine has set up for it."""
    command = ["git", "-c", "commit.gpgsign=false", "-c", "tag.gpgsign=false", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


def commit(folder: Path) -> None:
    """Commit everything."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "A change")


def run(folder: Path, command: str, about: str) -> "subprocess.CompletedProcess[str]":
    """Run the script of the checkout."""
    words = [sys.executable, "requirements/release.py", command, about]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)


def test_a_release_is_dated_committed_and_tagged(checkout: Path) -> None:
    """Every place says the version, the changelog its day, and the tag holds what is new."""
    done = run(checkout, "make", VERSION)
    assert done.returncode == 0, done.stderr
    assert f"v{VERSION}" in done.stdout
    assert git(checkout, "status", "--porcelain") == ""
    assert git(checkout, "log", "-1", "--format=%s") == f"Release {VERSION}\n"
    assert "- A thing." in git(checkout, "tag", "--list", "-n9", f"v{VERSION}")
    changelog = (checkout / "CHANGELOG.md").read_text("utf-8")
    assert re.search(
        rf"^## Unreleased\n\n## {VERSION} - \d{{4}}-\d\d-\d\d\n", changelog, re.MULTILINE
    )
    assert run(checkout, "check", VERSION).returncode == 0
    assert run(checkout, "notes", VERSION).stdout == "### Added\n\n- A thing.\n"
    chart = yaml.safe_load((checkout / "helm/smallfirst/Chart.yaml").read_text("utf-8"))
    assert {chart["version"], chart["appVersion"]} == {VERSION}


def test_the_next_release_needs_something_new(checkout: Path) -> None:
    """Right after one, and of the same version, there can be none."""
    run(checkout, "make", VERSION)
    assert "nothing under Unreleased" in run(checkout, "make", "7.9.0").stderr
    assert "tag v7.8.9 already" in run(checkout, "make", VERSION).stderr
    assert "is older than 7.8.9" in run(checkout, "make", "7.8.8").stderr
    assert git(checkout, "tag", "--list") == f"v{VERSION}\n"


@pytest.mark.parametrize("wrong", ["", "v1.2.3", "1.2", "1.2.3-rc1", "1.2.3 ", "../1.2.3", "٣.1.2"])
def test_what_is_no_version_is_refused(checkout: Path, wrong: str) -> None:
    """Three numbers, as tags, images and PyPI all take them."""
    done = run(checkout, "make", wrong)
    assert done.returncode == 1
    assert "is no version" in done.stderr
    assert git(checkout, "tag", "--list") == ""


def test_a_tree_with_changes_is_refused(checkout: Path) -> None:
    """A file that git does not know would be released by nobody's decision."""
    (checkout / "new.txt").write_text("new")
    assert "not committed" in run(checkout, "make", VERSION).stderr
    assert git(checkout, "tag", "--list") == ""


@pytest.mark.parametrize(
    ("path", "old", "new", "said"),
    [
        (
            "workers/Dockerfile.slm",
            "torch==2.13.0",
            "torch==2.14.0",
            "more than one version of torch",
        ),
        ("pyproject.toml", '"vllm==', '"vllm==1', "more than one version of vLLM"),
        ("helm/smallfirst/Chart.yaml", "appVersion:", "appversion:", "has nothing of the form"),
    ],
)
def test_versions_that_disagree_are_refused(
    checkout: Path, path: str, old: str, new: str, said: str
) -> None:
    """Two versions of one thing, or none where one must stand; nothing is left changed."""
    text = (checkout / path).read_text("utf-8")
    assert old in text
    (checkout / path).write_text(text.replace(old, new), "utf-8")
    commit(checkout)
    done = run(checkout, "make", VERSION)
    assert done.returncode == 1
    assert said in done.stderr
    assert git(checkout, "status", "--porcelain") + git(checkout, "tag", "--list") == ""


@pytest.mark.parametrize("refusal", ["hook", "signature"])
def test_what_git_refuses_leaves_nothing(checkout: Path, refusal: str) -> None:
    """Neither a commit without its tag nor changed files."""
    before = git(checkout, "rev-parse", "HEAD")
    if refusal == "hook":
        hook = checkout / ".git" / "hooks" / "pre-commit"
        hook.write_text("#!/bin/sh\necho not today >&2\nexit 1\n")
        hook.chmod(0o755)
    else:
        git(checkout, "config", "tag.gpgSign", "true")
        git(checkout, "config", "gpg.program", "/bin/false")
    done = run(checkout, "make", VERSION)
    assert done.returncode == 1
    assert git(checkout, "rev-parse", "HEAD") == before
    assert git(checkout, "status", "--porcelain") + git(checkout, "tag", "--list") == ""


def test_this_tree_agrees_with_itself() -> None:
    """What a release would refuse is seen before it is due."""
    (version,) = release.found(ROOT, release.PLACES[0])
    assert list(release.disagreements(ROOT, version)) == []


def test_a_changelog_with_the_version_already_is_refused() -> None:
    """Its part would be there twice."""
    text = "## Unreleased\n\n- A.\n\n## 1.0.0 - 2026-01-01\n"
    with pytest.raises(release.ReleaseError, match=r"1\.0\.0 already"):
        release.dated(text, "1.0.0", "2026-02-02")


def test_images_are_named_by_digest(tmp_path: Path) -> None:
    """What buildx wrote becomes values that the chart takes, and names to sign."""
    digest = f"sha256:{'a' * 64}"
    told = {
        "buildx.build.warnings": [],
        "router": {
            "containerimage.digest": digest,
            "image.name": "registry.example.com:5000/ours/smallfirst-router:0.2.0",
        },
    }
    path = tmp_path / "images.json"
    path.write_text(json.dumps(told), "utf-8")
    repository = "registry.example.com:5000/ours/smallfirst-router"
    values = yaml.safe_load(run(ROOT, "values", str(path)).stdout)
    assert values == {"images": {"router": {"repository": repository, "digest": digest}}}
    assert run(ROOT, "names", str(path)).stdout == f"{repository}@{digest}\n"
